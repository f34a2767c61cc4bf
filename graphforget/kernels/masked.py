"""One structure for several passes: aggregation over the entries whose bit is set (those retained, those forgotten)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.aggregate import check_features
from graphforget.kernels.backends import check_backend, choose, forced
from graphforget.kernels.csr import row_count
from graphforget.kernels.graph import SparseGraph


class MaskedSpMM(torch.autograd.Function):
    """``A x`` over the kept entries; ``weight`` as in :class:`~graphforget.kernels.aggregate.SpMM`."""

    @staticmethod
    def forward(graph: SparseGraph, x: Tensor, weight: Tensor | None, keep: Tensor, backend: str | None) -> Tensor:
        value = graph.weight if weight is None else weight
        value = None if value is None else value.detach().to(x.dtype)
        return choose("masked_spmm", x.device, backend)(graph, value, x.detach(), keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, x, weight, keep, ctx.backend = inputs
        ctx.constant = weight is None
        ctx.save_for_backward(keep, *(() if weight is None else (x, weight)))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph, backend = ctx.graph, ctx.backend
        keep, *rest = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[1]:
            weight = None if ctx.constant else rest[1].index_select(0, graph.perm)
            grad_x = MaskedSpMM.apply(graph.transpose(), grad, weight, keep.index_select(0, graph.perm), backend)
        if ctx.needs_input_grad[2]:
            grad_weight = MaskedDots.apply(graph, grad, rest[0], keep, backend)
        return None, grad_x, grad_weight, None, None


class MaskedDots(torch.autograd.Function):
    """``out[e] = <a[row[e]], b[col[e]]>`` for the kept entries, 0 for the others whatever they hold."""

    @staticmethod
    def forward(graph: SparseGraph, a: Tensor, b: Tensor, keep: Tensor, backend: str | None) -> Tensor:
        dots = choose("pair_dots", a.device, backend, dtype=a.dtype)(a.detach(), graph.row, b.detach(), graph.col)
        return dots.masked_fill_(~keep, 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, a, b, keep, ctx.backend = inputs
        ctx.save_for_backward(a, b, keep)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph, (a, b, keep), backend = ctx.graph, ctx.saved_tensors, ctx.backend
        grad_a = MaskedSpMM.apply(graph, b, grad, keep, backend) if ctx.needs_input_grad[1] else None
        grad_b = None
        if ctx.needs_input_grad[2]:
            perm = graph.perm
            args = grad.index_select(0, perm), keep.index_select(0, perm)
            grad_b = MaskedSpMM.apply(graph.transpose(), a, *args, backend)
        return None, grad_a, grad_b, None, None


def masked_spmm(
    graph: SparseGraph, x: Tensor, keep: Tensor, reduce: Literal["sum", "mean"] = "sum", *, backend: str | None = None
) -> Tensor:
    """As :func:`spmm` over the entries whose bit is set; the others contribute nothing, even where ``x`` is NaN there.

    The retain pass and the forget pass of a method share one graph and its transpose in this way. For a graph that is used
    many times with the same bits, :meth:`SparseGraph.drop` is cheaper.

    Args:
        graph: [n, m]; its weights receive gradients where they require them (0 at dropped entries).
        x: [m, d] floating point.
        keep: [E] bool, in CSR order.
        reduce: ``"sum"``, or ``"mean"`` over the kept entries of the row; 0 where none is kept. Twice differentiable.
        backend: See :func:`spmm`.

    Returns:
        [n, d].

    Raises:
        InputError: Sizes do not fit, or an unknown ``reduce``.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
        >>> x = torch.tensor([[1.], [float("nan")], [4.]])
        >>> masked_spmm(graph, x, torch.tensor([True, False])).flatten().tolist()
        [0.0, 0.0, 1.0]
    """
    check_features(graph, x)
    if keep.shape != (graph.num_edges,) or keep.dtype != torch.bool:
        raise InputError(f"keep must hold one bool per entry ({graph.num_edges}), got {keep.dtype} of shape {tuple(keep.shape)}.")
    if reduce not in ("sum", "mean"):
        raise InputError(f"reduce must be 'sum' or 'mean', got {reduce!r}.")
    backend, weight = check_backend(backend) or forced(), graph.weight
    if weight is not None and weight.requires_grad:
        out = MaskedSpMM.apply(graph.pattern, x, weight.to(x.dtype), keep, backend)
    else:
        out = MaskedSpMM.apply(graph, x, None, keep, backend)
    if reduce == "mean":
        out = out / row_count(graph.rowptr, keep).clamp(min=1).to(x.dtype).unsqueeze(-1)
    return out
