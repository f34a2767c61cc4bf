"""GraphSAGE (Hamilton, Ying and Leskovec, arXiv:1706.02216)."""

from __future__ import annotations

from torch import Tensor, nn

from graphforget import kernels
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.base import GNN, Linear


class SAGEConv(nn.Module):
    """``W_l mean(x_j over neighbours j) + b + W_r x_i`` (algorithm 1 with the mean aggregator).

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lin_l = Linear(in_channels, out_channels)
        self.lin_r = Linear(in_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Torch's default for linear layers, as PyG."""
        self.lin_l.reset_parameters()
        self.lin_r.reset_parameters()

    def forward(self, x: Tensor | SparseGraph, graph: SparseGraph) -> Tensor:
        """[N, in_channels], dense or sparse, to [N, out_channels]."""
        # The layer reads structure only, as PyG's does.
        pattern = graph.pattern
        if isinstance(x, Tensor) and self.lin_l.in_features <= self.lin_l.out_features:
            return self.lin_l(kernels.spmm(pattern, x, "mean")) + self.lin_r(x)
        # The mean is linear: aggregate the narrower product, and add the bias after it (empty rows keep the bias).
        return kernels.spmm(pattern, kernels.linear(x, self.lin_l.weight), "mean") + self.lin_l.bias + self.lin_r(x)


class GraphSAGE(GNN):
    """GraphSAGE with mean aggregation; weights interchange with ``torch_geometric.nn.models.GraphSAGE``.

    See :class:`GNN` for the arguments.
    """

    def make_conv(self, in_channels: int, out_channels: int, *, last: bool) -> nn.Module:
        """One :class:`SAGEConv`."""
        return SAGEConv(in_channels, out_channels)
