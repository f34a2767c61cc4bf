"""Graph attention network (Velickovic et al., arXiv:1710.10903)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphforget import kernels
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.base import GNN, Linear, glorot_


class GATConv(nn.Module):
    """Attention over neighbours and the node itself (eqs. 1 to 6), fused: no [E, heads, d] tensor.

    Args:
        in_channels: Width of the input.
        out_channels: Width of each head.
        heads: Number of heads.
        concat: Concatenate the heads (eq. 5), else average them (eq. 6).
        negative_slope: Of the LeakyReLU in eq. 3.
        dropout: Probability of dropping an attention weight in training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.out_channels, self.heads, self.concat = out_channels, heads, concat
        self.negative_slope, self.dropout = negative_slope, dropout
        self.lin = Linear(in_channels, heads * out_channels, bias=False, glorot=True)
        self.att_src = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_dst = nn.Parameter(torch.empty(1, heads, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels * (heads if concat else 1)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot weights, zero bias."""
        self.lin.reset_parameters()
        glorot_(self.att_src)
        glorot_(self.att_dst)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor | SparseGraph, graph: SparseGraph) -> Tensor:
        """[N, in_channels], dense or sparse, to [N, heads * out_channels] or, averaged, [N, out_channels]."""
        loops = graph.pattern.with_self_loops()
        hidden = self.lin(x).view(-1, self.heads, self.out_channels)
        target, source = (hidden * self.att_dst).sum(-1), (hidden * self.att_src).sum(-1)
        out = kernels.gat_aggregate(
            loops, hidden, source, target, negative_slope=self.negative_slope, dropout=self.dropout, training=self.training
        )
        out = out.flatten(1) if self.concat else out.mean(1)
        return out + self.bias


class GAT(GNN):
    """Graph attention network; weights interchange with ``torch_geometric.nn.models.GAT``.

    See :class:`GNN` for the other arguments. The last layer averages its heads.

    Args:
        heads: Number of heads of every layer.
        concat: Whether hidden layers concatenate their heads (each then ``hidden_channels / heads`` wide).
        negative_slope: Of the LeakyReLU.

    Raises:
        InputError: ``hidden_channels`` does not divide into the heads.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.0,
        *,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
    ) -> None:
        if heads < 1 or (concat and num_layers > 1 and hidden_channels % heads):
            raise InputError(f"hidden_channels ({hidden_channels}) must be a multiple of heads ({heads}), and heads at least 1.")
        self.heads, self.concat, self.negative_slope = heads, concat, negative_slope
        super().__init__(in_channels, hidden_channels, out_channels, num_layers, dropout)

    def make_conv(self, in_channels: int, out_channels: int, *, last: bool) -> nn.Module:
        """One :class:`GATConv`."""
        concat = self.concat and not last
        width = out_channels // self.heads if concat else out_channels
        return GATConv(in_channels, width, self.heads, concat, self.negative_slope, self.dropout)

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().config, "heads": self.heads, "concat": self.concat, "negative_slope": self.negative_slope}
