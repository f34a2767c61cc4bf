"""Aggregation along the entries of a :class:`SparseGraph`, differentiable.

Every backward pass is again one of these operations, run over the kept transpose, so second derivatives exist
(Hessian-vector products for influence functions) and no entries-by-width tensor is built.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.kernels.backends import check_backend, choose, forced
from graphforget.kernels.csr import check_positions
from graphforget.kernels.extremum import extremum
from graphforget.kernels.graph import SparseGraph

Reduce = Literal["sum", "mean", "max", "min"]


class SpMM(torch.autograd.Function):
    """``A x``. With ``weight`` None the graph's own weights are constants; else ``weight`` holds A's values."""

    @staticmethod
    def forward(graph: SparseGraph, x: Tensor, weight: Tensor | None, backend: str | None) -> Tensor:
        value = graph.weight if weight is None else weight
        value = None if value is None else value.detach().to(x.dtype)
        return choose("spmm", x.device, backend)(graph, value, x.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, x, weight, ctx.backend = inputs
        ctx.constant = weight is None
        if not ctx.constant:
            ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph, backend = ctx.graph, ctx.backend
        grad_x = grad_weight = None
        if ctx.constant:
            return None, SpMM.apply(graph.transpose(), grad, None, backend), None, None
        x, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            grad_x = SpMM.apply(graph.transpose(), grad, weight.index_select(0, graph.perm), backend)
        if ctx.needs_input_grad[2]:
            grad_weight = SDDMM.apply(graph, grad, x, backend)
        return None, grad_x, grad_weight, None


class RowSpMM(torch.autograd.Function):
    """Listed rows of ``A x``, the weights being constants. The backward runs over the transpose of those rows alone."""

    @staticmethod
    def forward(graph: SparseGraph, x: Tensor, rows: Tensor, backend: str | None) -> Tensor:
        weight = None if graph.weight is None else graph.weight.to(x.dtype)
        return choose("spmm_rows", x.device, backend)(graph, weight, x.detach(), rows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, _, ctx.rows, ctx.backend = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        part = ctx.graph.select_rows(ctx.rows)
        touched, col = torch.unique(part.col, return_inverse=True)
        narrow = SparseGraph(part.rowptr, col.to(part.col.dtype), part.weight, num_cols=touched.numel())
        values = SpMM.apply(narrow.transpose(), grad, None, ctx.backend)
        # The zeros are all that remains of the graph's size.
        out = values.new_zeros(ctx.graph.num_cols, grad.size(1)).index_copy_(0, touched.long(), values)
        return None, out, None, None


class SDDMM(torch.autograd.Function):
    """``out[e] = <a[row[e]], b[col[e]]>``."""

    @staticmethod
    def forward(graph: SparseGraph, a: Tensor, b: Tensor, backend: str | None) -> Tensor:
        return choose("pair_dots", a.device, backend, dtype=a.dtype)(a.detach(), graph.row, b.detach(), graph.col)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, a, b, ctx.backend = inputs
        ctx.save_for_backward(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        graph, (a, b), backend = ctx.graph, ctx.saved_tensors, ctx.backend
        grad_a = SpMM.apply(graph, b, grad, backend) if ctx.needs_input_grad[1] else None
        grad_b = None
        if ctx.needs_input_grad[2]:
            grad_b = SpMM.apply(graph.transpose(), a, grad.index_select(0, graph.perm), backend)
        return None, grad_a, grad_b, None


class Gather(torch.autograd.Function):
    """One row of ``x`` per entry: that of its target (``"row"``) or of its source (``"col"``)."""

    @staticmethod
    def forward(graph: SparseGraph, x: Tensor, side: str, backend: str | None) -> Tensor:
        return x.index_select(0, graph.row if side == "row" else graph.col)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, _, ctx.side, ctx.backend = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, EntrySum.apply(ctx.graph, grad, ctx.side, ctx.backend), None, None


class EntrySum(torch.autograd.Function):
    """The adjoint of :class:`Gather`: entries added up per target or per source."""

    @staticmethod
    def forward(graph: SparseGraph, values: Tensor, side: str, backend: str | None) -> Tensor:
        add = choose("segment_sum", values.device, backend)
        if side == "row":
            return add(graph.rowptr, None, values)
        return add(graph.transpose().rowptr, graph.perm, values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.graph, _, ctx.side, ctx.backend = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, Gather.apply(ctx.graph, grad, ctx.side, ctx.backend), None, None


def spmm(graph: SparseGraph, x: Tensor, reduce: Reduce = "sum", *, backend: str | None = None) -> Tensor:
    """Aggregate neighbours: ``out[i]`` reduces ``weight[e] * x[col[e]]`` over the entries e of row i.

    Args:
        graph: [n, m]; its weights receive gradients where they require them.
        x: [m, d] floating point.
        reduce: ``"sum"``; ``"mean"``, the sum over the number of entries; or ``"max"`` or ``"min"`` of each column. An empty
            row gives 0. All can be differentiated twice; of equal largest messages, the first in CSR order has the gradient.
        backend: Force a backend, for the backward pass too; by default the quickest one for the device.

    Returns:
        [n, d].

    Raises:
        InputError: ``x`` does not fit the graph, or an unknown ``reduce``.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
        >>> spmm(graph, torch.tensor([[1.], [2.], [4.]])).flatten().tolist()
        [0.0, 0.0, 3.0]
    """
    check_features(graph, x)
    if reduce not in ("sum", "mean", "max", "min"):
        raise InputError(f"reduce must be 'sum', 'mean', 'max' or 'min', got {reduce!r}.")
    backend = check_backend(backend) or forced()
    if reduce == "max" or reduce == "min":
        return extremum(graph, x, reduce == "max", backend)
    weight = graph.weight
    if weight is not None and weight.requires_grad:
        out = SpMM.apply(graph.pattern, x, weight.to(x.dtype), backend)
    else:
        out = SpMM.apply(graph, x, None, backend)
    if reduce == "mean":
        out = out / graph.degree().clamp(min=1).to(x.dtype).unsqueeze(-1)
    return out


def spmm_rows(
    graph: SparseGraph, x: Tensor, rows: Tensor, reduce: Literal["sum", "mean"] = "sum", *, backend: str | None = None
) -> Tensor:
    """Some rows of :func:`spmm`: the work follows their entries, in the backward pass too, and not those of the graph.

    An edited graph is read as it is, without being written out.

    Args:
        graph: [n, m]; its weights receive gradients where they require them.
        x: [m, d] floating point.
        rows: [k] int64 or int32 row numbers, in any order, duplicates allowed.
        reduce: ``"sum"`` or ``"mean"``. Twice differentiable.
        backend: See :func:`spmm`.

    Returns:
        [k, d], in the order of ``rows``.

    Raises:
        InputError: Sizes do not fit, unknown rows, or an unknown ``reduce``.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
        >>> spmm_rows(graph, torch.tensor([[1.], [2.], [4.]]), torch.tensor([2, 0])).flatten().tolist()
        [3.0, 0.0]
    """
    check_features(graph, x)
    if reduce not in ("sum", "mean"):
        raise InputError(f"reduce must be 'sum' or 'mean', got {reduce!r}.")
    backend = check_backend(backend) or forced()
    if graph.edited or graph.learned:
        return spmm(graph.select_rows(rows), x, reduce, backend=backend)
    check_positions(rows, graph.num_rows)
    out = RowSpMM.apply(graph, x, rows, backend)
    if reduce == "mean":
        count = graph.rowptr.index_select(0, rows.long() + 1) - graph.rowptr.index_select(0, rows)
        out = out / count.clamp(min=1).to(x.dtype).unsqueeze(-1)
    return out


def check_features(graph: SparseGraph, x: Tensor) -> None:
    """Whether ``x`` can be multiplied by the graph.

    Raises:
        InputError: Not floating point, or not one row per column of the graph.
    """
    if x.dim() != 2 or x.size(0) != graph.num_cols or not x.is_floating_point():
        raise InputError(
            f"x must be a floating-point matrix with one row per column of the graph ({graph.num_cols}), got "
            f"{x.dtype} of shape {tuple(x.shape)}."
        )


def sddmm(graph: SparseGraph, a: Tensor, b: Tensor, *, backend: str | None = None) -> Tensor:
    """Dot products along the entries: ``out[e] = <a[row[e]], b[col[e]]>``, in CSR order; the weights play no part.

    Args:
        graph: [n, m].
        a: [n, d], for rows.
        b: [m, d], for columns.
        backend: See :func:`spmm`.

    Returns:
        [E].

    Raises:
        InputError: Sizes or types do not fit.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
        >>> sddmm(graph, torch.eye(2), torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [3.0, 2.0]
    """
    if a.dim() != 2 or b.dim() != 2 or (a.size(0), b.size(0)) != graph.shape or a.size(1) != b.size(1):
        raise InputError(
            f"a and b must be [{graph.num_rows}, d] and [{graph.num_cols}, d], got {tuple(a.shape)} and {tuple(b.shape)}."
        )
    if a.dtype != b.dtype or not a.is_floating_point():
        raise InputError(f"a and b must be of one floating-point type, got {a.dtype} and {b.dtype}.")
    return SDDMM.apply(graph.pattern, a, b, check_backend(backend) or forced())


def gather_edges(graph: SparseGraph, x: Tensor, side: Literal["row", "col"]) -> Tensor:
    """``x`` [n or m, h] read at every entry's target (``"row"``) or source (``"col"``): [E, h]."""
    return Gather.apply(graph.pattern, x, side, forced())


def sum_edges(graph: SparseGraph, values: Tensor, side: Literal["row", "col"] = "row") -> Tensor:
    """Values [E, h] of the entries added up per target (``"row"``) or per source (``"col"``)."""
    return EntrySum.apply(graph.pattern, values, side, forced())


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
