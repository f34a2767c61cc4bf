"""Graphs as other libraries hand them over: nothing is read the wrong way round, and what is left out is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GCNConv

import graphforget
from graphforget import DeletionRequest
from graphforget.exceptions import InputError
from graphforget.graphs import as_graph
from graphforget.tasks import LinkPrediction

RING = torch.stack([torch.arange(20), (torch.arange(20) + 1) % 20])
EDGES = torch.cat([RING, RING.flip(0)], 1)


def planetoid_like() -> Data:
    part = torch.arange(20)
    return Data(
        x=torch.eye(20),
        edge_index=EDGES,
        y=part % 3,
        train_mask=part < 10,
        val_mask=(part >= 10) & (part < 15),
        test_mask=part >= 15,
    )


def test_node_masks_do_not_matter_to_links_and_it_is_said():
    model = GCN(20, 8, 1, 4)
    with pytest.warns(UserWarning, match="has splits of nodes, which say nothing of links"):
        result = graphforget.unlearn(model, planetoid_like(), DeletionRequest.edges(pairs=[[0, 1]]), method="unlink")
    assert result.split.removed.tolist() == [[0, 1]] and result.split.data.splits == {}
    assert graphforget.evaluate(result, gold=1, cache=False).verdict is not None
    data = as_graph(planetoid_like())
    task = LinkPrediction()
    with pytest.warns(UserWarning, match="splits of nodes"):
        first = task.adopt(data)
    assert task.adopt(data) is first


def test_copies_of_an_edge_go_together_and_are_counted():
    edges = torch.cat([torch.tensor([[0, 0, 0], [1, 1, 1]]), RING[:, 2:]], 1)
    data = Data(x=torch.eye(20), edge_index=edges, num_nodes=20)
    with pytest.warns(UserWarning, match=r"edges \(0, 1\) stand in 'graph' several times \(up to 3 copies\).*all 3 copies go"):
        graphforget.unlearn(GCN(20, 8, 1, 4), data, DeletionRequest.edges(pairs=[[0, 1]]), method="unlink")


def test_supervision_edges_that_carry_no_messages_are_said():
    data = Data(x=torch.eye(20), edge_index=EDGES, num_nodes=20)
    data.edge_label_index, data.edge_label = torch.tensor([[0, 3, 5], [1, 9, 17]]), torch.tensor([1.0, 1.0, 0.0])
    with pytest.warns(UserWarning, match="1 supervision edges of edge_label_index are not in edge_index and are not read"):
        as_graph(data)


def test_a_sparse_tensor_is_read_where_it_stands_one_way_only():
    both = torch.sparse_coo_tensor(EDGES, torch.rand(40), (20, 20)).coalesce()
    data = as_graph(both)
    assert torch.equal(data.edge_index, both.indices()) and torch.equal(data.edge_data["edge_weight"], both.values())
    with pytest.raises(InputError, match="may be an adjacency or a transposed one, as PyG's adj_t is"):
        as_graph(torch.sparse_coo_tensor(RING, torch.ones(20), (20, 20)))


def test_one_of_several_splits_is_picked_where_the_message_says():
    data = planetoid_like()
    data.train_mask = torch.stack([data.train_mask, ~data.train_mask], 1)
    data.val_mask = data.test_mask = None
    model, request = GCN(20, 8, 2, 3), DeletionRequest.nodes([1])
    with pytest.raises(InputError, match=r"pick one with split=0 to 1, in unlearn\(\.\.\.\) or as_graph"):
        graphforget.unlearn(model, data, request, task="node_classification", method="unlink")
    result = graphforget.unlearn(model, data, request, task="node_classification", method="unlink", split=0)
    assert result.split.removed.tolist() == [1]


@pytest.mark.parametrize("mask", [torch.arange(20).view(-1, 1) < 10, (torch.arange(20) < 10).to(torch.uint8)])
def test_masks_of_one_column_or_of_zeros_and_ones(mask):
    data = planetoid_like()
    data.train_mask = mask
    assert as_graph(data).splits["train"].tolist() == list(range(10))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = GCNConv(20, 3)

    def forward(self, x, edge_index):
        return self.a(x, edge_index)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_features_have_the_dtype_of_the_weights(dtype):
    model, data = Net().to(dtype), planetoid_like()
    data.x = torch.rand(20, 20, dtype=torch.float64)
    result = graphforget.unlearn(model, data, DeletionRequest.nodes([1]), task="node_classification", method="unlink")
    view = result.task.view(result.split.data, "test")
    own = model.eval()(data.x.to(dtype), EDGES)[view.index]
    torch.testing.assert_close(result.task.predict(model, view), own.detach())


def test_integers_for_a_table_are_refused_with_the_way_out():
    class Atoms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.a = nn.EmbeddingBag(30, 8), GCNConv(8, 3)

        def forward(self, x, edge_index):
            return self.a(self.table(x), edge_index)

    class Reads(Atoms):
        def forward(self, x, edge_index):
            return self.a(self.table(x.long()), edge_index)

    data = planetoid_like()
    data.x = torch.arange(40).view(20, 2) % 30
    request = DeletionRequest.edges(pairs=[[0, 1]])
    with pytest.raises(InputError, match=r"was given x of float32 and refuses it .* read integers by x\.long\(\) in forward"):
        graphforget.unlearn(Atoms(), data, request, task="node_classification", method="finetune")
    assert graphforget.unlearn(Reads(), data, request, task="node_classification", method="finetune", epochs=1).changed_parameters
