"""The ranking objective as a sum over interactions, for methods that take second-order steps on users' and items' rows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Task
from graphforget.base.capabilities import has_pair_losses
from graphforget.requests import View
from graphforget.unlearners._shared.hessian import Parts, Product, Rows, gauss_newton_product, hessian_product


def fixed_batches(task: Task, view: View, size: int, generator: torch.Generator, *, draws: int = 1) -> list[Batch]:
    """Batches to be read again and again: ``draws`` other items per interaction, drawn once.

    Args:
        task: The task.
        view: Interactions.
        size: Interactions per batch.
        generator: Of the other items.
        draws: How often every interaction stands in the list, each time with another other item.
    """
    return [b for _ in range(draws) for b in task.batches(view, batch_size=size, generator=generator) if len(b)]


def sampled(view: View, share: float, generator: torch.Generator) -> tuple[View, float]:
    """A random ``share`` of a view's interactions, and what each then counts, so that sums keep their expectation."""
    count = max(round(share * len(view)), min(len(view), 1))
    if count == len(view):
        return view, 1.0
    chosen = torch.randperm(len(view), generator=generator)[:count].sort().values
    return view.select(chosen), len(view) / count


def reading(batches: list[Batch], ids: Mapping[str, Tensor]) -> list[Batch]:
    """The same batches without the interactions that read none of some users and items: no gradient by their rows is lost.

    Right for models whose scores read the rows of the user and of the two items alone, and nothing along a graph.

    Args:
        batches: With the other items in ``extra["negatives"]``.
        ids: ``{"user": [n], "item": [m]}``.
    """
    kept = []
    for batch in batches:
        other = batch.extra["negatives"]
        reads = torch.isin(batch.index[:, 0], ids["user"])
        reads |= torch.isin(batch.index[:, 1], ids["item"]) | torch.isin(other, ids["item"])
        if bool(reads.any()):
            kept.append(batch.replace(index=batch.index[reads], y=batch.y[reads], extra={"negatives": other[reads]}))
    return kept


def added_loss(task: Task, model: nn.Module, batch: Batch) -> Tensor:
    """What a batch adds to the training objective when that is a sum over interactions: ``n (loss + penalty)``."""
    _, loss, penalty = added_parts(task, model, batch)
    return loss + penalty


def added_parts(task: Task, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """(outputs, n loss, n penalty) of a batch."""
    forward = task.forward(model, batch)[0]
    return forward.outputs, len(batch) * task.loss(forward, batch), len(batch) * task.penalty(model, forward, batch)


CURVATURES = ("auto", "gauss_newton", "hessian")


def chosen_curvature(curvature: str, model: nn.Module) -> str:
    """What ``"auto"`` means: Gauss-Newton, but the Hessian for a model whose loss is its own and no function of margins."""
    if curvature != "auto":
        return curvature
    return "hessian" if has_pair_losses(model) else "gauss_newton"


def curvature_product(kind: str, parts: Parts, rows: Rows) -> Product:
    """Products with the Gauss-Newton matrix or the Hessian of what ``parts`` yields."""
    if kind == "gauss_newton":
        return lambda vector: gauss_newton_product(parts, rows, vector)
    return lambda vector: hessian_product(lambda: (loss + rest for _, loss, rest in parts()), rows, vector)
