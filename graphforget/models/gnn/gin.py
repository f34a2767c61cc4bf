"""Graph isomorphism network (Xu et al., arXiv:1810.00826)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphforget import kernels
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.base import GNN, Linear


class _TwoLayer(nn.Module):
    """Linear, ReLU, linear: the function h of eq. 4.1, with PyG's parameter names."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lins = nn.ModuleList([Linear(in_channels, out_channels), Linear(out_channels, out_channels)])

    @property
    def first(self) -> Linear:
        lin = self.lins[0]
        assert isinstance(lin, Linear)
        return lin

    def reset_parameters(self) -> None:
        for lin in self.lins:
            lin.reset_parameters()  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return self.lins[1](self.lins[0](x).relu())


def _neighbour_sum(graph: SparseGraph, x: Tensor) -> Tensor:
    """Sum over the entries of every row, scaled up where a row holds only a sample of its entries."""
    total = kernels.spmm(graph.pattern, x)
    return total if graph.total_degree is None else total * graph.row_factor.to(x.dtype).unsqueeze(-1)


class GINConv(nn.Module):
    """``h((1 + eps) x_i + sum of x_j over neighbours j)`` (eq. 4.1), h being a two-layer perceptron.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output and of h's hidden layer.
        eps: Initial epsilon.
        train_eps: Whether epsilon is learned.
    """

    eps: Tensor

    def __init__(self, in_channels: int, out_channels: int, eps: float = 0.0, train_eps: bool = False) -> None:
        super().__init__()
        self.nn = _TwoLayer(in_channels, out_channels)
        self.initial_eps = eps
        if train_eps:
            self.eps = nn.Parameter(torch.full((1,), eps))
        else:
            self.register_buffer("eps", torch.full((1,), eps))

    def reset_parameters(self) -> None:
        """Torch's default for the linear layers, ``eps`` as first given."""
        self.nn.reset_parameters()
        with torch.no_grad():
            self.eps.fill_(self.initial_eps)

    def forward(self, x: Tensor | SparseGraph, graph: SparseGraph) -> Tensor:
        """[N, in_channels], dense or sparse, to [N, out_channels]."""
        first = self.nn.first
        if isinstance(x, Tensor) and first.in_features <= first.out_features:
            return self.nn(_neighbour_sum(graph, x) + (1 + self.eps) * x)
        # The sum is linear: apply h's first layer before it, where the rows are narrower.
        hidden = kernels.linear(x, first.weight)
        hidden = _neighbour_sum(graph, hidden) + (1 + self.eps) * hidden + first.bias
        return self.nn.lins[1](hidden.relu())


class GIN(GNN):
    """Graph isomorphism network; weights interchange with ``torch_geometric.nn.models.GIN``.

    See :class:`GNN` for the other arguments.

    Args:
        eps: Initial epsilon of every layer.
        train_eps: Whether epsilon is learned.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.0,
        *,
        eps: float = 0.0,
        train_eps: bool = False,
    ) -> None:
        self.eps, self.train_eps = eps, train_eps
        super().__init__(in_channels, hidden_channels, out_channels, num_layers, dropout)

    def make_conv(self, in_channels: int, out_channels: int, *, last: bool) -> nn.Module:
        """One :class:`GINConv`."""
        return GINConv(in_channels, out_channels, self.eps, self.train_eps)

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().config, "eps": self.eps, "train_eps": self.train_eps}
