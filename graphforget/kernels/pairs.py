"""Scores and losses of listed pairs: never an [N, N] matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.aggregate import SpMM
from graphforget.kernels.backends import check_backend, choose, forced
from graphforget.kernels.graph import SparseGraph, compress


class _PairScores(torch.autograd.Function):
    """``out[i] = <z[u_i], z[v_i]>``; the backward sorts the pairs once and sums rows, which beats scattering them."""

    @staticmethod
    def forward(z: Tensor, pairs: Tensor, backend: str | None) -> Tensor:
        return choose("pair_dots", z.device, backend)(z.detach(), pairs[:, 0], z.detach(), pairs[:, 1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        z, pairs, ctx.backend = inputs
        ctx.save_for_backward(z, pairs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, pairs = ctx.saved_tensors
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
        InputError: Shapes or types do not fit.
    """
    if pairs.dim() != 2 or pairs.size(1) != 2 or pairs.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"pairs must be an integer tensor of shape [n, 2], got {pairs.dtype} of shape {tuple(pairs.shape)}; "
            "a PyG edge_label_index becomes one with .t()."
        )
    if z.dim() != 2:
        raise InputError(f"z must be a matrix [N, d], got shape {tuple(z.shape)}.")
    return _PairScores.apply(z, pairs, check_backend(backend) or forced())
