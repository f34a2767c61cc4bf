"""CPU operations that numba compiles (extra ``fast``); numba is imported when one is first called."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.backends.numba import launch as numba_launch
from graphforget.kernels.graph import SparseGraph


def gat_forward(
    graph: SparseGraph, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: Tensor | None
) -> tuple[Tensor, ...]:
    """See :func:`~graphforget.kernels.backends.numba.attention.gat_forward`."""
    from graphforget.kernels.backends.numba import attention as numba_attention

    return numba_attention.gat_forward(graph, x, source, target, slope, keep)


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
    """See :func:`~graphforget.kernels.backends.numba.attention.gat_backward`."""
    from graphforget.kernels.backends.numba import attention as numba_attention

    return numba_attention.gat_backward(graph, x, source, target, slope, keep, saved, grad)


def serves(tensor: Tensor, backend: str | None) -> bool:
    """Whether the compiled operations can take this tensor, and the choice of backend allows it."""
    kinds = (torch.float32, torch.float64)
    return tensor.device.type == "cpu" and backend in (None, "cpu") and tensor.dtype in kinds and numba_launch.available()


def pair_dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor) -> Tensor:
    """``out[i] = <a[rows[i]], b[cols[i]]>``; [n]."""
    from graphforget.kernels.backends.numba import pairs as numba_pairs

    return numba_pairs.pair_dots(a, rows, b, cols)


def pair_scatter(z: Tensor, left: Tensor, right: Tensor, grad: Tensor) -> Tensor:
    """``out[left[i]] += grad[i] z[right[i]]`` and the reverse; [N, d]."""
    from graphforget.kernels.backends.numba import pairs as numba_pairs

    return numba_pairs.pair_scatter(z, left, right, grad)


def bpr_forward(user: Tensor, item: Tensor, triples: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`~graphforget.kernels.backends.pairs_reference.bpr_forward`."""
    from graphforget.kernels.backends.numba import pairs as numba_pairs

    return numba_pairs.bpr_forward(user, item, triples)


def bpr_backward(user: Tensor, item: Tensor, triples: Tensor, slope: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`~graphforget.kernels.backends.pairs_reference.bpr_backward`."""
    from graphforget.kernels.backends.numba import pairs as numba_pairs

    return numba_pairs.bpr_backward(user, item, triples, slope, grad)
