"""Differentiable operations on a :class:`SparseGraph`.

Every backward pass is again one of these operations, run over the kept transpose, so second derivatives exist
(Hessian-vector products for influence functions) and no entries-by-width tensor is built.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.kernels.backends import row_max, weighted_sum
from graphforget.kernels.graph import SparseGraph, compress

Reduce = Literal["sum", "mean", "max"]
_CHUNK = 16384  # rows gathered at a time: small enough to stay in cache, large enough for every thread


class _SpMM(torch.autograd.Function):
    """``A x``. With ``weight`` None the graph's own weights are constants; else ``weight`` holds A's values."""

    @staticmethod
    def forward(graph: SparseGraph, x: Tensor, weight: Tensor | None) -> Tensor:
        value = graph.weight if weight is None else weight
        return weighted_sum(graph.rowptr, graph.col, None if value is None else value.detach().to(x.dtype), x.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, x, weight = inputs
        ctx.constant = weight is None
        if not ctx.constant:
            ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph = ctx.graph
        grad_x = grad_weight = None
        if ctx.constant:
            return None, _SpMM.apply(graph.transpose(), grad, None), None
        x, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            grad_x = _SpMM.apply(graph.transpose(), grad, weight.index_select(0, graph.perm))
        if ctx.needs_input_grad[2]:
            grad_weight = _SDDMM.apply(graph, grad, x)
        return None, grad_x, grad_weight


class _SDDMM(torch.autograd.Function):
    """``out[e] = <a[row[e]], b[col[e]]>``, in pieces."""

    @staticmethod
    def forward(graph: SparseGraph, a: Tensor, b: Tensor) -> Tensor:
        return _dots(a.detach(), graph.row, b.detach(), graph.col)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, a, b = inputs
        ctx.save_for_backward(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph, (a, b) = ctx.graph, ctx.saved_tensors
        grad_a = _SpMM.apply(graph, b, grad) if ctx.needs_input_grad[1] else None
        grad_b = None
        if ctx.needs_input_grad[2]:
            grad_b = _SpMM.apply(graph.transpose(), a, grad.index_select(0, graph.perm))
        return None, grad_a, grad_b


class _Gather(torch.autograd.Function):
    """One row of ``x`` per entry: that of its target (``"row"``) or of its source (``"col"``)."""

    @staticmethod
    def forward(graph: SparseGraph, x: Tensor, side: str) -> Tensor:
        return x.index_select(0, graph.row if side == "row" else graph.col)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, _, ctx.side = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, _Sum.apply(ctx.graph, grad, ctx.side), None


class _Sum(torch.autograd.Function):
    """The adjoint of :class:`_Gather`: entries added up per target or per source."""

    @staticmethod
    def forward(graph: SparseGraph, values: Tensor, side: str) -> Tensor:
        if side == "row":
            index = torch.arange(graph.num_edges, dtype=graph.col.dtype, device=values.device)
            return weighted_sum(graph.rowptr, index, None, values)
        return weighted_sum(graph.transpose().rowptr, graph.perm, None, values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, _, ctx.side = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, _Gather.apply(ctx.graph, grad, ctx.side), None


class _PairScores(torch.autograd.Function):
    """``out[i] = <z[u_i], z[v_i]>``; the backward sorts the pairs once and sums rows, which beats scattering them."""

    @staticmethod
    def forward(z: Tensor, pairs: Tensor, chunk: int) -> Tensor:
        return _dots(z.detach(), pairs[:, 0], z.detach(), pairs[:, 1], chunk)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        z, pairs, _ = inputs
        ctx.save_for_backward(z, pairs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, pairs = ctx.saved_tensors
        u, v = pairs[:, 0], pairs[:, 1]
        rowptr, col, order = compress(torch.cat([u, v]), torch.cat([v, u]), z.size(0), z.size(0))
        graph = SparseGraph(rowptr, col)
        return _SpMM.apply(graph, z, torch.cat([grad, grad]).index_select(0, order)), None, None


def _dots(a: Tensor, rows: Tensor, b: Tensor, cols: Tensor, chunk: int = _CHUNK) -> Tensor:
    # A GPU prefers few large launches, a CPU cache prefers small pieces.
    step = chunk if a.device.type == "cpu" else max(chunk, 1 << 20)
    rows, cols = rows.contiguous(), cols.contiguous()
    pieces = [
        (a.index_select(0, rows[i : i + step]) * b.index_select(0, cols[i : i + step])).sum(1)
        for i in range(0, rows.numel(), step)
    ]
    return torch.cat(pieces) if pieces else a.new_zeros(0)


def spmm(graph: SparseGraph, x: Tensor, reduce: Reduce = "sum") -> Tensor:
    """Aggregate neighbours: ``out[i]`` reduces ``weight[e] * x[col[e]]`` over the entries e of row i.

    Args:
        graph: [n, m]; its weights receive gradients where they require them.
        x: [m, d] floating point.
        reduce: ``"sum"``; ``"mean"``, the sum over the number of entries; or ``"max"``, per column of ``x``. An empty
            row gives 0. Sum and mean can be differentiated twice.

    Returns:
        [n, d].

    Raises:
        InputError: ``x`` does not fit the graph, or an unknown ``reduce``.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
        >>> spmm(graph, torch.tensor([[1.], [2.], [4.]])).flatten().tolist()
        [0.0, 0.0, 3.0]
    """
    if x.dim() != 2 or x.size(0) != graph.num_cols or not x.is_floating_point():
        raise InputError(
            f"x must be a floating-point matrix with one row per column of the graph ({graph.num_cols}), got "
            f"{x.dtype} of shape {tuple(x.shape)}."
        )
    if reduce == "max":
        return _max(graph, x)
    if reduce not in ("sum", "mean"):
        raise InputError(f"reduce must be 'sum', 'mean' or 'max', got {reduce!r}.")
    weight = graph.weight
    if weight is not None and weight.requires_grad:
        out = _SpMM.apply(graph.pattern, x, weight.to(x.dtype))
    else:
        out = _SpMM.apply(graph, x, None)
    if reduce == "mean":
        out = out / graph.degree().clamp(min=1).to(x.dtype).unsqueeze(-1)
    return out


def _max(graph: SparseGraph, x: Tensor) -> Tensor:
    messages = x.index_select(0, graph.col)
    if graph.weight is not None:
        messages = messages * graph.weight.to(x.dtype).unsqueeze(-1)
    return row_max(graph.rowptr, graph.row, messages)


def sddmm(graph: SparseGraph, a: Tensor, b: Tensor) -> Tensor:
    """Dot products along the entries: ``out[e] = <a[row[e]], b[col[e]]>``, in CSR order; the weights play no part.

    Args:
        graph: [n, m].
        a: [n, d], for rows.
        b: [m, d], for columns.

    Returns:
        [E].

    Raises:
        InputError: Sizes do not fit.
    """
    if a.dim() != 2 or b.dim() != 2 or (a.size(0), b.size(0)) != graph.shape or a.size(1) != b.size(1):
        raise InputError(
            f"a and b must be [{graph.num_rows}, d] and [{graph.num_cols}, d], got {tuple(a.shape)} and {tuple(b.shape)}."
        )
    return _SDDMM.apply(graph.pattern, a, b)


def pair_scores(z: Tensor, pairs: Tensor, *, chunk: int = _CHUNK) -> Tensor:
    """Dot products of listed pairs: a link decoder that never builds [N, N].

    Args:
        z: Embeddings [N, d].
        pairs: [n, 2] int64 or int32 row numbers of ``z``.
        chunk: Pairs gathered at a time.

    Returns:
        [n]; can be differentiated twice.

    Raises:
        InputError: Shapes or types do not fit, or ``chunk`` is not positive.
    """
    if pairs.dim() != 2 or pairs.size(1) != 2 or pairs.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"pairs must be an integer tensor of shape [n, 2], got {pairs.dtype} of shape {tuple(pairs.shape)}; "
            "a PyG edge_label_index becomes one with .t()."
        )
    if z.dim() != 2:
        raise InputError(f"z must be a matrix [N, d], got shape {tuple(z.shape)}.")
    if chunk < 1:
        raise InputError(f"chunk must be at least 1, got {chunk}.")
    return _PairScores.apply(z, pairs, chunk)


def gather_edges(graph: SparseGraph, x: Tensor, side: Literal["row", "col"]) -> Tensor:
    """``x`` [n or m, h] read at every entry's target (``"row"``) or source (``"col"``): [E, h]."""
    return _Gather.apply(graph.pattern, x, side)


