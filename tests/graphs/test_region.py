"""Regions equal a search by networkx; subgraphs keep what is inside."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, hop_distance, induced_subgraph, k_hop

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
    from graphforget.graphs import region

    n = 5000
    ring = torch.arange(n)
    data = GraphData.create(torch.cat([torch.stack([ring, ring.roll(1)]), torch.stack([ring.roll(1), ring])], 1), n)
    data.neighbours
    read = []
    original = region.slices
    monkeypatch.setattr(region, "slices", lambda *args: (out := original(*args), read.append(len(out[1])))[0])
    assert int((hop_distance(data, [7], 3) >= 0).sum()) == 7
    assert sum(read) == 2 + 4 + 4
    expand = region.expand
    monkeypatch.setattr(region, "expand", lambda *args: (out := expand(*args), read.extend(map(len, out.entries)))[0])
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


def test_induced_subgraph():
    data = make([(0, 1), (1, 2), (2, 3), (3, 4), (1, 3)], 5, undirected=True)
    part = induced_subgraph(data, [4, 1, 3])
    assert part.ids.tolist() == [1, 3, 4] and part.position.tolist() == [-1, 0, -1, 1, 2]
    assert part.data.pairs().tolist() == [[0, 1], [1, 2]]
    assert torch.equal(part.data.x, data.x[part.ids]) and torch.equal(part.data.y, data.y[part.ids])
    assert part.data.splits["train"].tolist() == [2] and part.data.splits["test"].tolist() == [0, 1]


def test_induced_subgraph_keeps_pairs_with_both_ends_inside():
    data = GraphData.create(torch.tensor([[0, 1], [1, 0]]), 4, splits={"val": torch.tensor([[0, 2], [0, 3], [2, 3]])})
    assert induced_subgraph(data, [0, 3]).data.splits["val"].tolist() == [[0, 1]]


def test_a_region_of_one_more_hop_than_layers_is_exact_for_gcn():
    from torch_geometric.nn import GCNConv

    g = torch.Generator().manual_seed(0)
    edges = torch.randint(60, (2, 90), generator=g)
    data = GraphData.create(torch.cat([edges, edges.flip(0)], 1), 60, x=torch.randn(60, 4, generator=g))
    torch.manual_seed(0)
    first, second = GCNConv(4, 5), GCNConv(5, 2)

    def run(d):
        return second(first(d.x, d.edge_index).relu(), d.edge_index)

    seeds = torch.tensor([3, 40])
    part = induced_subgraph(data, k_hop(data, seeds, 3))
    assert part.data.num_nodes < data.num_nodes
    torch.testing.assert_close(run(part.data)[part.position[seeds]], run(data)[seeds])


PATH = make([(0, 1)], 3, undirected=True)
WRONG = {
    "unknown seed": (lambda: k_hop(PATH, [3], 1), "unknown nodes 3: the graph has nodes 0 to 2"),
    "float seeds": (lambda: k_hop(PATH, torch.tensor([0.5]), 1), "node ids must be integers, got dtype float32"),
    "mask": (lambda: k_hop(PATH, torch.ones(2, dtype=torch.bool), 1), r"shape \[3\], got \[2\]"),
    "hops": (lambda: k_hop(PATH, [0], -1), "0 or more, got -1"),
    "num_nodes": (lambda: k_hop(PATH.edge_index, [0], 1), "num_nodes is needed"),
    "empty": (lambda: induced_subgraph(PATH, torch.zeros(3, dtype=torch.bool)), "at least one node"),
}


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_mistakes(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
