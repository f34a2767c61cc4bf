"""Edges as example rows: canonical pairs, and keys for set operations on them."""

from __future__ import annotations

import torch
from torch import Tensor


def pair_keys(pairs: Tensor, num_nodes: int) -> Tensor:
    """One int64 per row (u, v): ``u * num_nodes + v``, for ``torch.isin`` and ``torch.searchsorted``.

    Args:
        pairs: [n, 2] int64.
        num_nodes: Number of nodes N; N * N must fit 63 bits (N below 3 * 10^9).
    """
    return pairs[:, 0] * num_nodes + pairs[:, 1]


def canonical_pairs(pairs: Tensor, undirected: bool, num_nodes: int | None = None) -> Tensor:
    """Rows sorted and unique; in an undirected graph with u <= v, so that both directions are one id.

    Args:
        pairs: [n, 2] int64; ``edge_index.t()`` will do. Self-loops stay.
        undirected: Whether (u, v) and (v, u) are the same edge.
        num_nodes: Taken from the pairs where not given.

    Example:
        >>> canonical_pairs(torch.tensor([[2, 0], [0, 2], [1, 1]]), undirected=True).tolist()
        [[0, 2], [1, 1]]
    """
    if not pairs.numel():
        return pairs.reshape(0, 2).long()
    if undirected:
        pairs = torch.stack([pairs.amin(1), pairs.amax(1)], 1)
    size = int(pairs.max()) + 1 if num_nodes is None else num_nodes
    keys = torch.unique(pair_keys(pairs, size))
    return torch.stack([keys // size, keys % size], 1)


def both_directions(pairs: Tensor, num_nodes: int) -> Tensor:
    """``edge_index`` [2, E] with both directions of every pair (a self-loop once), sorted by source, then target."""
    keys = torch.unique(torch.cat([pair_keys(pairs, num_nodes), pair_keys(pairs.flip(1), num_nodes)]))
    return torch.stack([keys // max(num_nodes, 1), keys % max(num_nodes, 1)])


def sorted_edges(edge_index: Tensor, num_nodes: int) -> Tensor:
    """The same edges sorted by source, then target; copies of an edge stay."""
    keys = pair_keys(edge_index.t(), num_nodes).sort().values
    return torch.stack([keys // max(num_nodes, 1), keys % max(num_nodes, 1)])


def neighbour_lists(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """CSR of the graph read in both directions: ``rowptr`` [N + 1] and ``col``; rows sorted, no duplicates."""
    source, target = both_directions(edge_index.t(), num_nodes)
    rowptr = torch.zeros(num_nodes + 1, dtype=torch.long)
    rowptr[1:] = torch.bincount(source, minlength=num_nodes).cumsum(0)
    return rowptr, target