def sum_edges(graph: SparseGraph, values: Tensor, side: Literal["row", "col"] = "row") -> Tensor:
    """Values [E, h] of the entries added up per target (``"row"``) or per source (``"col"``)."""
    return _Sum.apply(graph.pattern, values, side)


def edge_scores(graph: SparseGraph, target: Tensor, source: Tensor) -> Tensor:
    """``target[row[e]] + source[col[e]]``: [n, h] and [m, h] give [E, h] (additive attention before its nonlinearity)."""
    return gather_edges(graph, target, "row") + gather_edges(graph, source, "col")


def edge_softmax(graph: SparseGraph, scores: Tensor) -> Tensor:
    """Softmax over the entries of each row; the weights play no part.

    Args:
        graph: [n, m].
        scores: [E] or [E, heads], in CSR order.

    Returns:
        Of the shape of ``scores``; every non-empty row sums to one.

    Raises:
        InputError: Not one score per entry.
    """
    if scores.size(0) != graph.num_edges or scores.dim() not in (1, 2):
        raise InputError(f"scores must be [E] or [E, heads] with E = {graph.num_edges}, got shape {tuple(scores.shape)}.")
    values = scores.unsqueeze(-1) if scores.dim() == 1 else scores
    # The shift cancels: no gradient flows through it.
    shift = row_max(graph.rowptr, graph.row, values.detach())
    power = (values - shift.index_select(0, graph.row)).exp()
    out = power / gather_edges(graph, sum_edges(graph, power), "row")
    return out.view_as(scores)


def linear(x: Tensor | SparseGraph, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x weight^T + bias``, for a dense ``x`` [n, in] or a sparse one (a :class:`SparseGraph` [n, in] of features).

    Args:
        x: Features.
        weight: [out, in], as in ``torch.nn.Linear``.
        bias: [out].
    """
    if isinstance(x, Tensor):
        return F.linear(x, weight, bias)
    out = spmm(x, weight.t())
    # In place: the sum is ours alone, and a second array of this size costs as much as the product.
    return out if bias is None else out.add_(bias)
