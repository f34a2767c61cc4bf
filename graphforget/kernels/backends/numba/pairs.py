"""Dot products of listed pairs and triples, and their gradients, compiled by numba (extra ``fast``).

The gradients add rows up per node. Every thread goes through the whole list and serves the nodes that are its own, in the list's
order: no sorting, no atomic operation, and the same bits whatever the number of threads.
"""

# mypy: disable-error-code="call-arg, var-annotated, arg-type"
# (an intrinsic hides its typing context and its result from the type checker)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from torch import Tensor

from graphforget.kernels.backends.numba.launch import flat, run_items, run_owners
from graphforget.kernels.backends.numba.vector import axpy, dot, prefetch

_AHEAD = 8  # entries between the request for a row and its use
_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


def pair_dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor) -> Tensor:
    """``out[i] = <a[rows[i]], b[cols[i]]>``; [n]."""
    out = a.new_empty(rows.numel())
    run_items(_dots, len(out), a.size(1), *(flat(t, a) for t in (a, rows, b, cols, out)))
    return out


def pair_scatter(z: Tensor, left: Tensor, right: Tensor, grad: Tensor) -> Tensor:
    """``out[left[i]] += grad[i] z[right[i]]`` and the reverse; [N, d]."""
    out = z.new_zeros(z.shape)
    run_owners(_scatter, 2 * left.numel(), z.size(1), *(flat(t, z) for t in (z, left, right, grad, out)))
    return out


def bpr_forward(user: Tensor, item: Tensor, triples: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`~graphforget.kernels.backends.reference.bpr_forward`."""
    loss, slope = user.new_empty(len(triples)), user.new_empty(len(triples))
    run_items(_bpr, len(triples), user.size(1), *(flat(t, user) for t in (user, item, triples, loss, slope)))
    return loss, slope


def bpr_backward(user: Tensor, item: Tensor, triples: Tensor, slope: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`~graphforget.kernels.backends.reference.bpr_backward`."""
    grad_user, grad_item = user.new_zeros(user.shape), item.new_zeros(item.shape)
    arrays = [flat(t, user) for t in (user, item, triples, slope * grad, grad_user, grad_item)]
    run_owners(_bpr_scatter, 4 * len(triples), user.size(1), *arrays)
    return grad_user, grad_item


@njit(nogil=True, cache=True, fastmath=_MATH)
def _dots(begin: int, end: int, width: int, a: Any, rows: Any, b: Any, cols: Any, out: Any) -> None:
    for i in range(begin, end):
        if i + _AHEAD < rows.size:
            prefetch(a, np.intp(rows[i + _AHEAD]) * width, width)
            prefetch(b, np.intp(cols[i + _AHEAD]) * width, width)
        out[i] = dot(a, np.intp(rows[i]) * width, b, np.intp(cols[i]) * width, width)


@njit(nogil=True, cache=True)
def _owner(node: int, threads: int) -> int:
    return (((node * 2654435761) & 0xFFFFFFFF) * threads) >> 32  # Knuth's multiplicative hash: hubs spread out


@njit(nogil=True, cache=True, fastmath=_MATH)
def _scatter(me: int, threads: int, width: int, z: Any, left: Any, right: Any, grad: Any, out: Any) -> None:
    for i in range(left.size):
        u, v = np.intp(left[i]), np.intp(right[i])
        if i + _AHEAD < left.size:
            a, b = np.intp(left[i + _AHEAD]), np.intp(right[i + _AHEAD])
            if _owner(a, threads) == me:
                prefetch(z, b * width, width)
                prefetch(out, a * width, width)
            if _owner(b, threads) == me:
                prefetch(z, a * width, width)
                prefetch(out, b * width, width)
        if _owner(u, threads) == me:
            axpy(out, u * width, grad[i], z, v * width, width)
        if _owner(v, threads) == me:
            axpy(out, v * width, grad[i], z, u * width, width)


@njit(nogil=True, cache=True, fastmath=_MATH)
def _bpr(begin: int, end: int, width: int, user: Any, item: Any, triples: Any, loss: Any, slope: Any) -> None:
    for i in range(begin, end):
        if 3 * (i + _AHEAD) < triples.size:
            ahead = 3 * (i + _AHEAD)
            prefetch(user, np.intp(triples[ahead]) * width, width)
            prefetch(item, np.intp(triples[ahead + 1]) * width, width)
            prefetch(item, np.intp(triples[ahead + 2]) * width, width)
        u, p, n = np.intp(triples[3 * i]) * width, np.intp(triples[3 * i + 1]) * width, np.intp(triples[3 * i + 2]) * width
        margin = dot(user, u, item, p, width) - dot(user, u, item, n, width)
        power = math.exp(-abs(margin))
        loss[i] = max(-margin, 0) + math.log1p(power)
        slope[i] = -(power if margin > 0 else 1) / (1 + power)


@njit(nogil=True, cache=True, fastmath=_MATH)
def _bpr_scatter(
    me: int, threads: int, width: int, user: Any, item: Any, triples: Any, grad: Any, grad_user: Any, grad_item: Any
) -> None:
    for i in range(grad.size):
        u, p, n = np.intp(triples[3 * i]), np.intp(triples[3 * i + 1]), np.intp(triples[3 * i + 2])
        if _owner(u, threads) == me:
            axpy(grad_user, u * width, grad[i], item, p * width, width)
            axpy(grad_user, u * width, -grad[i], item, n * width, width)
        if _owner(p, threads) == me:
            axpy(grad_item, p * width, grad[i], user, u * width, width)
        if _owner(n, threads) == me:
            axpy(grad_item, n * width, -grad[i], user, u * width, width)
