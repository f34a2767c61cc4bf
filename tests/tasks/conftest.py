"""Tiny data and plain models shared by the task tests."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from graphforget.base import TensorData
from graphforget.graphs import GraphData, both_directions


class Plain(nn.Module):
    """A user's own network, as one would write it for PyG: forward(x, edge_index), mean aggregation, BatchNorm, no extras."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int, norm: bool = True) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(in_channels, hidden_channels), nn.Linear(hidden_channels, out_channels)
        self.norm: nn.Module = nn.BatchNorm1d(hidden_channels) if norm else nn.Identity()

    @staticmethod
    def spread(h: Tensor, edge_index: Tensor) -> Tensor:
        total = torch.zeros_like(h).index_add(0, edge_index[1], h[edge_index[0]])
        degree = torch.bincount(edge_index[1], minlength=len(h)).clamp(min=1).unsqueeze(1)
        return h + total / degree

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.norm(self.spread(self.first(x), edge_index)).relu()
        return self.spread(self.second(h), edge_index)


@pytest.fixture
def plain() -> type[Plain]:
    return Plain


def _ring(num_nodes: int) -> Tensor:
    """A ring with chords from every third node: every node within reach, some far from each other."""
    nodes = torch.arange(num_nodes)
    ring = torch.stack([nodes, (nodes + 1) % num_nodes], 1)
    chords = torch.stack([nodes[::6], (nodes[::6] + 3) % num_nodes], 1)
    return both_directions(torch.cat([ring, chords]), num_nodes)


@pytest.fixture
def node_data() -> GraphData:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(24) // 8
    x = torch.randn(24, 5, generator=generator) + nn.functional.one_hot(y, 5) * 2
    order = torch.randperm(24, generator=generator)
    splits = {"train": order[:12], "val": order[12:18], "test": order[18:]}
    return GraphData.create(_ring(24), 24, x=x, y=y, splits=splits, name="ring")


@pytest.fixture
def link_data() -> GraphData:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, 5, generator=generator)
    splits = {
        "val": torch.tensor([[0, 5], [3, 8], [10, 14]]),
        "val_neg": torch.tensor([[0, 12], [4, 15], [2, 20]]),
        "test": torch.tensor([[1, 6], [9, 13]]),
        "test_neg": torch.tensor([[1, 17], [7, 19]]),
    }
    return GraphData.create(_ring(24), 24, x=x, splits=splits, name="ring")


@pytest.fixture
def samples() -> TensorData:
    generator = torch.Generator().manual_seed(2)
    y = torch.arange(60) % 3
    x = torch.randn(60, 2, 3, generator=generator)
    x[:, 0] += nn.functional.one_hot(y, 3) * 3.0
    order = torch.randperm(60, generator=generator)
    return TensorData.create(x, y, {"train": order[:36], "val": order[36:48], "test": order[48:]}, name="blobs")
