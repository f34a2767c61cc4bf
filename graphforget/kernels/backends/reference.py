"""Plain torch, any device and dtype: the oracle. It gathers one row per entry, so memory grows with entries x width."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.graph import SparseGraph


def devices() -> tuple[str, ...]:
    """Device types it runs on."""
    return ("cpu", "cuda", "mps", "xpu")


def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i; [n, d]."""
    messages = x.index_select(0, graph.col)
    if weight is not None:
        messages = messages * weight.unsqueeze(-1)
    return x.new_zeros(graph.num_rows, x.size(1)).index_add_(0, graph.row, messages)


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
