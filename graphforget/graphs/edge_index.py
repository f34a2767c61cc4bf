"""``edge_index`` tensors in order, in both directions, and as neighbour lists."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.requests.keys import ascending, column_keys, distinct, key_columns


def both_directions(pairs: Tensor, num_nodes: int) -> Tensor:
    """``edge_index`` [2, E] with both directions of every pair (a self-loop once), sorted by source, then target."""
    u, v = pairs.unbind(1)
    return _edges(distinct(column_keys((torch.cat([u, v]), torch.cat([v, u])), (num_nodes, num_nodes))), num_nodes)


def sorted_edges(edge_index: Tensor, num_nodes: int) -> Tensor:
    """The same edges sorted by source, then target; copies of an edge stay."""
    return _edges(ascending(column_keys(edge_index, (num_nodes, num_nodes))), num_nodes)


def entry_order(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Positions of the entries in the order of :func:`sorted_edges`, [E]; copies of an edge keep theirs."""
    return torch.argsort(column_keys(edge_index, (num_nodes, num_nodes)), stable=True)


def neighbour_lists(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """CSR of the graph read in both directions: ``rowptr`` [N + 1] and ``col``; rows sorted, no duplicates."""
    source, target = both_directions(edge_index.t(), num_nodes)
    rowptr = torch.zeros(num_nodes + 1, dtype=torch.long)
    rowptr[1:] = torch.bincount(source, minlength=num_nodes).cumsum(0)
    return rowptr, target


def _edges(keys: Tensor, num_nodes: int) -> Tensor:
    return torch.stack(key_columns(keys, (num_nodes, num_nodes)))
