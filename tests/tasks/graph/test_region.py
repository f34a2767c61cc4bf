"""Regions: the same examples, exact, in the induced subgraph."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GCNConv

from graphforget.graphs import GraphData
from graphforget.requests import View
from graphforget.tasks import LinkPrediction, NodeClassification


class TwoLayers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GCNConv(4, 8), GCNConv(8, 3)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


def ring_of_stars() -> GraphData:
    """A long ring whose nodes have leaves: degrees differ, and two hops reach a small part."""
    draws = torch.Generator().manual_seed(0)
    ring = torch.stack([torch.arange(60), (torch.arange(60) + 1) % 60])
    leaves = torch.stack([torch.randint(60, (40,), generator=draws), torch.arange(60, 100)])
    edges = torch.cat([ring, leaves], 1)
    return GraphData.create(
        torch.cat([edges, edges.flip(0)], 1),
        100,
        x=torch.randn(100, 4, generator=draws),
        y=torch.arange(100) % 3,
        splits={"train": torch.arange(50)},
    )


@pytest.mark.parametrize("task", [NodeClassification(), LinkPrediction()], ids=["nodes", "links"])
def test_outputs_in_the_region_equal_those_in_the_whole_graph(task):
    data, model = ring_of_stars(), TwoLayers().eval()
    index = torch.tensor([3, 4]) if task.name == "node_classification" else data.pairs()[[5, 6]]
    view = View(data, index, "none")
    small = task.region(view)
    assert small.data.num_nodes < 40
    whole, part = task.predict(model, view), task.predict(model, small)
    assert torch.allclose(whole, part, atol=1e-6)


def test_one_hop_less_is_wrong_at_the_boundary():
    data, model = ring_of_stars(), TwoLayers().eval()
    task = NodeClassification()
    view = View(data, torch.tensor([3, 4]), "none")
    cut = task.region(view, num_hops=task.num_hops - 1)
    assert not torch.allclose(task.predict(model, view), task.predict(model, cut), atol=1e-6)


def test_fixed_negatives_and_dead_nodes_are_handled():
    data = ring_of_stars()
    from graphforget.graphs import remove_nodes

    gone = remove_nodes(data, torch.tensor([4]))
    task, model = LinkPrediction(), TwoLayers().eval()
    view = View(gone, gone.pairs()[[5, 6]], torch.tensor([[20, 40]]))
    small = task.region(view)
    assert bool(small.data.alive.all()) and torch.allclose(task.predict(model, view), task.predict(model, small), atol=1e-6)
