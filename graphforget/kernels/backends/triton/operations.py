"""CUDA through own Triton kernels: row-parallel, in a fixed order and without atomics, so that two runs agree in every bit.

float32, bfloat16 and float16 are added up in float32, float64 in float64. Block sizes are fixed, not tuned at run time: a tuner
could choose another order of addition in the next process. With ``TRITON_INTERPRET=1`` set before the first import, the kernels
run on the CPU, slowly, for tests.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from graphforget.kernels.backends.triton import kernels
from graphforget.kernels.backends.triton.attention import gat_backward, gat_forward
from graphforget.kernels.backends.triton.buckets import Buckets, Segments, buckets, row_buckets
from graphforget.kernels.backends.triton.launch import TILE, accumulator, contiguous, on, tile
from graphforget.kernels.csr import compress
from graphforget.kernels.graph import SparseGraph

__all__ = [
    "bpr_backward",
    "bpr_forward",
    "devices",
    "extreme_entry",
    "gat_backward",
    "gat_forward",
    "masked_spmm",
    "pair_dots",
    "scaled_spmm",
    "segment_sum",
    "spmm",
    "spmm_rows",
]

INTERPRETED = not isinstance(kernels.gather_sum, triton.runtime.JITFunction)


def devices() -> tuple[str, ...]:
    """Device types it runs on."""
    return ("cuda", "cpu") if INTERPRETED else ("cuda",)


# ---- sums -------------------------------------------------------------------------------------------------------
def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i; [n, d]."""
    return _sum(buckets(graph.rowptr), graph.col, weight, x)


def spmm_rows(graph: SparseGraph, weight: Tensor | None, x: Tensor, rows: Tensor) -> Tensor:
    """Rows ``rows`` of :func:`spmm` alone; [len(rows), d]."""
    return _sum(row_buckets(graph.rowptr, rows), graph.col, weight, x)


def masked_spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor, keep: Tensor) -> Tensor:
    """:func:`spmm` over the entries whose ``keep`` [E] is true; the others' rows of ``x`` are not even read."""
    return _sum(buckets(graph.rowptr), graph.col, weight, x, keep=keep)


def scaled_spmm(graph: SparseGraph, x: Tensor, scale_row: Tensor, scale_col: Tensor) -> Tensor:
    """``diag(scale_row) A diag(scale_col) x`` with A's entries all 1: a normalised adjacency without a weight per entry."""
    return _sum(buckets(graph.rowptr), graph.col, None, x, scale=(scale_row, scale_col))


def segment_sum(rowptr: Tensor, order: Tensor | None, values: Tensor) -> Tensor:
    """Sums of consecutive rows of ``values`` (read in ``order``) between the marks of ``rowptr``; [n, h]."""
    return _sum(buckets(rowptr), order, None, values)


