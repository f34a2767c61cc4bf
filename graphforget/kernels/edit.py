"""Leaving edges or nodes out of a :class:`~graphforget.kernels.SparseGraph` at a cost that follows what is touched.

An edited graph is its base and a sorted list of dropped entries. Rows are read through the list; the first operation on the
whole writes the graph out, structure and transpose, by counting and without sorting.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.csr import INDEX_TYPES, check_positions, slices
from graphforget.kernels.graph import SparseGraph
from graphforget.requests.keys import column_keys


def drop_edges(graph: SparseGraph, pairs: Tensor, *, both_directions: bool) -> SparseGraph:
    """The graph without the entries at some places, all copies of each; see :meth:`SparseGraph.drop`.

    The work follows the entries of the rows that are named.

    Args:
        graph: Any graph without a total degree.
        pairs: [n, 2] (row, column), that is (target, source); duplicates allowed.
        both_directions: Whether (u, v) also stands for (v, u).

    Raises:
        InputError: Pairs of another shape or out of range, or without an entry in a direction asked for.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> drop_edges(graph, torch.tensor([[0, 1]]), both_directions=True).to_edge_index().tolist()
        [[2, 1], [1, 2]]
    """
    if pairs.dim() != 2 or pairs.size(1) != 2 or pairs.dtype not in INDEX_TYPES:
        raise InputError(
            f"pairs must be integers of shape [n, 2], one (row, column) each, got {pairs.dtype} of shape {tuple(pairs.shape)}; "
            "a PyG edge_index (source, target) becomes one with .flip(0).t()."
        )
    pairs = pairs.to(graph.device, torch.long)
    if both_directions:
        graph.require_square("dropping both directions")
        pairs = torch.cat([pairs, pairs.flip(1)])
    limit = torch.tensor(graph.shape, device=graph.device)
    outside = ((pairs < 0) | (pairs >= limit)).any(1).nonzero().view(-1)
    if outside.numel():
        raise InputError(f"pair {pairs[outside[0]].tolist()} is outside a graph of shape {list(graph.shape)}.")
    rows, wanted_row = torch.unique(pairs[:, 0], return_inverse=True)
    rowptr, entries = graph.stored_entries(rows)
    owner = torch.repeat_interleave(torch.arange(rows.numel(), device=graph.device), rowptr.diff().long())
    sizes = (rows.numel(), graph.num_cols)
    key = column_keys((owner, graph.stored.col.index_select(0, entries)), sizes)
    wanted = column_keys((wanted_row, pairs[:, 1]), sizes)
    missing = (~torch.isin(wanted, key)).nonzero().view(-1)
    if missing.numel():
        raise InputError(
            f"the graph has no entry at (row, column) {pairs[missing[0]].tolist()} ({missing.numel()} of the pairs are missing): "
            "drop entries that are there" + (", or give both_directions=False for a directed graph." if both_directions else ".")
        )
    return graph.drop_stored(entries[torch.isin(key, wanted)])


def drop_nodes(graph: SparseGraph, ids: Tensor) -> SparseGraph:
    """The graph without every entry from or to some nodes, whose ids stay as empty rows; see :meth:`SparseGraph.drop`.

    The work follows the entries of those nodes, found in the rows and in the kept transpose.

    Args:
        graph: A square graph without a total degree.
        ids: [n] int64 or int32.

    Raises:
        InputError: Not square, or not ids of its nodes.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
        >>> drop_nodes(graph, torch.tensor([1])).to_edge_index().tolist()
        [[2], [0]]
    """
    graph.require_square("drop_nodes")
    check_positions(ids, graph.num_rows, "ids")
    ids = torch.unique(ids.to(graph.device, torch.long))
    pattern = graph.stored.pattern  # whose transpose serves any weights
    incoming = pattern.perm.index_select(0, slices(pattern.transpose().rowptr, ids)[1]).long()
    outgoing = slices(pattern.rowptr, ids)[1]
    return graph.drop_stored(torch.cat([incoming, outgoing]))
