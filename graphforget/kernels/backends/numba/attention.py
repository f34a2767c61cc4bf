"""Attention in one pass over the rows and, backward, one over the rows of the transpose; compiled by numba (extra ``fast``).

Arrays are flat: ``x`` [m, heads, width], ``source`` [m, heads], ``target`` [n, heads], ``keep`` [E, heads] or empty. A row of
``stats`` holds, per head, what the backward pass must know of a target: its score, the logarithm of its sum of exponentials,
and a third number.
"""

# mypy: disable-error-code="call-arg, var-annotated, arg-type"
# (an intrinsic hides its typing context and its result from the type checker)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from torch import Tensor

from graphforget.kernels.backends.numba.launch import flat, run_rows
from graphforget.kernels.backends.numba.vector import axpy, dot, prefetch
from graphforget.kernels.graph import SparseGraph

_AHEAD = 8  # entries between the request for a row and its use
_BLOCK = 512  # entries summed before the sum is put away: rows of many thousands keep their precision
_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}  # infinities keep their meaning


def gat_forward(
    graph: SparseGraph, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """See :func:`~graphforget.kernels.backends.reference.gat_forward`.

    Returns:
        The sums [n, heads, d]; the part of them from positive scores [n, heads, d]; and per target and head its score,
        the logarithm of its sum of exponentials and the share of positive scores in it [n, heads, 3].
    """
    heads, width = x.shape[1:]
    out = x.new_zeros(graph.num_rows, heads, width)
    positive, stats = out.clone(), x.new_zeros(graph.num_rows, heads, 3)
    rowptr = graph.rowptr.numpy()
    arrays = [flat(t, x) for t in (x, source, target, keep, out, positive, stats)]
    run_rows(_forward, rowptr, rowptr, graph.col.numpy(), heads, width, x.numpy().dtype.type(slope), *arrays)
    return out, positive, stats


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
    out, positive, stats = saved
    heads, width = x.shape[1:]
    grad, stats, number = grad.contiguous(), stats.clone(), x.numpy().dtype.type
    grad_x, grad_source, grad_target = (x.new_zeros(t.shape) for t in (x, source, target))
    arrays = [flat(t, x) for t in (grad, out, positive, stats, grad_target)]
    run_rows(_backward_rows, graph.rowptr.numpy(), heads, width, number(slope), *arrays)
    back = graph.transpose()
    rowptr = back.rowptr.numpy()
    perm = graph.perm.numpy() if keep is not None else back.col.numpy()[:0]
    arrays = [flat(t, x) for t in (x, source, keep, stats, grad, grad_x, grad_source)]
    run_rows(_backward_columns, rowptr, rowptr, back.col.numpy(), perm, heads, width, number(slope), *arrays)
    return grad_x, grad_source, grad_target


@njit(nogil=True, cache=True, fastmath=_MATH)
def _forward(
    begin: int, end: int, rowptr: Any, col: Any, heads: int, width: int, slope: float,
    x: Any, source: Any, target: Any, keep: Any, out: Any, positive: Any, stats: Any,
) -> None:  # fmt: skip
    size = heads * width
    sums = np.empty(2 * size, x.dtype)  # entries of negative score, then of positive score
    total = np.empty(2 * heads, np.float64)
    peak = np.empty(heads, x.dtype)
    for i in range(begin, end):
        first, last = rowptr[i], rowptr[i + 1]
        if first == last:
            continue
        for h in range(heads):
            peak[h] = -np.inf
            total[h] = total[heads + h] = 0
        for e in range(first, last):
            for h in range(heads):
                score = target[i * heads + h] + source[col[e] * heads + h]
                peak[h] = max(peak[h], score if score > 0 else slope * score)
        for block in range(first, last, _BLOCK):
            sums[:] = 0
            for e in range(block, min(block + _BLOCK, last)):
                c = np.intp(col[e])
                if e + _AHEAD < col.size:
                    prefetch(x, np.intp(col[e + _AHEAD]) * size, size)
                for h in range(heads):
                    score = target[i * heads + h] + source[c * heads + h]
                    side = np.intp(score > 0)
                    weight = math.exp((score if side else slope * score) - peak[h])
                    total[side * heads + h] += weight
                    if keep.size:
                        weight *= keep[e * heads + h]
                    axpy(sums, side * size + h * width, weight, x, c * size + h * width, width)
            for k in range(size):
                out[i * size + k] += sums[k] + sums[size + k]
                positive[i * size + k] += sums[size + k]
        for h in range(heads):
            both = total[h] + total[heads + h]
            stats[(i * heads + h) * 3] = target[i * heads + h]
            stats[(i * heads + h) * 3 + 1] = peak[h] + math.log(both)
            stats[(i * heads + h) * 3 + 2] = total[heads + h] / both
            inverse = x.dtype.type(1 / both)
            for k in range(i * size + h * width, i * size + (h + 1) * width):
                out[k] *= inverse
                positive[k] *= inverse


@njit(nogil=True, cache=True, fastmath=_MATH)
def _backward_rows(
    begin: int, end: int, heads: int, width: int, slope: float, grad: Any, out: Any, positive: Any, stats: Any, grad_target: Any
) -> None:
    # The softmax's Jacobian takes each row's <grad, out> off. What is left sums to zero over a row, so only the bend of the
    # LeakyReLU gives the target a gradient, and the positive part of the sum says how much without another pass over entries.
    for i in range(begin * heads, end * heads):
        mean = dot(grad, i * width, out, i * width, width)
        grad_target[i] = (1 - slope) * (dot(grad, i * width, positive, i * width, width) - mean * stats[3 * i + 2])
        stats[3 * i + 2] = mean


@njit(nogil=True, cache=True, fastmath=_MATH)
def _backward_columns(
    begin: int, end: int, rowptr: Any, col: Any, perm: Any, heads: int, width: int, slope: float,
    x: Any, source: Any, keep: Any, stats: Any, grad: Any, grad_x: Any, grad_source: Any,
) -> None:  # fmt: skip
    size = heads * width
    sums = np.empty(size, x.dtype)
    slopes = np.empty(heads, np.float64)
    one = x.dtype.type(1)
    for j in range(begin, end):
        slopes[:] = 0
        for block in range(rowptr[j], rowptr[j + 1], _BLOCK):
            sums[:] = 0
            for e in range(block, min(block + _BLOCK, rowptr[j + 1])):
                i = np.intp(col[e])
                if e + _AHEAD < col.size:
                    ahead = np.intp(col[e + _AHEAD])
                    prefetch(grad, ahead * size, size)
                    prefetch(stats, ahead * heads * 3, heads * 3)
                for h in range(heads):
                    at = (i * heads + h) * 3
                    score = stats[at] + source[j * heads + h]
                    slant = one if score > 0 else slope
                    weight = math.exp(score * slant - stats[at + 1])
                    change = dot(grad, i * size + h * width, x, j * size + h * width, width)
                    kept = weight
                    if keep.size:
                        scale = keep[perm[e] * heads + h]
                        kept *= scale
                        change *= scale
                    slopes[h] += weight * (change - stats[at + 2]) * slant
                    axpy(sums, h * width, kept, grad, i * size + h * width, width)
            for k in range(size):
                grad_x[j * size + k] += sums[k]
        for h in range(heads):
            grad_source[j * heads + h] = slopes[h]
