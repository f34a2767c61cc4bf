"""Graphs whose edges derive from features: the rule is kept, so that a deletion rebuilds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.edge_index import both_directions
from graphforget.graphs.features import is_sparse

_CHUNK = 1024
_GRID = 2.0**40  # steps between 0 and the largest possible squared distance; times the number of nodes it fits 63 bits


@runtime_checkable
class EdgeRule(Protocol):
    """How edges follow from features. Its ``repr`` must name every setting: it is part of the data's digest."""

    def build(self, x: Tensor, alive: Tensor) -> Tensor:
        """``edge_index`` [2, E] between live nodes; deterministic."""
        ...


@dataclass(frozen=True)
class KNNRule:
    """Every live node is joined with its nearest live neighbours, in both directions.

    Ties go to the smaller id. A row without content (all zeros, as forgotten features are) has no neighbours.

    Args:
        num_neighbors: Neighbours per node; fewer where fewer nodes are left.
        metric: ``"euclidean"`` or ``"cosine"``.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [4.0], [9.0]])
        >>> KNNRule(1).build(x, torch.tensor([True, True, False, True])).tolist()
        [[0, 1, 1, 3], [1, 0, 3, 1]]
    """

    num_neighbors: int
    metric: Literal["euclidean", "cosine"] = "euclidean"

    def __post_init__(self) -> None:
        if isinstance(self.num_neighbors, bool) or not isinstance(self.num_neighbors, int) or self.num_neighbors < 1:
            raise InputError(f"num_neighbors must be an integer of at least 1, got {self.num_neighbors!r}.")
        if self.metric not in ("euclidean", "cosine"):
            raise InputError(f"metric must be 'euclidean' or 'cosine', got '{self.metric}'.")

    def build(self, x: Tensor, alive: Tensor) -> Tensor:
        """The edges of the live nodes.

        Args:
            x: [N, F] features; rows of dead nodes are not read.
            alive: [N] bool.

        Returns:
            ``edge_index`` [2, E], both directions, sorted.
        """
        dense = x.to_dense() if is_sparse(x) else x
        ids = (alive & (torch.nan_to_num(dense) != 0).any(1)).nonzero().view(-1)
        count = min(self.num_neighbors, len(ids) - 1)
        if count < 1:
            return torch.empty((2, 0), dtype=torch.long)
        rows = dense[ids].double()
        if self.metric == "cosine":
            rows = rows / rows.norm(dim=1, keepdim=True)
        square = (rows * rows).sum(1)
        # Distances become integers so that those which differ by summation order only are ties, and a tie goes to the smaller id.
        grid, number = _GRID / (4 * square.max()), torch.arange(len(ids))
        near = []
        for start in range(0, len(ids), _CHUNK):
            part = rows[start : start + _CHUNK]
            distance = square[start : start + _CHUNK, None] + square - 2 * part @ rows.t()
            keys = (distance * grid).round().long().clamp(min=0) * len(ids) + number
            keys[number[: len(part)], number[: len(part)] + start] = torch.iinfo(torch.long).max
            near.append(keys.topk(count, dim=1, largest=False).indices)
        pairs = torch.stack([torch.arange(len(ids)).repeat_interleave(count), torch.cat(near).view(-1)], 1)
        return both_directions(ids[pairs], len(alive))
