"""Losses of listed triples in plain torch, any device and dtype: the oracle."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


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
