from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, drop_edges, drop_nodes, spmm, spmm_rows


@st.composite
def multigraphs(draw):
    """Directed or not, with copies, self-loops, isolated nodes; sometimes a star with a hub of many entries."""
    n = draw(st.integers(1, 7))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=24))
    edge_index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous()
    if draw(st.booleans()):
        n += 40
        leaves = torch.arange(n - 40, n)
        edge_index = torch.cat([edge_index, torch.stack([leaves, torch.zeros_like(leaves)])], 1)
    if draw(st.booleans()):
        edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
    return edge_index.int() if draw(st.booleans()) else edge_index, n


def build(edge_index, n, weighted):
    weight = torch.rand(edge_index.size(1), generator=torch.Generator().manual_seed(0)) if weighted else None
    return SparseGraph.from_edge_index(edge_index, n, weight)


def fresh(graph, keep):
    index = graph.to_edge_index()[:, keep].to(graph.col.dtype)
    return SparseGraph.from_edge_index(index, graph.num_rows, None if graph.weight is None else graph.weight[keep])


def assert_same(a, b, depth=1):
    assert (a.num_edges, a.shape) == (b.num_edges, b.shape)
    for name in ("rowptr", "col", "weight", "row", "perm"):
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None)
        assert left is None or (left.dtype == right.dtype and torch.equal(left, right)), name
    assert a.symmetric == b.symmetric
    if depth:
        assert_same(a.transpose(), b.transpose(), depth - 1)
        assert_same(a.pattern, b.pattern, depth - 1)
        assert_same(a.gcn_norm(), b.gcn_norm(), depth - 1)
        assert torch.equal(a.degree(), b.degree())


def read_rows_only(graph, expected):
    """What is answered without writing the graph out."""
    n = graph.num_rows
    rows = torch.cat([torch.arange(n).flip(0), torch.tensor([0, 0])])
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    written = not graph.edited
    assert torch.equal(graph.degree(), expected.degree())
    assert torch.allclose(spmm_rows(graph, x, rows), spmm(expected, x)[rows], atol=1e-6)
    assert torch.equal(graph.select_rows(rows).col, expected.select_rows(rows).col)
    assert graph.num_edges == expected.num_edges and graph.weighted == expected.weighted
    assert graph.edited or written


@settings(deadline=None, max_examples=60)
@given(multigraphs(), st.booleans(), st.booleans(), st.data())
def test_dropping_entries_equals_a_fresh_build(graph, weighted, transposed, data):
    whole = build(*graph, weighted)
    if transposed:
        whole.transpose()
    e = whole.num_edges
    dropped = torch.tensor(data.draw(st.lists(st.integers(0, e - 1), max_size=3)) if e else [], dtype=torch.long)
    keep = torch.ones(e, dtype=torch.bool).index_fill(0, dropped, False)
    edited, expected = whole.drop(dropped), fresh(whole, keep)
    assert edited.edited == (len(set(dropped.tolist())) * 16 <= e)
    read_rows_only(edited, expected)
    assert_same(edited, expected)
    assert not edited.edited and whole.num_edges == e


@settings(deadline=None, max_examples=40)
@given(multigraphs(), st.booleans(), st.booleans(), st.data())
def test_dropping_edges_and_nodes_in_turn_equals_a_fresh_build(graph, weighted, both, data):
    whole = build(*graph, weighted)
    row, col = whole.row.long(), whole.col.long()
    there = set(zip(row.tolist(), col.tolist(), strict=True))
    choice = sorted(pair for pair in there if not both or pair[::-1] in there)
    pairs = torch.tensor(data.draw(st.lists(st.sampled_from(choice), max_size=2)) if choice else []).view(-1, 2).long()
    nodes = torch.tensor(data.draw(st.lists(st.integers(0, whole.num_rows - 1), max_size=2)), dtype=torch.long)
    edited = drop_nodes(drop_edges(whole, pairs, both_directions=both), nodes)
    gone = {tuple(p) for p in pairs.tolist()} | ({tuple(p[::-1]) for p in pairs.tolist()} if both else set())
    keep = torch.tensor([(i, j) not in gone for i, j in zip(row.tolist(), col.tolist(), strict=True)], dtype=torch.bool)
    keep &= ~(torch.isin(row, nodes) | torch.isin(col, nodes))
    expected = fresh(whole, keep)
    read_rows_only(edited, expected)
    assert_same(edited, expected)


