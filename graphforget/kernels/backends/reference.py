"""Plain torch, any device and dtype: the oracle. It gathers one row per entry, so memory grows with entries x width."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.kernels.csr import slices
from graphforget.kernels.graph import SparseGraph


def devices() -> tuple[str, ...]:
    """Device types it runs on."""
    return ("cpu", "cuda", "mps", "xpu")


# ---- sums and extremes ---------------------------------------------------------------------------------------------
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


def _messages(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    # Half types are summed in float32: a row may have thousands of entries.
    wide = x.float() if x.element_size() < 4 else x
    messages = wide.index_select(0, graph.col)
    return messages if weight is None else messages * weight.unsqueeze(-1)


def _add_rows(graph: SparseGraph, messages: Tensor, dtype: torch.dtype) -> Tensor:
    out = messages.new_zeros(graph.num_rows, messages.size(1)).index_add_(0, graph.row, messages)
    return out.to(dtype)


# ---- attention ------------------------------------------------------------------------------------------------------
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


# ---- pairs and triples ----------------------------------------------------------------------------------------------
def pair_dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor) -> Tensor:
    """``out[i] = <a[rows[i]], b[cols[i]]>``; [n]."""
    return (a.index_select(0, rows) * b.index_select(0, cols)).sum(1)


def bpr_forward(user: Tensor, item: Tensor, triples: Tensor) -> tuple[Tensor, Tensor]:
    """``-ln sigmoid(<user[u], item[p] - item[n]>)`` for each triple (Rendle et al., UAI 2009).

    Args:
        user: [U, d].
        item: [I, d].
        triples: [t, 3] integers (u, p, n).

    Returns:
        The losses and their derivatives with respect to the margin, both [t]; :func:`bpr_backward` wants the latter.
    """
    u, p, n = triples.t()
    margin = (user.index_select(0, u) * (item.index_select(0, p) - item.index_select(0, n))).sum(1)
    return -F.logsigmoid(margin), -(-margin).sigmoid()


def bpr_backward(user: Tensor, item: Tensor, triples: Tensor, slope: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients [U, d] and [I, d] of the losses weighted by ``grad`` [t]; ``slope`` is what :func:`bpr_forward` returned."""
    u, p, n = triples.t()
    along = (slope * grad).unsqueeze(-1)
    grad_user = user.new_zeros(user.shape).index_add(0, u, along * (item.index_select(0, p) - item.index_select(0, n)))
    part = along * user.index_select(0, u)
    return grad_user, item.new_zeros(item.shape).index_add(0, p, part).index_add(0, n, -part)
