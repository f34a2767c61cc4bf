"""Sampled requests: from the right candidates, reproducible, honest about size."""

from __future__ import annotations

import networkx as nx
import pytest
import torch

from graphforget.datasets import load, split_edges
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule, as_graph, sample_requests
from graphforget.requests.keys import canonical_pairs

from .conftest import make


def _links(seed: int = 0) -> GraphData:
    """Eight cliques of five in a ring, with a link split."""
    return split_edges(as_graph(nx.ring_of_cliques(8, 5)), seed=seed)


def _nodes() -> GraphData:
    graph = nx.ring_of_cliques(4, 5)
    data = as_graph(graph, x=torch.eye(20), y=torch.arange(20) % 2)
    edges = torch.cat([data.edge_index, torch.tensor([[2, 6], [6, 2]])], 1)  # two nodes of the largest degree
    return as_graph(
        edges,
        num_nodes=20,
        x=data.x,
        y=data.y,
        splits={"train": torch.arange(0, 20, 2), "val": torch.tensor([1, 3]), "test": torch.arange(5, 20, 2)},
    )


EDGE_SAMPLERS = [
    sample_requests.random_edges,
    sample_requests.inside_edges,
    sample_requests.outside_edges,
    sample_requests.hub_edges,
    sample_requests.community_edges,
]
NODE_SAMPLERS = [sample_requests.random_nodes, sample_requests.hub_nodes, sample_requests.community_nodes]


def _rows(pairs):
    return {tuple(pair) for pair in pairs.tolist()}


@pytest.mark.parametrize("draw", EDGE_SAMPLERS, ids=lambda f: f.__name__)
def test_edges_come_from_the_training_edges(draw):
    data = _links()
    request = draw(data, 3, seed=1)
    assert request.kinds == ("edge",) and len(request) == 3
    assert _rows(request.ids("edge")) <= _rows(data.pairs())
    assert draw(data, 3, seed=1) == request
    assert len({draw(data, 3, seed=seed).digest() for seed in range(6)}) > 1


@pytest.mark.parametrize("draw", NODE_SAMPLERS, ids=lambda f: f.__name__)
def test_nodes_come_from_the_training_nodes(draw):
    data = _nodes()
    request = draw(data, 4, seed=1)
    assert request.kinds == ("node",) and len(request) == 4
    assert set(request.ids("node").tolist()) <= set(data.splits["train"].tolist())
    assert draw(data, 4, seed=1) == request
    assert len({draw(data, 4, seed=seed).digest() for seed in range(6)}) > 1


def test_a_share_is_of_all_training_elements():
    data = _links()
    assert len(sample_requests.random_edges(data, 0.1)) == int(0.1 * len(data.pairs()))
    assert len(sample_requests.outside_edges(data, 0.1)) == int(0.1 * len(data.pairs()))
    assert len(sample_requests.random_nodes(_nodes(), 0.5)) == 5
    assert len(sample_requests.random_nodes(_nodes(), 0.001)) == 1


@pytest.mark.parametrize("num_hops", [0, 1, 2])
def test_inside_and_outside_divide_the_training_edges_at_the_true_region(num_hops):
    data = _links(3)
    whole = nx.Graph([*data.pairs().tolist(), *data.splits["val"].tolist(), *data.splits["test"].tolist()])
    region = set(nx.multi_source_dijkstra_path_length(whole, set(data.splits["test"].flatten().tolist()), cutoff=num_hops))
    expected = {tuple(p) for p in data.pairs().tolist() if not set(p) & region}
    found = {}
    for draw, rest in ((sample_requests.outside_edges, expected), (sample_requests.inside_edges, _rows(data.pairs()) - expected)):
        found[draw] = _rows(draw(data, len(rest), num_hops=num_hops).ids("edge")) if rest else set()
        assert found[draw] == rest
        with pytest.raises(InputError, match=f"there are {len(rest)} training edges .* the {num_hops}-hop test region"):
            draw(data, len(rest) + 1, num_hops=num_hops)


def test_hubs_have_the_largest_degrees():
    star = make([(0, i) for i in range(1, 6)] + [(1, 2)], 6, undirected=True, with_splits=False)
    assert sample_requests.hub_nodes(star, 3, seed=5).ids("node").tolist() == [0, 1, 2]
    assert _rows(sample_requests.hub_edges(star, 2).ids("edge")) == {(0, 1), (0, 2)}


def test_class_nodes_and_features():
    data = _nodes()
    assert (data.y[sample_requests.class_nodes(data, 5, label=0).ids("node")] == 0).all()
    with pytest.raises(InputError, match="there are 0 training nodes of class 1"):
        sample_requests.class_nodes(data, 1, label=1)
    request = sample_requests.random_node_features(data, 2, columns=[3], seed=2)
    assert request.kinds == ("node_feature",) and request.targets[0].columns == (3,)
    assert set(request.ids("node_feature").tolist()) <= set(data.splits["train"].tolist())


def test_communities_are_taken_whole_before_the_next_begins():
    data = _nodes()
    chosen = sample_requests.community_nodes(data, 5, seed=0).ids("node")
    cliques = (chosen // 5).tolist()
    assert len(set(cliques)) == 2  # cliques have two or three training nodes
    pairs = sample_requests.community_edges(_links(), 5, seed=0).ids("edge")
    assert (pairs[:, 0] // 5 == pairs[:, 1] // 5).all()


def test_without_a_node_split_every_live_node_is_a_candidate():
    data = make([(0, 1)], 3, undirected=True, with_splits=False)
    assert sample_requests.random_nodes(data, 3).ids("node").tolist() == [0, 1, 2]


DERIVED = GraphData.create(None, 3, x=torch.eye(3), edge_rule=KNNRule(1))
BARE = make([(0, 1)], 3, undirected=True)
WRONG = {
    "too many": (lambda: sample_requests.random_edges(BARE, 2), "cannot draw 2: there are 1 training edges; .* at most 1"),
    "zero": (lambda: sample_requests.random_nodes(BARE, 0), "at least 1, got 0"),
    "share 1.0": (lambda: sample_requests.random_nodes(BARE, 1.0), r"between 0 and 1 \(exclusive\), got 1.0"),
    "bool": (lambda: sample_requests.random_nodes(BARE, True), "count .* or a share .* got True"),
    "text": (lambda: sample_requests.hub_nodes(BARE, "5%"), "got '5%'"),
    "no test edges": (lambda: sample_requests.inside_edges(BARE, 1), "this graph has none: use data with a link split"),
    "derived": (lambda: sample_requests.random_edges(DERIVED, 1), "derive from its features"),
    "no labels": (lambda: sample_requests.class_nodes(DERIVED, 1, label=0), "no labels y"),
    "no features": (lambda: sample_requests.random_node_features(_links(), 1), "no node features x"),
}


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_mistakes(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


@pytest.mark.data
def test_outside_candidates_of_dblp(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    data = load("dblp", task="link_prediction", seed=42)
    assert len(data.pairs()) == 47_581 and torch.equal(data.pairs(), canonical_pairs(data.pairs(), True))
    assert len(sample_requests.outside_edges(data, 0.05)) == 2_379
    with pytest.raises(InputError, match="there are 2,955 training edges outside the 1-hop test region"):
        sample_requests.outside_edges(data, 10_000)
