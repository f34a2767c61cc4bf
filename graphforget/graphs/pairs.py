"""Edges as example rows: canonical pairs, and keys for set operations on them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def pair_keys(pairs: Tensor, num_nodes: int) -> Tensor:
    """One int64 per row (u, v): ``u * num_nodes + v``, for ``torch.isin`` and ``torch.searchsorted``.

    Args:
        pairs: [n, 2] int64.
        num_nodes: Number of nodes N; N * N must fit 63 bits (N below 3 * 10^9).
    """
    return pairs[:, 0] * num_nodes + pairs[:, 1]


def unpaired(keys: Tensor, num_nodes: int) -> Tensor:
    """(u, v) of every key, [2, n]."""
    first = keys // max(num_nodes, 1)
    return torch.stack([first, keys - first * max(num_nodes, 1)])


def ascending(ids: Tensor) -> Tensor:
    """The ids in order, [n] on the CPU; numpy's sort of integers is several times quicker than torch's."""
    return torch.from_numpy(np.sort(ids.reshape(-1).numpy()))


def distinct(ids: Tensor) -> Tensor:
    """The ids in order, each once, [n] on the CPU."""
    ordered = ascending(ids)
    first = torch.ones(len(ordered), dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    return ordered if bool(first.all()) else ordered[first]


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
    low, high = pairs.long().unbind(1)
    if undirected:
        low, high = torch.minimum(low, high), torch.maximum(low, high)
    size = int(pairs.max()) + 1 if num_nodes is None else num_nodes
    return unpaired(distinct(low * size + high), size).t().contiguous()


def both_directions(pairs: Tensor, num_nodes: int) -> Tensor:
    """``edge_index`` [2, E] with both directions of every pair (a self-loop once), sorted by source, then target."""
    return unpaired(distinct(torch.cat([pair_keys(pairs, num_nodes), pair_keys(pairs.flip(1), num_nodes)])), num_nodes)


def sorted_edges(edge_index: Tensor, num_nodes: int) -> Tensor:
    """The same edges sorted by source, then target; copies of an edge stay."""
    return unpaired(ascending(pair_keys(edge_index.t(), num_nodes)), num_nodes)


def neighbour_lists(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """CSR of the graph read in both directions: ``rowptr`` [N + 1] and ``col``; rows sorted, no duplicates."""
    source, target = both_directions(edge_index.t(), num_nodes)
    rowptr = torch.zeros(num_nodes + 1, dtype=torch.long)
    rowptr[1:] = torch.bincount(source, minlength=num_nodes).cumsum(0)
    return rowptr, target
