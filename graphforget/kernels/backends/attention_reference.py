"""Graph attention in plain torch, any device and dtype: the oracle. It builds [E, heads, d]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.kernels.graph import SparseGraph


def gat_forward(
    graph: SparseGraph, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: Tensor | None
) -> tuple[Tensor, ...]:
    """Attention-weighted sums of the rows of ``x`` along the entries (Velickovic et al., arXiv:1710.10903, eqs. 1 to 4).

    Args:
        graph: [n, m]; its weights play no part.
        x: [m, heads, d].
        source: [m, heads] scores of the columns.
        target: [n, heads] scores of the rows.
        slope: Of the LeakyReLU.
        keep: [E, heads] factors on the attention weights after the softmax (dropout), in CSR order, or None.

    Returns:
        The sums [n, heads, d], then whatever tensors ``gat_backward`` wants to find in ``saved``.
    """
    alpha = _alpha(graph, source, target, slope)
    kept = alpha if keep is None else alpha * keep
    out = x.new_zeros(graph.num_rows, *x.shape[1:])
    return (out.index_add_(0, graph.row, kept.unsqueeze(-1) * x.index_select(0, graph.col)),)


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
    """Gradients of ``x``, ``source`` and ``target``; ``saved`` is what :func:`gat_forward` returned, ``grad`` [n, heads, d]."""
    row, col = graph.row, graph.col
    alpha = _alpha(graph, source, target, slope)
    kept = alpha if keep is None else alpha * keep
    along = grad.index_select(0, row)
    grad_x = x.new_zeros(x.shape).index_add_(0, col, kept.unsqueeze(-1) * along)
    change = (along * x.index_select(0, col)).sum(-1)
    change = change if keep is None else change * keep
    mean = target.new_zeros(target.shape).index_add_(0, row, alpha * change)
    positive = target.index_select(0, row) + source.index_select(0, col) > 0
    change = alpha * (change - mean.index_select(0, row))
    change = torch.where(positive, change, slope * change)
    grad_source = source.new_zeros(source.shape).index_add_(0, col, change)
    return grad_x, grad_source, target.new_zeros(target.shape).index_add_(0, row, change)


def _alpha(graph: SparseGraph, source: Tensor, target: Tensor, slope: float) -> Tensor:
    scores = F.leaky_relu(target.index_select(0, graph.row) + source.index_select(0, graph.col), slope)
    index = graph.row.long().unsqueeze(-1).expand_as(scores)
    peak = scores.new_zeros(target.shape).scatter_reduce(0, index, scores, "amax", include_self=False)
    power = (scores - peak.index_select(0, graph.row)).exp()
    total = scores.new_zeros(target.shape).index_add_(0, graph.row, power)
    return power / total.index_select(0, graph.row)
