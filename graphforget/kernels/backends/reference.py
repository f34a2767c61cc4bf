"""Plain torch, any device and dtype: the oracle. It gathers one row per entry, so memory grows with entries x width."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.csr import slices
from graphforget.kernels.graph import SparseGraph


def devices() -> tuple[str, ...]:
    """Device types it runs on."""
    return ("cpu", "cuda", "mps", "xpu")


def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i; [n, d]."""
    return _add_rows(graph, _messages(graph, weight, x), x.dtype)


def spmm_rows(graph: SparseGraph, weight: Tensor | None, x: Tensor, rows: Tensor) -> Tensor:
    """The listed rows of :func:`spmm`; [len(rows), d]."""
    marks, entries = slices(graph.rowptr, rows)
    part = SparseGraph(marks, graph.col.index_select(0, entries), num_cols=graph.num_cols)
    return spmm(part, None if weight is None else weight.index_select(0, entries), x)


def masked_spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor, keep: Tensor) -> Tensor:
    """:func:`spmm` over the entries whose bit is set, whatever the others hold; [n, d]."""
    return _add_rows(graph, _messages(graph, weight, x).masked_fill_(~keep.unsqueeze(-1), 0.0), x.dtype)


def extreme_entry(graph: SparseGraph, weight: Tensor | None, x: Tensor, largest: bool) -> Tensor:
    """Position of the first entry of each row with the largest (smallest) message; 0 for an empty row. [n, d] int64.

    NaN counts as both the largest and the smallest.
    """
    messages, owner = _messages(graph, weight, x), graph.row.long()
    rank = messages if largest else -messages
    index, nan = owner.unsqueeze(-1).expand_as(rank), messages.isnan()
    best = rank.new_full((graph.num_rows, rank.size(1)), -torch.inf).scatter_reduce_(0, index, rank.masked_fill(nan, 0), "amax")
    spoilt = torch.zeros_like(best).scatter_reduce_(0, index, nan.to(best.dtype), "amax").bool()
    hit = nan | ((rank == best.index_select(0, owner)) & ~spoilt.index_select(0, owner))
    place = torch.arange(rank.size(0), device=rank.device).unsqueeze(-1)
    candidate = place.where(hit, rank.size(0))
    first = candidate.new_full(best.shape, rank.size(0)).scatter_reduce_(0, index, candidate, "amin")
    return first.masked_fill_(first == rank.size(0), 0)


def segment_sum(rowptr: Tensor, order: Tensor | None, values: Tensor) -> Tensor:
    """Sums of consecutive rows of ``values`` (read in ``order``) between the marks of ``rowptr``; [n, h]."""
    rows = torch.repeat_interleave(torch.arange(rowptr.numel() - 1, device=values.device), rowptr.diff().long())
    taken = values if order is None else values.index_select(0, order)
    return values.new_zeros(rowptr.numel() - 1, values.size(1)).index_add_(0, rows, taken)


def segment_max(graph: SparseGraph, values: Tensor) -> Tensor:
    """Largest of the entries of each row; 0 for an empty row. [E, h] -> [n, h]."""
    out = values.new_zeros(graph.num_rows, values.size(1))
    index = graph.row.long().unsqueeze(-1).expand_as(values)
    return out.scatter_reduce(0, index, values, "amax", include_self=False)


def pair_dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor) -> Tensor:
    """``out[i] = <a[rows[i]], b[cols[i]]>``; [n]."""
    return (a.index_select(0, rows) * b.index_select(0, cols)).sum(1)


def _messages(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    # Half types are summed in float32: a row may have thousands of entries.
    wide = x.float() if x.element_size() < 4 else x
    messages = wide.index_select(0, graph.col)
    return messages if weight is None else messages * weight.unsqueeze(-1)


def _add_rows(graph: SparseGraph, messages: Tensor, dtype: torch.dtype) -> Tensor:
    out = messages.new_zeros(graph.num_rows, messages.size(1)).index_add_(0, graph.row, messages)
    return out.to(dtype)


from graphforget.kernels.backends.attention_reference import gat_backward, gat_forward  # noqa: E402, F401
from graphforget.kernels.backends.pairs_reference import bpr_backward, bpr_forward  # noqa: E402, F401