def star(leaves=100):
    hub, rim = torch.zeros(leaves, dtype=torch.long), torch.arange(1, leaves + 1)
    return SparseGraph.from_edge_index(torch.stack([torch.cat([hub, rim]), torch.cat([rim, hub])]), leaves + 1)


def test_an_edit_is_kept_as_a_list_until_the_whole_graph_is_needed():
    graph = star()
    once = drop_edges(graph, torch.tensor([[0, 5]]), both_directions=True)
    twice = drop_edges(once, torch.tensor([[7, 0]]), both_directions=False)
    assert once.edited and twice.edited and (once.num_edges, twice.num_edges) == (198, 197)
    assert once.degree()[[0, 5, 7]].tolist() == [99, 0, 1] and twice.degree()[[0, 5, 7]].tolist() == [99, 0, 0]
    assert once.edited and once.pattern is once and once.device == graph.device
    assert not drop_nodes(once, torch.tensor([0])).edited  # too many at once: written out
    assert spmm(once, torch.ones(101, 1))[0].item() == 99 and not once.edited
    assert once.symmetric and not twice.symmetric
    assert drop_edges(twice, torch.empty(0, 2, dtype=torch.long), both_directions=True).num_edges == 197


def test_positions_count_in_the_edited_graph():
    graph = star().drop(torch.tensor([0, 1]))
    assert graph.drop(torch.tensor([0])).select_rows(torch.tensor([0])).col[0].item() == 4


def test_a_rectangular_graph_is_edited_too():
    graph = SparseGraph(torch.tensor([0, 2, 2, 3]), torch.tensor([0, 3, 1]), torch.tensor([1.0, 2.0, 3.0]), num_cols=4)
    graph.transpose()
    edited = drop_edges(graph, torch.tensor([[0, 3]]), both_directions=False)
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 3.0, 0, 0]])
    assert torch.equal(edited.to_dense(), expected) and torch.equal(edited.transpose().to_dense(), expected.t())


def test_learned_weights_keep_their_gradient():
    weight = torch.rand(200, requires_grad=True)
    edited = drop_edges(star().with_weight(weight), torch.tensor([[0, 5]]), both_directions=True)
    spmm_rows(edited, torch.ones(101, 2), torch.tensor([0])).sum().backward()
    assert weight.grad.tolist() == [2.0 if i < 100 and i != 4 else 0.0 for i in range(200)]


PART = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3)
WIDE = SparseGraph(torch.tensor([0, 1]), torch.tensor([0]), num_cols=4)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: PART.drop(torch.tensor([2])), r"0\.\.1, got 2 to 2"),
        (lambda: PART.drop(torch.tensor([True])), "vector of integers"),
        (lambda: PART.with_total_degree(torch.tensor([0, 1, 2])).drop(torch.tensor([0])), "total degree"),
        (lambda: drop_edges(PART, torch.tensor([0, 1]), both_directions=False), r"shape \[n, 2\]"),
        (lambda: drop_edges(PART, torch.tensor([[1, 3]]), both_directions=False), r"\[1, 3\] is outside"),
        (lambda: drop_edges(PART, torch.tensor([[0, 1]]), both_directions=False), r"no entry at \(row, column\) \[0, 1\]"),
        (lambda: drop_edges(PART, torch.tensor([[1, 0]]), both_directions=True), "both_directions=False for a directed"),
        (lambda: drop_edges(WIDE, torch.tensor([[0, 0]]), both_directions=True), "square"),
        (lambda: drop_nodes(PART, torch.tensor([3])), r"0\.\.2"),
        (lambda: drop_nodes(PART, torch.tensor([1.0])), "vector of integers"),
        (lambda: drop_nodes(WIDE, torch.tensor([0])), "square"),
        (lambda: PART.select_rows(torch.tensor([-1])), r"rows must lie in 0\.\.2"),
        (lambda: PART.select_rows(torch.tensor([[1]])), "vector of integers"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_threads_may_write_the_same_graph_out():
    graph = star().drop(torch.tensor([3]))
    graph._write_out()
    graph._write_out()  # the thread that came second
    assert not graph.edited and graph.num_edges == 199
