"""Scores and losses of listed pairs and triples: never an [N, N] matrix."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.kernels.aggregate import SpMM, spmm
from graphforget.kernels.backends import check_backend, choose, forced, is_fused, reference, using
from graphforget.kernels.backends.numba import compiled
from graphforget.kernels.csr import compress
from graphforget.kernels.graph import SparseGraph


class _PairScores(torch.autograd.Function):
    """``out[i] = <z[u_i], z[v_i]>``."""

    @staticmethod
    def forward(z: Tensor, pairs: Tensor, backend: str | None) -> Tensor:
        return choose("pair_dots", z.device, backend, dtype=z.dtype)(z.detach(), pairs[:, 0], z.detach(), pairs[:, 1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        z, pairs, ctx.backend = inputs
        ctx.save_for_backward(z, pairs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, pairs = ctx.saved_tensors
        scatter = compiled("pair_scatter", z.dtype) if z.device.type == "cpu" and ctx.backend in (None, "cpu") else None
        if scatter is not None and not torch.is_grad_enabled():
            return scatter(z, pairs[:, 0], pairs[:, 1], grad), None, None
        # Sorting the pairs once and summing rows beats scattering them.
        u, v = pairs[:, 0], pairs[:, 1]
        rowptr, col, order = compress(torch.cat([u, v]), torch.cat([v, u]), z.size(0), z.size(0))
        graph = SparseGraph(rowptr, col)
        return SpMM.apply(graph, z, torch.cat([grad, grad]).index_select(0, order), ctx.backend), None, None


def pair_scores(z: Tensor, pairs: Tensor, *, backend: str | None = None) -> Tensor:
    """Dot products of listed pairs: a link decoder that never builds [N, N].

    Args:
        z: Embeddings [N, d].
        pairs: [n, 2] int64 or int32 row numbers of ``z``.
        backend: See :func:`~graphforget.kernels.spmm`.

    Returns:
        [n]; can be differentiated twice.

    Raises:
        InputError: Shapes or types do not fit, or an id outside the table.

    Example:
        >>> pair_scores(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0, 1], [1, 1]])).tolist()
        [11.0, 25.0]
    """
    if pairs.dim() != 2 or pairs.size(1) != 2 or pairs.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"pairs must be an integer tensor of shape [n, 2], got {pairs.dtype} of shape {tuple(pairs.shape)}; "
            "a PyG edge_label_index becomes one with .t()."
        )
    if z.dim() != 2:
        raise InputError(f"z must be a matrix [N, d], got shape {tuple(z.shape)}.")
    _check_range("pairs", pairs, z.size(0))
    return _PairScores.apply(z, pairs, check_backend(backend) or forced())


class _Bpr(torch.autograd.Function):
    """One loss per triple, and its derivative with respect to the margin, kept for the backward."""

    @staticmethod
    def forward(user: Tensor, item: Tensor, triples: Tensor, backend: str | None) -> tuple[Tensor, Tensor]:
        return choose("bpr_forward", user.device, backend, dtype=user.dtype)(user.detach(), item.detach(), triples)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        user, item, triples, ctx.backend = inputs
        ctx.save_for_backward(user, item, triples, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        user, item, triples, slope = ctx.saved_tensors
        function = choose("bpr_backward", user.device, ctx.backend, dtype=user.dtype)
        if torch.is_grad_enabled():  # a second derivative may be asked: the plain operations have one
            slope, function = reference.bpr_forward(user, item, triples)[1], reference.bpr_backward
        return *function(user, item, triples, slope, grad), None, None


def bpr_loss(
    user: Tensor,
    item: Tensor,
    triples: Tensor,
    *,
    reduction: Literal["mean", "sum", "none"] = "mean",
    item_bias: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Bayesian personalised ranking of listed triples: ``-ln sigmoid(y(u, p) - y(u, n))``.

    ``y(u, i) = <user[u], item[i]> + item_bias[i]``: BPR-Opt of Rendle et al. (UAI 2009, section 4.1) without its
    regularisation. Swap the last two columns for the reversed preference. No table of gathered rows is built where the backend
    fuses it, and gradients are summed in a fixed order: the same bits every time.

    Args:
        user: [U, d] floating point.
        item: [I, d] of the same type.
        triples: [n, 3] int64 or int32: a user, an item it prefers, an item it does not.
        reduction: ``"mean"`` (0 for no triples), ``"sum"`` or ``"none"`` (one loss per triple).
        item_bias: [I].
        backend: See :func:`~graphforget.kernels.spmm`.

    Returns:
        A scalar, or [n]; can be differentiated twice.

    Raises:
        InputError: Shapes or types do not fit, an id outside its table, or an unknown ``reduction``.

    Example:
        >>> user, item = torch.tensor([[1.0]]), torch.tensor([[2.0], [2.0]])
        >>> round(bpr_loss(user, item, torch.tensor([[0, 0, 1]])).item(), 4)
        0.6931
    """
    if triples.dim() != 2 or triples.size(1) != 3 or triples.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"triples must be an integer tensor of shape [n, 3] (user, preferred item, other item), got {triples.dtype} of "
            f"shape {tuple(triples.shape)}."
        )
    if user.dim() != 2 or item.dim() != 2 or user.size(1) != item.size(1) or user.dtype != item.dtype:
        raise InputError(
            f"user and item must be matrices [U, d] and [I, d] of one type, got {user.dtype} {tuple(user.shape)} and "
            f"{item.dtype} {tuple(item.shape)}."
        )
    if item_bias is not None and (item_bias.shape != (item.size(0),) or item_bias.dtype != item.dtype):
        raise InputError(
            f"item_bias must hold one {item.dtype} number per item ({item.size(0)}), got {item_bias.dtype} of shape "
            f"{tuple(item_bias.shape)}."
        )
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
    _check_range("the first column of triples", triples[:, 0], user.size(0))
    _check_range("the last two columns of triples", triples[:, 1:], item.size(0))
    backend = check_backend(backend) or forced()
    if item_bias is not None:  # one more column: a dot product with 1
        user, item = torch.cat([user, torch.ones_like(user[:, :1])], 1), torch.cat([item, item_bias.unsqueeze(-1)], 1)
    if is_fused("bpr_forward", user.device, backend, user.dtype):
        losses = _Bpr.apply(user, item, triples, backend)[0]
    else:
        with using(backend):
            losses = _composed_bpr(user, item, triples)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" and losses.numel() else losses.sum()


def _composed_bpr(user: Tensor, item: Tensor, triples: Tensor) -> Tensor:
    """From sparse products with one entry per row, whose backward sums sorted segments and uses no atomics."""
    marks = torch.arange(len(triples) + 1, dtype=triples.dtype, device=triples.device)
    columns = zip(triples.t().contiguous(), (user, item, item))
    u, p, n = (spmm(SparseGraph(marks, index, num_cols=table.size(0)), table) for index, table in columns)
    return -F.logsigmoid((u * (p - n)).sum(1))


def _check_range(name: str, index: Tensor, size: int) -> None:
    # Compiled loops check nothing: a wrong id would read foreign memory. On a GPU the check would wait for the device.
    if index.device.type == "cpu" and index.numel():
        low, high = (int(v) for v in index.aminmax())
        if low < 0 or high >= size:
            raise InputError(f"{name} holds row numbers from {low} to {high}, but the table has {size} rows (0..{size - 1}).")
