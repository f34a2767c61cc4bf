"""Models with a closed form: solved, with the same record as if they had been trained."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

from torch import nn

from graphforget.base import FitLog, FitOptions, Task, weights_digest
from graphforget.base.capabilities import ClosedForm
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions


def fit_closed_form(task: Task, model: nn.Module, data: Interactions, seed: int, options: FitOptions) -> FitLog:
    """Solve ``model.fit_closed_form(data)`` in place.

    Args:
        task: For the validation score.
        model: Solved in place.
        data: Its training part, or ``options.index`` of it [n, 2], is used.
        seed: Without effect on a closed form; kept in the log.
        options: A solution has no learning rate and no epochs but the first: 0 epochs leave the model as it is, any other number
            solves it; ``keep`` knows epoch 1, and ``callback`` is called once, with epoch 1 and the validation score (0 without
            validation).

    Raises:
        InputError: There is nothing to learn from.
    """
    started, started_cpu = time.perf_counter(), time.process_time()
    index, solved = options.index, options.epochs != 0
    train = data.splits["train"] if index is None else index
    if not len(train):
        raise InputError(f"there is nothing to train on: part 'train' of '{data.name}' is empty.")
    init = weights_digest(model)
    used = data if index is None else replace(data, splits={**data.splits, "train": index})
    if solved:
        cast(ClosedForm, model).fit_closed_form(used)
    model.eval()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    val = task.view(data, "val")
    score = task.utility(model, val)[task.monitor] if task.can_score(val) else None
    if options.callback is not None and solved:
        options.callback(1, score or 0.0)
    return FitLog(
        seed=seed,
        init_digest=init,
        epochs=int(solved),
        best_epoch=int(solved),
        best_score=score,
        seconds=seconds,
        seconds_to_best=seconds,
        cpu_seconds_to_best=cpu_seconds,
        curve=() if score is None else ((1, score),),
        checkpoints={1: {name: value.clone() for name, value in model.state_dict().items()}} if 1 in options.keep else {},
    )
