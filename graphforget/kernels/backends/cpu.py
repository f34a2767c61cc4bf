"""CPU: torch's embedding-bag kernel, which is vectorised, row-parallel and deterministic and needs no compiler.

The fused operations of this backend, compiled by numba, are in :mod:`graphforget.kernels.backends.numba`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.csr import count_before, slices
from graphforget.kernels.graph import SparseGraph

_PATCH = 8  # rows that lose entries are summed twice while they hold at most one entry in so many
_CHUNK = 16384  # rows gathered at a time: small enough to stay in cache, large enough for every thread


def devices() -> tuple[str, ...]:
    """Device types it runs on."""
    return ("cpu",)


def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i: one bag per row; [n, d]."""
    return _bags(graph.rowptr, graph.col, weight, x)


def spmm_rows(graph: SparseGraph, weight: Tensor | None, x: Tensor, rows: Tensor) -> Tensor:
    """The listed rows of :func:`spmm`; [len(rows), d]."""
    marks, entries = slices(graph.rowptr, rows)
    return _bags(marks, graph.col.index_select(0, entries), None if weight is None else weight.index_select(0, entries), x)


def masked_spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor, keep: Tensor) -> Tensor:
    """:func:`spmm` over the entries whose bit is set, whatever the others hold; [n, d].

    Rows that lose entries are summed again without them; where those hold a good part of the graph, only the kept entries are
    summed in the first place.
    """
    gone = (~keep).nonzero().view(-1)
    rows = torch.unique_consecutive(graph.row.index_select(0, gone)).long()
    if int(graph.degree().index_select(0, rows).sum()) * _PATCH > graph.num_edges:
        rowptr = count_before(keep).index_select(0, graph.rowptr).to(graph.col.dtype)
        return _bags(rowptr, graph.col[keep], None if weight is None else weight[keep], x)
    out = spmm(graph, weight, x)
    if rows.numel():
        marks, entries = slices(graph.rowptr, rows)
        kept = keep.index_select(0, entries)
        marks, entries = count_before(kept).index_select(0, marks).to(marks.dtype), entries[kept]
        part = None if weight is None else weight.index_select(0, entries)
        out.index_copy_(0, rows, _bags(marks, graph.col.index_select(0, entries), part, x))
    return out


def extreme_entry(graph: SparseGraph, weight: Tensor | None, x: Tensor, largest: bool) -> Tensor:
    """As the reference's, over a few rows of one degree at a time: memory follows the longest row, not all entries."""
    out = torch.zeros(graph.num_rows, x.size(1), dtype=torch.long)
    degree, order = graph.degree().sort(stable=True)
    count, sizes = degree.unique_consecutive(return_counts=True)
    for k, group in zip(count.tolist(), order.split(sizes.tolist()), strict=True):
        for rows in group.split(max(1, _CHUNK // k)) if k else ():
            start = graph.rowptr.index_select(0, rows).long().unsqueeze(1)
            entries = (start + torch.arange(k)).view(-1)
            messages = x.index_select(0, graph.col.index_select(0, entries))
            if weight is not None:
                messages = messages * weight.index_select(0, entries).unsqueeze(-1)
            block = messages.view(-1, k, x.size(1))
            # Of equal ones both return the first.
            place = (block.max(1) if largest else block.min(1)).indices
            out.index_copy_(0, rows, place.add_(start))
    return out


def segment_sum(rowptr: Tensor, order: Tensor | None, values: Tensor) -> Tensor:
    """Sums of consecutive rows of ``values`` (read in ``order``) between the marks of ``rowptr``; [n, h]."""
    index = torch.arange(values.size(0), dtype=rowptr.dtype) if order is None else order
    return _bags(rowptr, index, None, values)


def pair_dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor) -> Tensor:
    """``out[i] = <a[rows[i]], b[cols[i]]>``, in pieces; [n]."""
    rows, cols = rows.contiguous(), cols.contiguous()
    pieces = [
        (a.index_select(0, rows[i : i + _CHUNK]) * b.index_select(0, cols[i : i + _CHUNK])).sum(1)
        for i in range(0, rows.numel(), _CHUNK)
    ]
    return torch.cat(pieces) if pieces else a.new_zeros(0)


def _bags(rowptr: Tensor, col: Tensor, weight: Tensor | None, x: Tensor) -> Tensor:
    if col.numel() == 0 or x.size(1) == 0:
        return x.new_zeros(rowptr.numel() - 1, x.size(1))
    # detach: the bag would otherwise prepare for its own, slow, backward.
    table = x.detach().contiguous()
    scale = None if weight is None else weight.detach().contiguous()
    return torch.embedding_bag(table, col, rowptr, False, 0, False, scale, True)[0]
