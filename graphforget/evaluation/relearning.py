"""How fast does a model learn again what it was to forget? From a few of the deleted examples, measured on the others."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Task
from graphforget.evaluation.judged import Judged
from graphforget.exceptions import InputError
from graphforget.metrics.relearning import ain, relearn_steps
from graphforget.reporting import Row
from graphforget.requests import ForgetSplit, View


@dataclass(frozen=True)
class Relearning:
    """What is asked: on which deleted examples to train, on which to measure.

    Attributes:
        share: Share of the deleted examples that come back.
        steps: Training steps at most.
        lr: Adam's learning rate; None is the recipe's.
        seed: Seed of the choice.

    Raises:
        InputError: A value out of range.
    """

    share: float = 0.1
    steps: int = 30
    lr: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.steps < 1 or (self.lr is not None and self.lr <= 0):
            raise InputError(
                f"relearning needs a share between 0 and 1, at least one step and a positive lr; got {self.share}, {self.steps}, "
                f"{self.lr}."
            )


def relearn(task: Task, split: ForgetSplit, model: nn.Module, how: Relearning | None = None) -> list[float]:
    """Mean loss on the deleted examples that do not come back, before training and after every step on those that do.

    Deleted examples are read in the most forgetful context in which they exist: their links stay gone, their content is given.
    The model is not changed.

    Args:
        task: The task.
        split: What was deleted; at least two examples.
        model: Any model of the task.
        how: Share, steps, learning rate, seed.

    Raises:
        InputError: Fewer than two deleted examples.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> case = tiny_case("recommendation")
        >>> split = case.task.split(case.data, case.requests["items"])
        >>> len(relearn(case.task, split, case.model(), Relearning(steps=3)))
        4
    """
    how = how or Relearning()
    index = split.removed
    if len(index) < 2:
        raise InputError(f"relearning needs at least two deleted training examples, the request removes {len(index)}.")
    generator = seeds.generator(how.seed)
    order = torch.randperm(len(index), generator=generator)
    back = max(1, min(len(index) - 1, round(how.share * len(index))))
    data = split.data_on(split.forget_context)
    given, rest = (
        next(iter(task.batches(View(data, index[rows.sort().values], "draw"), generator=generator)))
        for rows in (order[:back], order[back:])
    )
    student = copy.deepcopy(model).eval()  # no dropout: every model trains under the same loss
    student.requires_grad_(True)
    lr = task.recipe.lr if how.lr is None else how.lr
    parameters = list(student.parameters())
    if not parameters:
        raise InputError(f"{type(model).__name__} has no parameters to train; relearning needs a trained model.")
    optimizer = torch.optim.Adam(parameters, lr=lr)

    def loss(batch: Any) -> Tensor:
        return task.loss(task.forward(student, batch)[0], batch)

    losses = []
    for _ in range(how.steps):
        with torch.no_grad():
            losses.append(float(loss(rest)))
        optimizer.zero_grad()
        loss(given).backward()
        optimizer.step()
    with torch.no_grad():
        return [*losses, float(loss(rest))]


def relearning_rows(
    task: Task, split: ForgetSplit, original: nn.Module, models: list[Judged], golds: list[Judged], how: Relearning
) -> tuple[list[Row], list[dict[str, Any]]]:
    """Steps until the loss on the rest is back at the original's, per model, and as a ratio to gold (``ain``).

    Returns:
        The rows, and facts per model that say which values are only lower bounds (the level was not reached).
    """
    level = relearn(task, split, original, how)[0]
    steps: dict[int, tuple[int, bool]] = {id(one): relearn_steps(relearn(task, split, one.model, how), level) for one in models}
    mean = sum(steps[id(gold)][0] for gold in golds) / len(golds)
    rows, facts = [], []
    for one in models:
        count, censored = steps[id(one)]
        facts.append({"role": one.role, "method": one.method, "seed": one.seed, "steps": count, "at_least": censored})
        values = {"relearn_steps": float(count)}
        if one.role != "gold" and mean > 0:
            values["ain"] = ain(count, mean)  # type: ignore[arg-type]
        rows += [Row(one.role, one.context, "deleted", name, v, one.seed, method=one.method) for name, v in values.items()]
    return rows, facts
