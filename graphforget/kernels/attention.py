"""Attention along the entries of a :class:`SparseGraph` (Velickovic et al., arXiv:1710.10903)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.kernels.aggregate import gather_edges, sddmm, spmm, sum_edges
from graphforget.kernels.backends import check_backend, choose, forced, is_fused, reference, using
from graphforget.kernels.graph import SparseGraph


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
    # The shift cancels, so no gradient flows through it and any backend's will do.
    shift = reference.segment_max(graph, values.detach())
    power = (values - shift.index_select(0, graph.row)).exp()
    out = power / gather_edges(graph, sum_edges(graph, power), "row")
    return out.view_as(scores)


class _GatAggregate(torch.autograd.Function):
    """The fused aggregation. Its other outputs are what the backend's backward wants to see again."""

    @staticmethod
    def forward(
        graph: SparseGraph, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: Tensor | None, backend: str | None
    ) -> tuple[Tensor, ...]:
        x, source, target = (t.detach().contiguous() for t in (x, source, target))
        return choose("gat_forward", x.device, backend, dtype=x.dtype)(graph, x, source, target, slope, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.graph, x, source, target, ctx.slope, keep, ctx.backend = inputs
        ctx.save_for_backward(x, source, target, keep, *output)
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, source, target, keep, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative may be asked: operations that have one
            with using(ctx.backend or forced()):
                grads = _gradients(ctx.graph, x, source, target, ctx.slope, keep, grad)
        else:
            function = choose("gat_backward", x.device, ctx.backend, dtype=x.dtype)
            x, source, target = (t.contiguous() for t in (x, source, target))
            grads = function(ctx.graph, x, source, target, ctx.slope, keep, tuple(saved), grad)
        return None, *grads, None, None, None


def gat_aggregate(
    graph: SparseGraph,
    x: Tensor,
    source: Tensor,
    target: Tensor,
    *,
    negative_slope: float = 0.2,
    dropout: float = 0.0,
    training: bool = False,
    generator: torch.Generator | None = None,
    backend: str | None = None,
) -> Tensor:
    """Attention over the entries of each row, without an [E, heads, d] tensor.

    ``out[i, h] = sum of alpha[e, h] x[col[e], h]`` over the entries e of row i, ``alpha`` being the softmax of
    ``leaky_relu(target[i, h] + source[col[e], h])`` over them: eqs. 1 to 4 of Velickovic et al., "Graph Attention Networks"
    (ICLR 2018, arXiv:1710.10903), for scores that are computed per node. On the CPU it is one pass over the rows, and one over
    the transpose for the backward, where numba is installed (``pip install 'graphforget[fast]'``).

    Args:
        graph: [n, m]; its weights play no part.
        x: [m, heads, d].
        source: [m, heads], the columns' share of the scores.
        target: [n, heads], the rows' share.
        negative_slope: Of the LeakyReLU.
        dropout: Probability of dropping an attention weight, for each entry and head, in training.
        training: Whether to drop any.
        generator: Of the dropout; by default torch's own. The draws do not depend on the backend.
        backend: See :func:`~graphforget.kernels.spmm`.

    Returns:
        [n, heads, d]; zeros for an empty row. Can be differentiated twice.

    Raises:
        InputError: Shapes do not fit, or ``dropout`` is not in [0, 1).

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
        >>> x, scores = torch.tensor([[[1.0]], [[3.0]], [[5.0]]]), torch.zeros(3, 1)
        >>> gat_aggregate(graph, x, scores, scores).flatten().tolist()
        [0.0, 0.0, 2.0]
    """
    n, m = graph.shape
    if x.dim() != 3 or x.size(0) != m or source.shape != x.shape[:2] or target.shape != (n, x.size(1)):
        raise InputError(
            f"for a graph of {n} rows and {m} columns, x must be [{m}, heads, d], source [{m}, heads] and target [{n}, heads]; "
            f"got {tuple(x.shape)}, {tuple(source.shape)} and {tuple(target.shape)}."
        )
    if not x.is_floating_point() or source.dtype != x.dtype or target.dtype != x.dtype:
        raise InputError(
            f"x, source and target must be of one floating-point type, got {x.dtype}, {source.dtype}, {target.dtype}."
        )
    if not 0.0 <= dropout < 1.0:
        raise InputError(f"dropout is a probability in [0, 1), got {dropout}.")
    backend, graph = check_backend(backend) or forced(), graph.pattern
    keep = None
    if training and dropout > 0:
        drawn = torch.empty(graph.num_edges, x.size(1), dtype=x.dtype, device=x.device)
        keep = drawn.bernoulli_(1 - dropout, generator=generator).div_(1 - dropout)
    if is_fused("gat_forward", x.device, backend, x.dtype):
        return _GatAggregate.apply(graph, x, source, target, negative_slope, keep, backend)[0]
    with using(backend):  # one head after the other
        alpha = edge_softmax(graph, F.leaky_relu(edge_scores(graph, target, source), negative_slope))
        return _weighted_sums(graph, x, alpha if keep is None else alpha * keep)


def _weighted_sums(graph: SparseGraph, x: Tensor, weight: Tensor) -> Tensor:
    """``out[i, h] = sum of weight[e, h] x[col[e], h]``."""
    heads = [spmm(graph.with_weight(weight[:, h]), x[:, h]) for h in range(x.size(1))]
    return torch.stack(heads, 1) if heads else x.new_zeros(graph.num_rows, *x.shape[1:])


def _gradients(
    graph: SparseGraph, x: Tensor, source: Tensor, target: Tensor, slope: float, keep: Tensor | None, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the backends' ``gat_backward`` computes, in operations that can be differentiated again."""
    scores = edge_scores(graph, target, source)
    alpha = edge_softmax(graph, F.leaky_relu(scores, slope))
    kept = alpha if keep is None else alpha * keep
    back = graph.transpose()
    grad_x = _weighted_sums(back, grad, kept.index_select(0, graph.perm))
    change = torch.stack([sddmm(graph, grad[:, h], x[:, h]) for h in range(x.size(1))], 1)
    change = alpha * (change if keep is None else change * keep)
    change = change - alpha * gather_edges(graph, sum_edges(graph, change), "row")
    change = torch.where(scores > 0, change, slope * change)
    return grad_x, sum_edges(graph, change, "col"), sum_edges(graph, change, "row")
