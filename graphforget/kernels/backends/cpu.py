"""CPU: torch's embedding-bag kernel, which is vectorised, row-parallel and deterministic and needs no compiler."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.graph import SparseGraph

_CHUNK = 16384  # rows gathered at a time: small enough to stay in cache, large enough for every thread


def devices() -> tuple[str, ...]:
    """Device types it runs on."""
    return ("cpu",)


def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i: one bag per row; [n, d]."""
    return _bags(graph.rowptr, graph.col, weight, x)


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
