"""Regions equal a search by networkx."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, hop_distance, k_hop

from .conftest import graphs, make


@settings(deadline=None, max_examples=30)
@given(graphs(), st.data())
def test_distances_equal_networkx_on_the_undirected_graph(data, draw):
    seeds = draw.draw(st.sets(st.integers(0, data.num_nodes - 1), max_size=3))
    reference = nx.Graph(data.edge_index.t().tolist())
    reference.add_nodes_from(range(data.num_nodes))
    lengths = nx.multi_source_dijkstra_path_length(reference, seeds) if seeds else {}
    expected = [lengths.get(i, -1) for i in range(data.num_nodes)]
    assert hop_distance(data, sorted(seeds)).tolist() == expected
    for hops in (0, 1, 2):
        within = [d if 0 <= d <= hops else -1 for d in expected]
        assert hop_distance(data, sorted(seeds), hops).tolist() == within
        assert k_hop(data.edge_index, sorted(seeds), hops, data.num_nodes).tolist() == [d >= 0 for d in within]


def test_edges_are_followed_against_their_direction():
    path = make([(0, 1), (1, 2), (2, 3)], 4, undirected=False)
    assert k_hop(path, [3], 1).tolist() == [False, False, True, True]


def test_seeds_as_mask_and_none_at_all():
    path = make([(0, 1), (1, 2)], 3, undirected=True)
    assert k_hop(path, torch.tensor([True, False, False]), 1).tolist() == [True, True, False]
    assert not k_hop(path, torch.tensor([], dtype=torch.long), 2).any()


def test_the_work_follows_the_region(monkeypatch):
    from graphforget.graphs import hops

    n = 5000
    ring = torch.arange(n)
    data = GraphData.create(torch.cat([torch.stack([ring, ring.roll(1)]), torch.stack([ring.roll(1), ring])], 1), n)
    data.neighbours
    read = []
    original = hops.slices
    monkeypatch.setattr(hops, "slices", lambda *args: (out := original(*args), read.append(len(out[1])))[0])
    assert int((hop_distance(data, [7], 3) >= 0).sum()) == 7
    assert sum(read) == 2 + 4 + 4
    expand = hops.expand
    monkeypatch.setattr(hops, "expand", lambda *args: (out := expand(*args), read.extend(map(len, out.entries)))[0])
    assert int(k_hop(data, [7], 3).sum()) == 7
    assert sum(read) == 2 * (2 + 4 + 4)


@given(st.integers(0, 1000), st.integers(0, 4))
@settings(deadline=None, max_examples=20)
def test_k_hop_is_where_the_distance_is_known(seed, hops):
    g = torch.Generator().manual_seed(seed)
    edges = torch.randint(20, (2, 18), generator=g)
    data, seeds = GraphData.create(edges, 20, undirected=False), torch.randint(20, (3,), generator=g)
    wanted = hop_distance(edges, seeds, hops, 20) >= 0
    assert torch.equal(k_hop(data, seeds, hops), wanted) and torch.equal(k_hop(edges, seeds, hops, 20), wanted)


PATH = make([(0, 1)], 3, undirected=True)
WRONG = {
    "unknown seed": (lambda: k_hop(PATH, [3], 1), "unknown nodes 3: the graph has nodes 0 to 2"),
    "float seeds": (lambda: k_hop(PATH, torch.tensor([0.5]), 1), "node ids must be integers, got dtype float32"),
    "mask": (lambda: k_hop(PATH, torch.ones(2, dtype=torch.bool), 1), r"shape \[3\], got \[2\]"),
    "hops": (lambda: k_hop(PATH, [0], -1), "0 or more, got -1"),
    "num_nodes": (lambda: k_hop(PATH.edge_index, [0], 1), "num_nodes is needed"),
}


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_mistakes(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
