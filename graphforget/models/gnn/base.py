"""What the graph neural networks share: inputs, the stack of convolutions, glorot initialisation."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget import kernels
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph


def glorot_(weight: Tensor) -> Tensor:
    """Glorot and Bengio's uniform initialisation (2010, eq. 16) over the last two sizes, in place, as PyG does it."""
    bound = math.sqrt(6.0 / (weight.size(-2) + weight.size(-1)))
    with torch.no_grad():
        return weight.uniform_(-bound, bound)


class Linear(nn.Linear):
    """``nn.Linear`` that also takes sparse features (a rectangular :class:`SparseGraph`).

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias: Whether to add a bias.
        glorot: Glorot initialisation instead of torch's default.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, glorot: bool = False) -> None:
        self.glorot = glorot
        super().__init__(in_features, out_features, bias)

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        if self.glorot:
            glorot_(self.weight)
            if self.bias is not None:
                nn.init.zeros_(self.bias)
        else:
            super().reset_parameters()

    def forward(self, x: Tensor | SparseGraph) -> Tensor:
        """[n, in_features], dense or sparse, to [n, out_features]."""
        return kernels.linear(x, self.weight, self.bias)


def as_features(x: Tensor | SparseGraph, in_channels: int) -> Tensor | SparseGraph:
    """Features as the layers read them; a ``torch.sparse_csr`` tensor becomes a :class:`SparseGraph`.

    Raises:
        InputError: Not [N, in_channels].
    """
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        x = SparseGraph.from_csr(x)
    if len(x.shape) != 2 or x.shape[1] != in_channels:
        raise InputError(f"x must be [num_nodes, {in_channels}], got shape {tuple(x.shape)}.")
    return x


def as_graph(edge_index: Tensor | SparseGraph, num_nodes: int) -> SparseGraph:
    """The graph as the layers read it; an ``edge_index`` [2, E] is compiled on every call, so pass a kept SparseGraph to train.

    Raises:
        InputError: The graph has another number of nodes than there are feature rows.
    """
    if isinstance(edge_index, Tensor):
        return SparseGraph.from_edge_index(edge_index, num_nodes)
    if edge_index.shape != (num_nodes, num_nodes):
        raise InputError(f"the graph is {edge_index.num_rows} x {edge_index.num_cols}, but x has {num_nodes} rows.")
    return edge_index


class GNN(nn.Module):
    """A stack of graph convolutions with ReLU and dropout between them, laid out as PyG's ``BasicGNN``.

    Args:
        in_channels: Width of the input features.
        hidden_channels: Width of the hidden layers.
        out_channels: Width of the output.
        num_layers: Number of convolutions.
        dropout: Probability of dropping a hidden unit in training.

    Raises:
        InputError: A size is not positive, or dropout not in [0, 1).
    """

    accepts_sparse = True  # tasks then hand over a kept SparseGraph, and sparse features where most entries are zero

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, num_layers: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels,
            "hidden_channels": hidden_channels,
            "out_channels": out_channels,
            "num_layers": num_layers,
        }
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} must be at least 1, got {size}.")
        if not 0.0 <= dropout < 1.0:
            raise InputError(f"dropout is a probability in [0, 1), got {dropout}.")
        self.in_channels, self.hidden_channels, self.out_channels = in_channels, hidden_channels, out_channels
        self.num_layers, self.dropout = num_layers, dropout
        widths = [in_channels, *[hidden_channels] * (num_layers - 1), out_channels]
        self.convs = nn.ModuleList(self.make_conv(widths[i], widths[i + 1], last=i == num_layers - 1) for i in range(num_layers))

    def make_conv(self, in_channels: int, out_channels: int, *, last: bool) -> nn.Module:
        """One convolution; ``last`` for the one that makes the output."""
        raise NotImplementedError

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments: ``type(self)(**self.config)`` has the same shape."""
        return {
            "in_channels": self.in_channels,
            "hidden_channels": self.hidden_channels,
            "out_channels": self.out_channels,
            "num_layers": self.num_layers,
            "dropout": self.dropout,
        }

    def layer_names(self) -> list[str]:
        """The convolutions, in execution order."""
        return [f"convs.{i}" for i in range(self.num_layers)]

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        for conv in self.convs:
            conv.reset_parameters()  # type: ignore[operator]

    def forward(self, x: Tensor | SparseGraph, edge_index: Tensor | SparseGraph) -> Tensor:
        """Encode all nodes.

        Args:
            x: [N, in_channels]: dense, ``torch.sparse_csr``, or a rectangular SparseGraph (quickest for bag-of-words).
            edge_index: [2, E] (sources, targets) or a SparseGraph [N, N], on which derived structures are kept.

        Returns:
            [N, out_channels].

        Raises:
            InputError: Shapes do not fit.
        """
        features = as_features(x, self.in_channels)
        graph = as_graph(edge_index, features.shape[0])
        hidden: Any = features
        for i, conv in enumerate(self.convs):
            hidden = conv(hidden, graph)
            if i < self.num_layers - 1:
                hidden = F.dropout(hidden.relu(), self.dropout, self.training)
        return hidden
