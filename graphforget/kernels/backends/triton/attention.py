"""Graph attention through the Triton kernels of :mod:`.kernels_attention`."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from graphforget.kernels.backends.triton import kernels
from graphforget.kernels.backends.triton import kernels_attention as attention
from graphforget.kernels.backends.triton.buckets import Segments, buckets
from graphforget.kernels.backends.triton.launch import TILE, accumulator, contiguous, head_tile, on, tile
from graphforget.kernels.graph import SparseGraph


def gat_forward(
    graph: SparseGraph, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: Tensor | None
) -> tuple[Tensor, ...]:
    """See :func:`~graphforget.kernels.backends.reference.gat_forward`.

    Returns:
        The sums [n, heads, d]; the part of them from entries of positive score; per target and head the log-sum-exp of its
        scores and the share of positive scores in it, both [n, heads]; and, of a half type, the sums before rounding.
    """
    (acc, kind), (heads, width) = accumulator(x), x.shape[1:]
    plan = buckets(graph.rowptr)
    tables = [t.contiguous() for t in (x, target, source, graph.col)] + [contiguous(keep)]
    rounds = x.dtype != kind

    def results(num: int) -> list[Tensor]:
        wide, narrow = (num, heads, width), (num, heads)
        return [x.new_empty(size, dtype=kind) for size in (wide, wide, narrow, narrow, narrow)]

    def run(segments: Segments, out: Tensor, exact: Tensor | None, rest: list[Tensor | None], part: bool) -> None:
        r, k, h, d = head_tile(heads, width, segments.short)
        attention.attend[(triton.cdiv(len(segments), r) * triton.cdiv(heads, h),)](
            *tables, segments.start, segments.end, segments.row, segments.slot, out, exact, *rest,
            len(segments), heads, width, SLOPE=slope, PART=part, ACC=acc, R=r, K=k, H=h, D=d,
        )  # fmt: skip

    exact, positive, top, _, share = results(plan.num_slots)
    out, also = (x.new_empty(exact.shape), exact) if rounds else (exact, None)
    saved = (out, positive, top, share, *([exact] if rounds else []))
    if exact.numel() == 0:
        return saved
    with on(x):
        for segments in plan.whole:
            run(segments, out, also, [positive, top, None, share], False)
        if plan.parts is not None and plan.joins is not None:
            part, *rest = results(len(plan.parts))
            run(plan.parts, part, None, [rest[0], rest[1], rest[2], rest[3]], True)
            joins, d = plan.joins, triton.next_power_of_2(width)
            attention.merge_parts[(len(joins) * heads,)](
                part, *rest, joins.start, joins.end, joins.slot, out, also, positive, top, share,
                heads, width, ACC=acc, K=max(min(TILE // d, 16), 1), D=d,
            )  # fmt: skip
    return saved


def gat_backward(
    graph: SparseGraph,
    x: Tensor,
    source: Tensor,
    target: Tensor,
    slope: float,
    keep: Tensor | None,
    saved: tuple[Tensor, ...],
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``x``, ``source`` and ``target``, ``saved`` being what :func:`gat_forward` returned."""
    out, positive, top, share, *unrounded = saved
    exact = unrounded[0] if unrounded else out
    (acc, kind), (heads, width) = accumulator(x), x.shape[1:]
    back, grad = graph.transpose(), grad.contiguous()
    plan = buckets(back.rowptr)
    common, grad_target = torch.empty_like(top), torch.empty_like(target, memory_format=torch.contiguous_format)
    grad_x, grad_source = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, source))
    if width == 0 or heads == 0:
        return grad_x, grad_source.zero_(), grad_target.zero_()
    perm = None if keep is None else graph.perm
    tables = [t.contiguous() for t in (x, grad, target, source, top, common, back.col)] + [perm, contiguous(keep)]

    def run(segments: Segments, out: Tensor, score: Tensor) -> None:
        r, k, h, d = head_tile(heads, width, segments.short)
        attention.attend_cols_backward[(triton.cdiv(len(segments), r) * triton.cdiv(heads, h),)](
            *tables, segments.start, segments.end, segments.row, segments.slot, out, score,
            len(segments), heads, width, SLOPE=slope, ACC=acc, R=r, K=k, H=h, D=d,
        )  # fmt: skip

    with on(x):
        if top.numel():
            d = min(triton.next_power_of_2(width), 128)
            p = max(TILE // d, 1)
            attention.attend_rows_backward[(triton.cdiv(top.numel(), p),)](
                grad, exact, positive, share, common, grad_target, top.numel(), width, SLOPE=slope, ACC=acc, P=p, D=d
            )
        for segments in plan.whole:
            run(segments, grad_x, grad_source)
        if plan.parts is not None and plan.joins is not None:
            part = x.new_empty(len(plan.parts), heads, width, dtype=kind)
            part_score = x.new_empty(len(plan.parts), heads, dtype=kind)
            run(plan.parts, part, part_score)
            _join(plan.joins, part.view(len(part), -1), grad_x.view(len(grad_x), -1), acc)
            _join(plan.joins, part_score, grad_source, acc)
    return grad_x, grad_source, grad_target


def _join(joins: Segments, part: Tensor, out: Tensor, acc: Any) -> None:
    """Add up the parts of every hub, in order, into its row of ``out``."""
    width = part.size(1)
    r, k, d = tile(width, joins.short)
    kernels.gather_sum[triton.cdiv(len(joins), r), triton.cdiv(width, d)](
        part, None, None, None, None, None, joins.start, joins.end, joins.slot, out,
        len(joins), width, ACC=acc, R=r, K=k, D=d,
    )  # fmt: skip
