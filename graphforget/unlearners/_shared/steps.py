"""The loops that gradient methods share: batches by the task's recipe, retain loss, optimiser."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Run, Task
from graphforget.requests import View


def recipe_epochs(task: Task, epochs: int | None) -> int:
    """``epochs``, or a tenth of the recipe's (at least 1) for None: a repair that costs at most a tenth of retraining."""
    return max(task.recipe.epochs // 10, 1) if epochs is None else epochs


def make_adam(task: Task, model: nn.Module, lr: float | None, *, weight_decay: float | None = 0.0) -> torch.optim.Adam:
    """Adam over the trainable parameters; None means the recipe's learning rate or weight decay."""
    return torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad],
        lr=task.recipe.lr if lr is None else lr,
        weight_decay=task.recipe.weight_decay if weight_decay is None else weight_decay,
    )


def epoch_batches(task: Task, view: View, generator: torch.Generator) -> Iterator[Batch]:
    """One pass over a view, in the recipe's batches: shuffled mini-batches, or the full batch in order."""
    size = task.recipe.batch_size
    return task.batches(view, batch_size=size, shuffle=size is not None, generator=generator)


def endless_batches(task: Task, view: View, generator: torch.Generator) -> Iterator[Batch]:
    """Passes over a view without end; every pass draws anew."""
    while True:
        yield from epoch_batches(task, view, generator)


def full_loss(task: Task, model: nn.Module, batch: Batch) -> Tensor:
    """What the task's training minimises on a batch: data term and penalty."""
    forward = task.forward(model, batch)[0]
    return task.loss(forward, batch) + task.penalty(model, forward, batch)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """One step down ``loss``; returns its value."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def retain_view(run: Run) -> View:
    """Retained training examples on the retained data: nothing forgotten can be read there."""
    return run.split.view("retain", on="retained")


def forget_view(run: Run) -> View:
    """The forget part in the most forgetful context where it can be read."""
    return run.split.view("forget", on=run.split.forget_context)


NOTHING_TO_FORGET = "the request touches no training example, so there is nothing to unlearn in the weights: they are unchanged"


class TailMean:
    """The mean of a model's weights over the last steps: nearer to the middle of what training can end in than the last step."""

    def __init__(self, model: nn.Module, *, last: int, total: int) -> None:
        self.model, self.start, self.count = model, max(total - last, 0), 0
        self.sums: list[Tensor] = []

    def see(self, step: int) -> None:
        """Call after every step (counted from 0)."""
        if step < self.start:
            return
        weights = [p.detach() for p in self.model.parameters()]
        self.sums = (
            [w.clone() for w in weights] if not self.sums else [s.add_(w) for s, w in zip(self.sums, weights, strict=True)]
        )
        self.count += 1

    def into(self, model: nn.Module) -> nn.Module:
        """Write the mean into ``model``; without any step seen it stays as it is."""
        with torch.no_grad():
            for parameter, total in zip(model.parameters(), self.sums, strict=False):
                parameter.copy_(total / self.count)
        return model
