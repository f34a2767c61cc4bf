"""Leaving entries out of a :class:`~graphforget.kernels.SparseGraph` at a cost that follows what is touched.

An edited graph is its base and a sorted list of dropped entries. Rows are read through the list; the first operation on the
whole writes the graph out, structure and transpose, by counting and without sorting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels import derive
from graphforget.kernels.csr import check_positions, count_before, slices

if TYPE_CHECKING:
    from graphforget.kernels.graph import SparseGraph

MOST_DROPPED = 16  # write out when more than one entry in so many is gone


@dataclass(frozen=True)
class Edit:
    """What an edited graph is until it is written out.

    Attributes:
        base: A graph that is itself not edited.
        dropped: [k] int64, positions of its entries that are gone, ascending and unique.
    """

    base: SparseGraph
    dropped: Tensor

    @property
    def num_edges(self) -> int:
        """Number of entries left."""
        return self.base.num_edges - self.dropped.numel()


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
        >>> from graphforget.kernels import SparseGraph
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> drop_edges(graph, torch.tensor([[0, 1]]), both_directions=True).to_edge_index().tolist()
        [[2, 1], [1, 2]]
    """
    if pairs.dim() != 2 or pairs.size(1) != 2 or pairs.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"pairs must be integers of shape [n, 2], one (row, column) each, got {pairs.dtype} of shape {tuple(pairs.shape)}; "
            "a PyG edge_index (source, target) becomes one with .flip(0).t()."
        )
    pairs = pairs.to(graph.device, torch.long)
    if both_directions:
        graph._require_square("dropping both directions")
        pairs = torch.cat([pairs, pairs.flip(1)])
    limit = torch.tensor(graph.shape, device=graph.device)
    outside = ((pairs < 0) | (pairs >= limit)).any(1).nonzero().view(-1)
    if outside.numel():
        raise InputError(f"pair {pairs[outside[0]].tolist()} is outside a graph of shape {list(graph.shape)}.")
    rows, wanted_row = torch.unique(pairs[:, 0], return_inverse=True)
    rowptr, entries = entries_of(graph, rows)
    source = _source(graph)
    owner = torch.repeat_interleave(torch.arange(rows.numel(), device=graph.device), rowptr.diff().long())
    key = owner * graph.num_cols + source.col.index_select(0, entries)
    wanted = wanted_row * graph.num_cols + pairs[:, 1]
    missing = (~torch.isin(wanted, key)).nonzero().view(-1)
    if missing.numel():
        raise InputError(
            f"the graph has no entry at (row, column) {pairs[missing[0]].tolist()} ({missing.numel()} of the pairs are missing): "
            "drop entries that are there" + (", or give both_directions=False for a directed graph." if both_directions else ".")
        )
    return drop_positions(graph, entries[torch.isin(key, wanted)])


def drop_nodes(graph: SparseGraph, ids: Tensor) -> SparseGraph:
    """The graph without every entry from or to some nodes, whose ids stay as empty rows; see :meth:`SparseGraph.drop`.

    The work follows the entries of those nodes, found in the rows and in the kept transpose.

    Args:
        graph: A square graph without a total degree.
        ids: [n] int64 or int32.

    Raises:
        InputError: Not square, or not ids of its nodes.

    Example:
        >>> from graphforget.kernels import SparseGraph
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
        >>> drop_nodes(graph, torch.tensor([1])).to_edge_index().tolist()
        [[2], [0]]
    """
    graph._require_square("drop_nodes")
    check_positions(ids, graph.num_rows, "ids")
    ids = torch.unique(ids.to(graph.device, torch.long))
    plain = _source(graph)._plain
    incoming = plain.perm.index_select(0, slices(plain.transpose().rowptr, ids)[1]).long()
    outgoing = slices(plain.rowptr, ids)[1]
    return drop_positions(graph, torch.cat([incoming, outgoing]))


def entries_of(graph: SparseGraph, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where the entries of some rows stand: ``rowptr`` [m + 1] of the slices, and positions in the graph (its base) int64."""
    source = _source(graph)
    rowptr, entries = slices(source.rowptr, rows)
    if graph._edit is None or graph._edit.dropped.numel() == 0:
        return rowptr, entries
    dropped = graph._edit.dropped
    near = torch.searchsorted(dropped, entries).clamp_(max=dropped.numel() - 1)
    keep = dropped.index_select(0, near) != entries
    return count_before(keep).index_select(0, rowptr).to(rowptr.dtype), entries[keep]


def degree(graph: SparseGraph) -> Tensor:
    """Number of entries of each row of an edited graph."""
    edit = graph._edit
    assert edit is not None
    row = torch.searchsorted(edit.base.rowptr.long(), edit.dropped, right=True) - 1
    return edit.base.degree().index_add_(0, row, torch.full_like(row, -1))


def drop_positions(graph: SparseGraph, positions: Tensor) -> SparseGraph:
    """The graph without entries at ``positions`` of its arrays (its base's, where it is edited already)."""
    if graph.total_degree is not None:
        raise InputError("a graph with a total degree is a sample of another one: drop entries of that one, and sample again.")
    dropped = positions if graph._edit is None else torch.cat([graph._edit.dropped, positions])
    base = _source(graph)
    out = object.__new__(type(base))
    out._start(None, base.num_rows, base.num_cols)
    out._edit = Edit(base, torch.unique(dropped))
    if base.learned or out._edit.dropped.numel() * MOST_DROPPED > base.num_edges:
        settle(out)
    return out


@torch.inference_mode(False)  # what is kept must serve training later
def settle(graph: SparseGraph) -> None:
    """Write an edited graph out: its arrays, and its transpose where its base has one."""
    edit = graph._edit
    if edit is None:  # another thread was quicker
        return
    base, keep = edit.base, torch.ones(edit.base.num_edges, dtype=torch.bool, device=edit.base.device)
    keep[edit.dropped] = False
    if base.weighted:
        plain = graph._plain
        plain._settle()
        assert base.weight is not None
        graph._rowptr, graph._col, graph._weight = plain._rowptr, plain._col, base.weight[keep]
    else:
        before = count_before(keep)
        graph._rowptr = before.index_select(0, base.rowptr).to(base.col.dtype)
        graph._col, graph._weight = base.col[keep], None
        if base._transpose is not None:
            _settle_transpose(graph, base, keep, before)
    graph._edit = None


def _settle_transpose(graph: SparseGraph, base: SparseGraph, keep: Tensor, before: Tensor) -> None:
    other, perm = base.transpose(), base.perm
    kept = keep.index_select(0, perm)
    dtype = graph._col.dtype
    rowptr = count_before(kept).index_select(0, other.rowptr).to(dtype)
    col = other.col[kept]
    graph._edit = None  # its arrays are there now
    perm = before.index_select(0, perm[kept]).to(dtype)
    graph._transpose = derive.mirror(graph, rowptr, col, perm)


def _source(graph: SparseGraph) -> SparseGraph:
    return graph._edit.base if graph._edit else graph
