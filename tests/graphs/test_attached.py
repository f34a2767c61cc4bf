"""Tables of nodes and edges go wherever their nodes and edges go: every row still stands beside what it belongs to."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

from graphforget.exceptions import InputError
from graphforget.graphs import (
    GraphData,
    as_graph,
    compact,
    induced_subgraph,
    remove_edges,
    remove_features,
    remove_nodes,
    take_part,
    to_networkx,
    to_pyg,
    to_scipy,
)


@st.composite
def graphs(draw):
    """A graph whose tables say which edge and which node a row belongs to; copies of an edge and self-loops included."""
    n = draw(st.integers(3, 9))
    count = draw(st.integers(1, 20))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=count, max_size=count))
    undirected = draw(st.booleans())
    if undirected:
        pairs = pairs + [(v, u) for u, v in pairs if u != v]
    order = draw(st.permutations(range(len(pairs))))
    edges = torch.tensor([pairs[i] for i in order]).t()
    ends = edges.t().float()
    return GraphData.create(
        edges,
        n,
        x=torch.arange(n).float().view(-1, 1),
        undirected=undirected,
        edge_data={"edge_attr": ends, "edge_type": edges[0] * 100 + edges[1]},
        node_data={"node_type": torch.arange(n) * 7, "pos": torch.arange(n).float().view(-1, 1).expand(-1, 2)},
    )


def agrees(data: GraphData, ids: torch.Tensor | None = None) -> bool:
    """Whether every row of a table is that of the edge or node beside it; ``ids``: what the slots are called in the first graph."""
    ids = torch.arange(data.num_nodes) if ids is None else ids
    ends = ids[data.edge_index]
    edges = torch.equal(data.edge_data["edge_attr"], ends.t().float()) and torch.equal(
        data.edge_data["edge_type"], ends[0] * 100 + ends[1]
    )
    live = data.alive
    nodes = torch.equal(data.node_data["node_type"][live], ids[live] * 7) and torch.equal(
        data.node_data["pos"][live], ids[live].float().view(-1, 1).expand(-1, 2)
    )
    return bool(edges and nodes)


@given(graphs(), st.data())
def test_rows_follow_every_edit(data, choice):
    assert agrees(data)
    node = choice.draw(st.integers(0, data.num_nodes - 1))
    gone = remove_nodes(data, [node])
    assert agrees(gone) and bool(gone.node_data["pos"][node].isnan().all()) and int(gone.node_data["node_type"][node]) == 0
    unlinked = remove_nodes(data, [node], keep_content=True)
    assert agrees(unlinked) and int(unlinked.node_data["node_type"][node]) == node * 7
    assert agrees(remove_features(data, [node]))
    pairs = data.pairs()
    if len(pairs):
        pair = pairs[choice.draw(st.integers(0, len(pairs) - 1))]
        assert agrees(remove_edges(data, pair.view(1, 2)))
    kept = choice.draw(st.lists(st.integers(0, data.num_nodes - 1), min_size=1, unique=True))
    part = induced_subgraph(data, kept)
    assert agrees(part.data, part.ids)
    small, position = compact(gone)
    ids = (position >= 0).nonzero().view(-1)
    assert agrees(small, ids)


@given(graphs(), st.data())
def test_rows_follow_into_parts(data, choice):
    core = choice.draw(st.lists(st.integers(0, data.num_nodes - 1), min_size=1, unique=True))
    hops = choice.draw(st.integers(0, 2))
    fanout = choice.draw(st.sampled_from([None, 1, 2]))
    mirror = choice.draw(st.booleans()) and fanout is None
    draws = torch.Generator().manual_seed(0)
    part = take_part(data, torch.tensor(core), hops, fanout=fanout, mirror=mirror, generator=draws)
    assert agrees(part, part.part.ids)
    inner = take_part(part, part.part.core.nonzero().view(-1), 0)
    assert agrees(inner, inner.part.ids)


@given(graphs())
def test_there_and_back(data):
    for back in (as_graph(to_pyg(data)),):
        assert torch.equal(back.edge_index, data.edge_index) and agrees(back)


def test_the_digest_knows_the_tables():
    edges = torch.tensor([[0, 1], [1, 2]])
    plain = GraphData.create(edges, 3)
    one, two = (GraphData.create(edges, 3, edge_data={"edge_weight": torch.tensor(w)}) for w in ([1.0, 2.0], [1.0, 3.0]))
    assert len({plain.digest(), one.digest(), two.digest()}) == 3
    before = one.digest()
    one.edge_data["edge_weight"][0] = 9.0
    assert one.digest() != before


def test_a_pyg_graph_brings_everything_with_a_row_per_node_or_edge():
    edges = torch.tensor([[2, 0, 1], [0, 1, 2]])
    data = Data(x=torch.eye(4), edge_index=edges, edge_weight=torch.tensor([20.0, 1.0, 12.0]), edge_type=torch.tensor([2, 0, 1]))
    data.node_type, data.title, data.note = torch.arange(4), ["a", "b", "c", "d"], torch.ones(7)
    graph = as_graph(data)
    assert graph.edge_index.tolist() == [[0, 1, 2], [1, 2, 0]]
    assert graph.edge_data["edge_weight"].tolist() == [1.0, 12.0, 20.0] and graph.edge_data["edge_type"].tolist() == [0, 1, 2]
    assert list(graph.node_data) == ["node_type"]


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo])
def test_a_transposed_adjacency_is_read_the_right_way_round(layout):
    edges = torch.tensor([[0, 0, 1], [1, 2, 3]])
    adjacency = torch.sparse_coo_tensor(edges.flip(0), torch.tensor([1.0, 2.0, 3.0]), (4, 4)).coalesce()
    data = Data(x=torch.eye(4))
    data.adj_t = adjacency if layout is torch.sparse_coo else adjacency.to_sparse_csr()
    graph = as_graph(data)
    assert torch.equal(graph.edge_index, edges) and graph.edge_data["edge_weight"].tolist() == [1.0, 2.0, 3.0]


def test_networkx_weights_and_numbers_of_edges():
    graph = nx.Graph()
    graph.add_edge("bob", "ann", weight=0.5, since=1994, why="friends")
    graph.add_edge("ann", "zoe", weight=7, since=2001, why="work")
    data = as_graph(graph)
    assert data.node_names == ("bob", "ann", "zoe") and data.undirected
    assert data.edge_data["edge_weight"].tolist() == [0.5, 0.5, 7.0, 7.0] and data.edge_data["since"].tolist() == [1994, 1994, 2001, 2001]
    assert sorted(data.edge_data) == ["edge_weight", "since"]
    back = to_networkx(data)
    assert back["bob"]["ann"]["weight"] == 0.5 and back["zoe"]["ann"]["since"] == 2001
    graph.add_edge("zoe", "bob")
    with pytest.raises(InputError, match="2 of 6 edge entries have no weight: give every edge one, or none"):
        as_graph(graph)


def test_scipy_values_are_weights():
    matrix = scipy.sparse.csr_array(np.array([[0, 2.5, 0], [0, 0, 1], [0, 0, 0]]))
    data = as_graph(matrix)
    assert data.edge_data["edge_weight"].tolist() == [2.5, 1.0]
    assert (to_scipy(data) != matrix).nnz == 0
    assert as_graph(matrix.astype(bool).astype(float)).edge_data == {}


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"edge_data": {"edge_weight": torch.ones(3)}}, r"edge_data 'edge_weight' must have one row per edge entry .*, 2; got shape \[3\]"),
        ({"node_data": {"pos": torch.ones(2, 3)}}, r"node_data 'pos' must have one row per node, 3; got shape \[2, 3\]"),
        ({"node_data": {"x": torch.ones(3)}}, "node_data cannot have the name 'x'"),
        ({"edge_data": {"edge_weight": [1, 2]}}, "edge_data 'edge_weight' must be a dense tensor of numbers, got list"),
        ({"edge_data": [torch.ones(2)]}, "edge_data must be a mapping"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, words):
    with pytest.raises(InputError, match=words):
        GraphData.create(torch.tensor([[0, 1], [1, 2]]), 3, **tables)
