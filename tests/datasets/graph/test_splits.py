"""Splits: disjoint, complete, seeded, with honest negatives."""

from __future__ import annotations

import networkx as nx
import pytest
import torch

from graphforget.datasets import split_edges, stratified
from graphforget.datasets.graph.splits import with_node_split
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule, as_graph, remove_nodes


def _keys(pairs):
    return {tuple(pair) for pair in pairs.tolist()}


@pytest.fixture(params=[True, False], ids=["undirected", "directed"])
def graph(request) -> GraphData:
    kind = nx.Graph if request.param else nx.DiGraph
    random = kind(nx.gnm_random_graph(30, 120, seed=1, directed=not request.param))
    data = as_graph(random, y=torch.arange(30) % 3, x=torch.eye(30))
    loops = torch.tensor([[4, 5], [4, 5]])
    return GraphData.create(torch.cat([data.edge_index, loops], 1), 30, x=data.x, y=data.y, undirected=request.param)


@pytest.mark.parametrize("enumerate_below", [10**6, 0], ids=["listed", "drawn"])
def test_link_split(graph, monkeypatch, enumerate_below):
    monkeypatch.setattr("graphforget.datasets.graph.splits._ENUMERATE_BELOW", enumerate_below)
    data = split_edges(graph, seed=3, test=0.1, val=0.05)
    train, parts = _keys(data.pairs()), {part: _keys(rows) for part, rows in data.splits.items()}
    assert {part: len(rows) for part, rows in parts.items()} == {"val": 6, "test": 12, "val_neg": 6, "test_neg": 12}
    assert train | parts["val"] | parts["test"] == _keys(graph.pairs()) and len(train) == 102
    negatives = parts["val_neg"] | parts["test_neg"]
    assert len(negatives) == 18 and not negatives & _keys(graph.pairs()) and all(u != v for u, v in negatives)
    assert data.edge_index.size(1) == (204 if graph.undirected else 102)  # loops are no examples
    assert data.undirected == graph.undirected and torch.equal(data.x, graph.x) and torch.equal(data.y, graph.y)
    assert split_edges(graph, seed=3, test=0.1, val=0.05).digest() == data.digest()
    assert split_edges(graph, seed=4, test=0.1, val=0.05).digest() != data.digest()


def test_negatives_are_uniform_over_ids(monkeypatch):
    monkeypatch.setattr("graphforget.datasets.graph.splits._ENUMERATE_BELOW", 0)
    ring = torch.arange(2000)
    data = split_edges(GraphData.create(torch.stack([ring, ring.roll(-1)]), 2000, undirected=False), test=0.4, val=0.1)
    for part in ("val_neg", "test_neg"):
        assert abs(float(data.splits[part].float().mean()) - 1000) < 70


def test_forgotten_nodes_are_in_no_split(graph):
    data = split_edges(remove_nodes(graph, [0, 1, 2]), test=0.1, val=0.1)
    assert all(int(rows.min()) > 2 for rows in data.splits.values()) and not data.alive[:3].any()


def test_derived_edges_become_data():
    x = torch.arange(40.0).view(40, 1) + 1
    data = split_edges(GraphData.create(None, 40, x=x, edge_rule=KNNRule(2)))
    assert data.edge_rule is None and len(data.splits["test"]) > 0


def test_link_split_mistakes():
    with pytest.raises(InputError, match="positive shares with a sum below 1, got test=0.5 and val=0.5"):
        split_edges(as_graph(nx.path_graph(9)), test=0.5, val=0.5)
    with pytest.raises(InputError, match="has 8 edges, too few to hold out shares"):
        split_edges(as_graph(nx.path_graph(9)))
    with pytest.raises(InputError, match="has 0 pairs without an edge, too few to sample 6 negatives"):
        split_edges(as_graph(nx.complete_graph(9)), test=0.1, val=0.1)


def test_a_complete_graph_too_large_to_list_is_refused(monkeypatch):
    monkeypatch.setattr("graphforget.datasets.graph.splits._ENUMERATE_BELOW", 0)
    with pytest.raises(InputError, match="nearly complete"):
        split_edges(as_graph(nx.complete_graph(9)), test=0.1, val=0.1)


def test_stratified():
    y = torch.tensor([0] * 20 + [1] * 10 + [-1] * 5 + [2])
    parts = stratified(y, seed=1)
    assert sorted(torch.cat(list(parts.values())).tolist()) == [*range(30), 35]
    assert [torch.bincount(y[ids], minlength=3).tolist() for ids in parts.values()] == [[12, 6, 1], [4, 2, 0], [4, 2, 0]]
    assert torch.equal(stratified(y, seed=1)["train"], parts["train"])
    assert not torch.equal(stratified(y, seed=2)["train"], parts["train"])
    with pytest.raises(InputError, match="sum of at most 1"):
        stratified(y, train=0.9, val=0.2)


def test_a_public_node_split_is_kept():
    own = GraphData.create(torch.tensor([[0], [1]]), 2, y=torch.tensor([0, 1]), splits={"train": torch.tensor([1])})
    assert with_node_split(own, 0) is own
