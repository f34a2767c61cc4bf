"""Conversion from and to PyG, networkx and scipy."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from torch_geometric.data import Data, HeteroData

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, as_graph, remove_nodes, to_networkx, to_pyg, to_scipy

from .conftest import graphs, make

EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


@settings(deadline=None, max_examples=20)
@given(graphs())
def test_there_and_back_through_pyg(data):
    assert as_graph(to_pyg(data), undirected=data.undirected).digest() == data.digest()


@settings(deadline=None, max_examples=20)
@given(graphs())
def test_there_and_back_through_networkx_and_scipy_keeps_the_set_of_edges(data):
    edges = {tuple(edge) for edge in data.edge_index.t().tolist()}
    for back in (as_graph(to_networkx(data)), as_graph(to_scipy(data))):
        assert back.num_nodes == data.num_nodes
        assert {tuple(edge) for edge in back.edge_index.t().tolist()} == edges
    assert torch.equal(as_graph(to_networkx(data)).x, data.x.to_dense())
    assert torch.equal(as_graph(to_networkx(data)).y, data.y)


def test_pyg_masks_labels_and_features():
    train = torch.tensor([True, False, False])
    data = as_graph(
        Data(
            x=torch.eye(3),
            y=torch.tensor([[0], [1], [4]]),
            edge_index=EDGES,
            train_mask=train,
            test_mask=~train,
            edge_label_index=torch.tensor([[0], [2]]),
        ),
        name="mine",
    )
    assert {part: ids.tolist() for part, ids in data.splits.items()} == {"train": [0], "test": [1, 2]}
    assert data.undirected and data.num_classes == 5 and data.name == "mine"
    assert not as_graph(Data(edge_index=EDGES[:, :1], num_nodes=3)).undirected


def test_a_column_of_2d_masks_must_be_picked():
    masks = torch.tensor([[True, False], [False, True], [False, False]])
    pyg = Data(x=torch.eye(3), y=torch.zeros(3, dtype=torch.long), edge_index=EDGES, train_mask=masks)
    with pytest.raises(InputError, match="train_mask has 2 columns, one per split: pick one with split=0 to 1"):
        as_graph(pyg)
    with pytest.raises(InputError, match="train_mask has 2 columns"):
        as_graph(pyg, split=2)
    assert as_graph(pyg, split=1).splits["train"].tolist() == [1]
    assert as_graph(pyg, splits={"train": torch.tensor([2])}).splits["train"].tolist() == [2]


def test_networkx_names_attributes_and_direction():
    graph = nx.DiGraph()
    graph.add_node("b", x=[1.0, 2.0], y=1)
    graph.add_node("a", x=[3.0, 4.0], y=0)
    graph.add_edge("b", "a")
    data = as_graph(graph)
    assert data.node_names == ("b", "a") and data.edge_index.tolist() == [[0], [1]] and not data.undirected
    assert data.x.tolist() == [[1, 2], [3, 4]] and data.y.tolist() == [1, 0]
    assert nx.utils.graphs_equal(to_networkx(data), graph)


def test_networkx_multigraph_keeps_copies_and_partial_attributes_are_not_read():
    graph = nx.MultiGraph([(0, 1), (0, 1), (1, 1)])
    graph.nodes[0]["y"] = 3
    data = as_graph(graph)
    assert data.edge_index.tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 0, 1]] and data.y is None and data.undirected


def test_scipy_leaves_out_explicit_zeros():
    matrix = scipy.sparse.coo_matrix((np.array([1, 0]), (np.array([0, 1]), np.array([1, 0]))), shape=(3, 3))
    data = as_graph(matrix)
    assert data.edge_index.tolist() == [[0], [1]] and data.num_nodes == 3 and not data.undirected


def test_a_plain_edge_index():
    assert as_graph(EDGES, num_nodes=4).num_nodes == 4


def test_exports_after_a_deletion():
    data = remove_nodes(make([(0, 1), (1, 2)], 3, undirected=True), [0])
    pyg = to_pyg(data)
    assert pyg.num_nodes == 3 and pyg.alive.tolist() == [False, True, True] and pyg.x[0].isnan().all()
    assert sorted(to_networkx(data).nodes) == [1, 2]
    assert to_scipy(data).shape == (3, 3) and to_scipy(data).nnz == 2


def test_link_splits_reach_pyg():
    data = GraphData.create(EDGES, 4, splits={"test": torch.tensor([[0, 2]]), "test_neg": torch.tensor([[0, 3], [1, 3]])})
    pyg = to_pyg(data)
    assert pyg.test_edge_label_index.tolist() == [[0], [2]] and pyg.test_neg_edge_label_index.tolist() == [[0, 1], [3, 3]]


GRAPH = nx.Graph([(0, 1)])
nx.set_node_attributes(GRAPH, {0: [1.0], 1: [1.0, 2.0]}, "x")
WRONG = {
    "text": (lambda: as_graph("cora"), "expected a GraphData, a PyG Data .* got str"),
    "hetero": (lambda: as_graph(HeteroData()), r"convert with data.to_homogeneous\(\)"),
    "no num_nodes": (lambda: as_graph(EDGES), "needs num_nodes beside it"),
    "num_nodes twice": (lambda: as_graph(Data(edge_index=EDGES, num_nodes=3), num_nodes=3), "is for a plain edge_index"),
    "settings for a GraphData": (lambda: as_graph(GraphData.create(EDGES, 3), name="x"), "this is a GraphData already"),
    "not square": (lambda: as_graph(scipy.sparse.csr_array(np.ones((2, 3)))), r"must be square, got shape \[2, 3\]"),
    "ragged attributes": (lambda: as_graph(GRAPH), "node attribute 'x' must be a vector of numbers of one length"),
    "mask of numbers": (lambda: as_graph(Data(edge_index=EDGES, num_nodes=3, train_mask=torch.ones(3))), "must be boolean"),
}


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_mistakes(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_a_graphdata_passes_through():
    data = GraphData.create(EDGES, 3)
    assert as_graph(data) is data