def _sum(
    plan: Buckets,
    col: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    *,
    keep: Tensor | None = None,
    scale: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    acc, kind = accumulator(x)
    table, weight, keep = x.contiguous(), contiguous(weight), None if keep is None else keep.contiguous().view(torch.uint8)
    scale_row, scale_col = (None, None) if scale is None else (contiguous(scale[0]), contiguous(scale[1]))
    width = x.size(1)
    out = x.new_empty(plan.num_slots, width)
    if width == 0:
        return out

    def run(segments: Segments, source: tuple[Any, ...], target: Tensor, last_scale: Tensor | None) -> None:
        values, index, factor, bits, inner = source
        r, k, d = tile(width, segments.short)
        kernels.gather_sum[triton.cdiv(len(segments), r), triton.cdiv(width, d)](
            values, index, factor, bits, inner, last_scale, segments.start, segments.end, segments.slot, target,
            len(segments), width, ACC=acc, R=r, K=k, D=d,
        )  # fmt: skip

    with on(x):
        for segments in plan.whole:
            run(segments, (table, col, weight, keep, scale_col), out, scale_row)
        if plan.parts is not None and plan.joins is not None:
            part = x.new_empty(len(plan.parts), width, dtype=kind)
            run(plan.parts, (table, col, weight, keep, scale_col), part, None)
            run(plan.joins, (part, None, None, None, None), out, scale_row)
    return out


# ---- extremes ---------------------------------------------------------------------------------------------------
def extreme_entry(graph: SparseGraph, weight: Tensor | None, x: Tensor, largest: bool) -> Tensor:
    """Position of the first entry of each row with the largest (smallest) message; 0 for an empty row. [n, d] int64."""
    (acc, kind), plan, width = accumulator(x), buckets(graph.rowptr), x.size(1)
    out = torch.empty(plan.num_slots, width, dtype=torch.long, device=x.device)
    if width == 0:
        return out

    def run(segments: Segments, source: tuple[Tensor | None, ...], places: Tensor, ranks: Tensor | None) -> None:
        r, k, d = tile(width, segments.short)
        kernels.gather_extreme[triton.cdiv(len(segments), r), triton.cdiv(width, d)](
            *source, segments.start, segments.end, segments.slot, places, ranks,
            len(segments), width, LARGEST=largest, ACC=acc, R=r, K=k, D=d,
        )  # fmt: skip

    read = (x.contiguous(), graph.col, contiguous(weight), None)
    with on(x):
        for segments in plan.whole:
            run(segments, read, out, None)
        if plan.parts is not None and plan.joins is not None:
            places = out.new_empty(len(plan.parts), width)
            ranks = x.new_empty(places.shape, dtype=kind)
            run(plan.parts, read, places, ranks)
            run(plan.joins, (ranks, None, None, places), out, None)
    return out


# ---- pairs and triples --------------------------------------------------------------------------------------------
def pair_dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor) -> Tensor:
    """``out[i] = <a[rows[i]], b[cols[i]]>``; [n]."""
    (acc, _), num, width = accumulator(a), rows.numel(), a.size(1)
    out = a.new_empty(num)
    if num:
        d = min(triton.next_power_of_2(max(width, 1)), 128)
        p = max(TILE // d, 1)
        with on(a):
            kernels.dots[(triton.cdiv(num, p),)](
                a.contiguous(), rows, b.contiguous(), cols, out, num, width, rows.stride(0), cols.stride(0), ACC=acc, P=p, D=d
            )
    return out


def bpr_forward(user: Tensor, item: Tensor, triples: Tensor) -> tuple[Tensor, Tensor]:
    """Bayesian personalised ranking (Rendle et al., arXiv:1205.2618): ``softplus(-<user[u], item[i] - item[j]>)`` per triple.

    Args:
        user: [U, d].
        item: [I, d].
        triples: [n, 3] integers (u, i, j).

    Returns:
        The losses [n], and their derivatives by the margin [n], which :func:`bpr_backward` wants.
    """
    (acc, kind), num, width = accumulator(user), triples.size(0), user.size(1)
    loss, slope = user.new_empty(num), user.new_empty(num, dtype=kind)
    if num:
        d = min(triton.next_power_of_2(max(width, 1)), 128)
        p = max(TILE // (2 * d), 1)
        with on(user):
            kernels.bpr_triples[(triton.cdiv(num, p),)](
                user.contiguous(), item.contiguous(), triples.contiguous(), loss, slope, num, width, ACC=acc, P=p, D=d
            )
    return loss, slope


def bpr_backward(user: Tensor, item: Tensor, triples: Tensor, slope: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of ``user`` and ``item``: sums over triples sorted by user and by item, ``grad`` [n] being that of the losses."""
    u, i, j = triples.t()
    change = slope * grad
    both, twice = torch.cat([i, j]), torch.cat([change, -change])
    return (_scatter(u.repeat(2), both, twice, item, user.size(0)), _scatter(both, u.repeat(2), twice, user, item.size(0)))


def _scatter(row: Tensor, col: Tensor, weight: Tensor, x: Tensor, num_rows: int) -> Tensor:
    """``out[row[k]] += weight[k] * x[col[k]]``, by sorting: a fixed order of additions."""
    rowptr, source, order = compress(row, col, num_rows, x.size(0))
    return _sum(buckets(rowptr), source, weight.index_select(0, order), x)
