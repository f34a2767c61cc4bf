"""What do the embeddings still hold? Both measures need memory linear in the number of elements."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError

__all__ = ["linear_cka", "nearest_rows", "neighbourhood_overlap", "shared_neighbours"]

_CELLS = 2**21  # similarities at once: larger blocks would be given back to the system after each use


def _embeddings(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.dim() != 2 or y.dim() != 2 or x.shape[0] != y.shape[0] or x.shape[0] < 2:
        raise InputError(
            f"Embeddings must be [n, d1] and [n, d2] of the same n >= 2 elements, got {tuple(x.shape)} and {tuple(y.shape)}."
        )
    if bool(x.isnan().any()) or bool(y.isnan().any()):
        raise InputError("Embeddings contain NaN: they include deleted elements or a model that diverged; pass live rows only.")
    return x.detach().double(), y.detach().double()


def linear_cka(x: Tensor, y: Tensor) -> float:
    r"""Linear centred kernel alignment of two representations of the same elements (Kornblith et al. 2019).

    .. math::

        \frac{\lVert Y^\top X \rVert_F^2}{\lVert X^\top X \rVert_F \, \lVert Y^\top Y \rVert_F}

    on centred columns, which takes d x d products only. Use the full set; averages over small batches are biased upwards.
    Invariant to rotation and scale of either side.

    Returns:
        A value in [0, 1]; NaN if one side is constant.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 3.0]])
        >>> round(linear_cka(x, -2 * x), 6)
        1.0
    """
    x, y = _embeddings(x, y)
    x, y = x - x.mean(0), y - y.mean(0)
    norm = (x.T @ x).norm() * (y.T @ y).norm()
    return float((y.T @ x).square().sum() / norm) if norm > 0 else float("nan")


def neighbourhood_overlap(
    x: Tensor, y: Tensor, *, num_neighbors: int = 10, index: Tensor | None = None, chunk_size: int | None = None
) -> Tensor:
    """Share of an element's nearest neighbours (cosine) that both representations agree on.

    Args:
        x: ``[n, d1]`` embeddings.
        y: ``[n, d2]`` embeddings of the same elements.
        num_neighbors: Size of the neighbourhood, the element itself excluded.
        index: ``[m]`` rows to measure (for example the neighbours of deleted items); all rows by default.
        chunk_size: Rows compared at a time; memory is chunk_size x n. By default about two million similarities.

    Returns:
        ``[m]`` values in [0, 1]. Unrelated representations give about num_neighbors / n.
    """
    x, y = _embeddings(x, y)
    each = [nearest_rows(z, num_neighbors=num_neighbors, index=index, chunk_size=chunk_size) for z in (x, y)]
    return shared_neighbours(*each)


def nearest_rows(x: Tensor, *, num_neighbors: int = 10, index: Tensor | None = None, chunk_size: int | None = None) -> Tensor:
    """The nearest rows (cosine) of some rows, themselves excluded: ``[m, num_neighbors]``.

    Args:
        x: ``[n, d]`` embeddings.
        num_neighbors: Size of the neighbourhood.
        index: ``[m]`` rows whose neighbours are wanted; all by default.
        chunk_size: As in :func:`neighbourhood_overlap`.

    Raises:
        InputError: NaN, or more neighbours than there are.

    Example:
        >>> nearest_rows(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), num_neighbors=1).tolist()
        [[1], [0], [1]]
    """
    x, _ = _embeddings(x, x)
    if not 1 <= num_neighbors < x.shape[0]:
        raise InputError(f"num_neighbors must be between 1 and n - 1 = {x.shape[0] - 1}, got {num_neighbors}.")
    rows = torch.arange(x.shape[0], device=x.device) if index is None else index.to(x.device)
    x, parts = F.normalize(x, dim=1), []
    for chunk in rows.split(chunk_size or max(1, _CELLS // x.shape[0])):
        similarity = x[chunk] @ x.T
        similarity[torch.arange(chunk.numel(), device=x.device), chunk] = -torch.inf
        parts.append(similarity.topk(num_neighbors, dim=1).indices)
    return torch.cat(parts)


def shared_neighbours(a: Tensor, b: Tensor) -> Tensor:
    """Share of the neighbours ``[m, k]`` of each element that stand in both lists: ``[m]``.

    Example:
        >>> shared_neighbours(torch.tensor([[1, 2]]), torch.tensor([[2, 3]])).tolist()
        [0.5]
    """
    return (a.unsqueeze(2) == b.unsqueeze(1)).any(2).double().mean(1)


RECORDS = (
    MetricRecord(
        "linear_cka",
        "representation",
        (0.0, 1.0),
        "gold",
        False,
        "Kornblith et al. 2019",
        "Similarity of two models' embeddings of the same elements, blind to rotation and scale.",
        "Dominated by the directions of largest variance: a small piece of kept knowledge can hide.",
    ),
    MetricRecord(
        "neighbourhood_overlap",
        "representation",
        (0.0, 1.0),
        "gold",
        False,
        "standard",
        "Share of nearest neighbours on which two models' embeddings agree.",
    ),
)
