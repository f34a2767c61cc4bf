"""Graph convolutional network (Kipf and Welling, arXiv:1609.02907)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphforget import kernels
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.base import GNN, Linear


class GCNConv(nn.Module):
    """``D^-1/2 (A + I) D^-1/2 X W + b`` (eq. 2), multiplied in whichever order moves fewer numbers.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lin = Linear(in_channels, out_channels, bias=False, glorot=True)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def reset_parameters(self) -> None:
        """Glorot weights, zero bias."""
        self.lin.reset_parameters()
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor | SparseGraph, graph: SparseGraph) -> Tensor:
        """[N, in_channels], dense or sparse, to [N, out_channels]."""
        norm = graph.gcn_norm(self.lin.weight.dtype)
        if isinstance(x, Tensor) and self.lin.in_features < self.lin.out_features:
            return self.lin(kernels.spmm(norm, x)).add_(self.bias)
        return kernels.spmm(norm, self.lin(x)).add_(self.bias)


class GCN(GNN):
    """Graph convolutional network; weights interchange with ``torch_geometric.nn.models.GCN``.

    See :class:`GNN` for the arguments.

    Example:
        >>> model = GCN(4, 8, 3)
        >>> model(torch.randn(5, 4), torch.tensor([[0, 1], [1, 0]])).shape
        torch.Size([5, 3])
    """

    def make_conv(self, in_channels: int, out_channels: int, *, last: bool) -> nn.Module:
        """One :class:`GCNConv`."""
        return GCNConv(in_channels, out_channels)
