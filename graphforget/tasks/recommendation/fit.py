"""Models with a closed form: solved, with the same record as if they had been trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from graphforget.base import FitLog, weights_digest
from graphforget.base.capabilities import ClosedForm
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions

if TYPE_CHECKING:
    from graphforget.tasks.recommendation.task import Recommendation


def fit_closed_form(
    task: Recommendation,
    model: nn.Module,
    data: Interactions,
    *,
    seed: int,
    index: Tensor | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    keep: Sequence[int | str] = (),
    callback: Callable[[int, float], None] | None = None,
) -> FitLog:
    """Solve ``model.fit_closed_form(data)`` in place.

    Args:
        task: For the validation score.
        model: Solved in place.
        data: Its training part, or ``index`` of it, is used.
        seed: Without effect on a closed form; kept in the log.
        index: Training interactions [n, 2] to use instead.
        epochs: Without effect: a solution has no epochs; 0 leaves the model as it is.
        lr: Without effect.
        keep: Only epoch 1 exists.
        callback: Called once, with epoch 1 and the validation score (0 without validation).

    Raises:
        InputError: There is nothing to learn from.
    """
    started, started_cpu = time.perf_counter(), time.process_time()
    train = data.splits["train"] if index is None else index
    if not len(train):
        raise InputError(f"there is nothing to train on: part 'train' of '{data.name}' is empty.")
    init = weights_digest(model)
    used = data if index is None else replace(data, splits={**data.splits, "train": index})
    if epochs != 0:
        cast(ClosedForm, model).fit_closed_form(used)
    model.eval()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    val = task.view(data, "val")
    score = task.utility(model, val)[task.monitor] if task.can_score(val) else None
    if callback is not None and epochs != 0:
        callback(1, score or 0.0)
    return FitLog(
        seed=seed,
        init_digest=init,
        epochs=0 if epochs == 0 else 1,
        best_epoch=0 if epochs == 0 else 1,
        best_score=score,
        seconds=seconds,
        seconds_to_best=seconds,
        cpu_seconds_to_best=cpu_seconds,
        curve=() if score is None else ((1, score),),
        checkpoints={1: {name: value.clone() for name, value in model.state_dict().items()}} if 1 in keep else {},
    )
