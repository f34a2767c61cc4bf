"""Rows of a graph, uniform samples of them, and expansion hop by hop."""

from __future__ import annotations

import importlib.util

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, using
from graphforget.kernels import sampling as module
from graphforget.kernels.sampling import expand, per_hop, row_entries, sample_entries

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="the extra 'fast' is not installed")
brief = settings(deadline=None, max_examples=20)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def star(leaves: int) -> SparseGraph:
    """Node 0 reads from every other node."""
    return SparseGraph.from_edge_index(
        torch.stack([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.long)]), leaves + 1
    )


@st.composite
def graphs(draw: st.DrawFn) -> SparseGraph:
    """Directed graphs with copies of edges, self-loops, empty rows and now and then one node only; int32 or int64."""
    num_nodes = draw(st.integers(1, 12))
    node = st.integers(0, num_nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=60))
    edge_index = torch.tensor(edges, dtype=draw(st.sampled_from([torch.int32, torch.int64]))).view(-1, 2).t()
    return SparseGraph.from_edge_index(edge_index, num_nodes)


@st.composite
def graph_and_rows(draw: st.DrawFn) -> tuple[SparseGraph, Tensor]:
    graph = draw(graphs())
    rows = draw(st.lists(st.integers(0, graph.num_rows - 1), max_size=15))
    return graph, torch.tensor(rows, dtype=torch.long)


def by_row(ptr: Tensor, entries: Tensor) -> list[list[int]]:
    return [entries[ptr[i] : ptr[i + 1]].tolist() for i in range(len(ptr) - 1)]


def whole(graph: SparseGraph, rows: Tensor) -> list[list[int]]:
    return [list(range(int(graph.rowptr[r]), int(graph.rowptr[r + 1]))) for r in rows.tolist()]


# ---- rows ---------------------------------------------------------------------------------------------------
@brief
@given(graph_and_rows())
def test_row_entries_are_the_rows(case):
    graph, rows = case
    ptr, entries = row_entries(graph, rows)
    assert ptr.dtype == entries.dtype == torch.int64
    assert by_row(ptr, entries) == whole(graph, rows)


# ---- samples ------------------------------------------------------------------------------------------------
@brief
@given(graph_and_rows(), st.integers(1, 8), st.integers(0, 99))
def test_a_sample_is_a_subset_without_duplicates_of_the_right_size(case, fanout, seed):
    graph, rows = case
    ptr, entries = sample_entries(graph, rows, fanout, generator(seed))
    for taken, all_of_it in zip(by_row(ptr, entries), whole(graph, rows), strict=True):
        assert taken == sorted(set(taken)) and set(taken) <= set(all_of_it)
        assert len(taken) == min(fanout, len(all_of_it))


@brief
@given(graph_and_rows(), st.integers(1, 8), st.integers(0, 99))
def test_the_same_generator_gives_the_same_sample(case, fanout, seed):
    graph, rows = case
    one, same = (sample_entries(graph, rows, fanout, generator(seed)) for _ in range(2))
    assert torch.equal(one[0], same[0]) and torch.equal(one[1], same[1])


@needs_numba
@brief
@given(graph_and_rows(), st.integers(1, 8), st.integers(0, 99))
def test_numba_and_torch_agree_bit_for_bit(case, fanout, seed):
    graph, rows = case
    assert module._numba(graph) is not None  # otherwise torch would be compared with itself
    fast = [*row_entries(graph, rows), *sample_entries(graph, rows, fanout, generator(seed))]
    with using("reference"):
        assert module._numba(graph) is None
        slow = [*row_entries(graph, rows), *sample_entries(graph, rows, fanout, generator(seed))]
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(fast, slow, strict=True))


@pytest.mark.parametrize("backend", ["reference", None])
@pytest.mark.parametrize("fanout", [1, 3, 9])
def test_every_entry_is_equally_likely(backend, fanout):
    degree, times = 10, 6000
    graph = star(degree)
    with using(backend):
        _, entries = sample_entries(graph, torch.zeros(times, dtype=torch.long), fanout, generator(3))
    counts = torch.bincount(entries, minlength=degree).double()
    expected = times * fanout / degree
    # Without replacement the counts vary less, by (degree - fanout) / (degree - 1); 9 degrees of freedom, 99.9 % is 27.9.
    chi_square = float(((counts - expected) ** 2 / expected).sum()) * (degree - 1) / (degree - fanout)
    assert chi_square < 27.9


def test_every_set_of_entries_is_equally_likely():
    times = 6000
    _, entries = sample_entries(star(5), torch.zeros(times, dtype=torch.long), 2, generator(4))
    pairs = entries.view(times, 2)
    counts = torch.bincount(pairs[:, 0] * 5 + pairs[:, 1], minlength=25)
    counts = counts[counts > 0].double()
    assert len(counts) == 10  # 5 choose 2
    assert float(((counts - times / 10) ** 2 / (times / 10)).sum()) < 27.9


def test_successive_draws_differ():
    g = generator()
    rows = torch.zeros(1, dtype=torch.long)
    drawn = {tuple(sample_entries(star(50), rows, 5, g)[1].tolist()) for _ in range(10)}
    assert len(drawn) > 5


@pytest.mark.parametrize("backend", ["reference", None])
def test_a_row_of_large_degree_costs_its_fanout(backend, monkeypatch):
    graph = star(7000)
    sizes = []
    real = torch.rand
    monkeypatch.setattr(module.torch, "rand", lambda *size, **kw: sizes.append(size) or real(*size, **kw))
    with using(backend):
        _, entries = sample_entries(graph, torch.tensor([0]), 5, generator())
    assert sizes == [(1, 5)] and len(entries) == 5


def test_a_sample_of_a_weighted_graph_ignores_the_weights():
    graph = star(20)
    weighted = graph.with_weight(torch.rand(20, generator=generator()))
    rows = torch.tensor([0])
    assert torch.equal(sample_entries(graph, rows, 4, generator(1))[1], sample_entries(weighted, rows, 4, generator(1))[1])


# ---- expansion ----------------------------------------------------------------------------------------------
def distances(graph: SparseGraph, start: Tensor, hops: int) -> Tensor:
    """Breadth-first search on the dense matrix, the oracle."""
    adjacency = graph.to_dense() > 0
    distance = torch.full((graph.num_rows,), -1)
    reached = torch.zeros(graph.num_rows, dtype=torch.bool)
    reached[start] = True
    distance[reached] = 0
    for hop in range(1, hops + 1):
        new = adjacency[distance == hop - 1].any(0) & ~reached
        distance[new] = hop
        reached |= new
    return distance


@brief
@given(graph_and_rows(), st.integers(0, 4))
def test_without_fanout_expansion_is_breadth_first_search(case, hops):
    graph, start = case
    found = expand(graph, start, hops)
    expected = distances(graph, start, hops)
    assert [nodes.tolist() for nodes in found.nodes] == [(expected == h).nonzero().view(-1).tolist() for h in range(hops + 1)]
    for nodes, ptr, entries in zip(found.nodes, found.ptr, found.entries, strict=False):
        assert by_row(ptr, entries) == whole(graph, nodes)
    assert torch.equal(found.all_nodes(), (expected >= 0).nonzero().view(-1))


@brief
@given(graph_and_rows(), st.lists(st.integers(1, 3), max_size=4), st.integers(0, 99))
def test_with_fanout_each_hop_is_what_its_entries_lead_to(case, fanouts, seed):
    graph, start = case
    found = expand(graph, start, len(fanouts), fanouts, generator(seed))
    seen = set(start.tolist())
    for hop, limit in enumerate(fanouts):
        for row, taken in zip(found.nodes[hop].tolist(), by_row(found.ptr[hop], found.entries[hop]), strict=True):
            assert len(taken) == min(limit, int(graph.degree()[row]))
            assert all(int(graph.row[e]) == row for e in taken)
        new = set(graph.col[found.entries[hop]].tolist()) - seen
        assert found.nodes[hop + 1].tolist() == sorted(new)
        seen |= new


@needs_numba
@brief
@given(graph_and_rows(), st.sampled_from([None, 1, 2]), st.integers(0, 99))
def test_numba_and_torch_expand_alike(case, fanout, seed):
    graph, start = case
    fast = expand(graph, start, 3, fanout, generator(seed))
    with using("reference"):
        slow = expand(graph, start, 3, fanout, generator(seed))
    for a, b in zip((*fast.nodes, *fast.ptr, *fast.entries), (*slow.nodes, *slow.ptr, *slow.entries), strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


def test_expansion_reads_only_the_rows_it_reaches():
    nodes = torch.arange(1000)
    path = SparseGraph.from_edge_index(torch.stack([nodes[:-1], nodes[1:]]), 1000)
    found = expand(path, torch.tensor([500]), 3)
    assert sum(len(e) for e in found.entries) == 3 and found.all_nodes().tolist() == [497, 498, 499, 500]


def test_a_single_node_without_edges():
    alone = SparseGraph.from_edge_index(torch.empty((2, 0), dtype=torch.long), 1)
    assert [n.tolist() for n in expand(alone, torch.tensor([0]), 2, 3).nodes] == [[0], [], []]
    ptr, entries = sample_entries(alone, torch.tensor([0]), 3)
    assert ptr.tolist() == [0, 0] and entries.tolist() == []


# ---- bad input ----------------------------------------------------------------------------------------------
def test_limits_per_hop():
    assert per_hop([3, 2], 2) == (3, 2) and per_hop(4, 3) == (4, 4, 4) and per_hop(None, 2) == (None, None)
    with pytest.raises(InputError, match="2 limits for 3 hops"):
        per_hop((5, 5), 3)
    with pytest.raises(InputError, match="0 or more, got -1"):
        per_hop(None, -1)


@pytest.mark.parametrize("fanout", [0, -1, True, 2.0, "3"])
def test_a_fanout_that_is_no_count_is_refused(fanout):
    with pytest.raises(InputError, match="at least 1"):
        sample_entries(star(3), torch.tensor([0]), fanout)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.tensor([0, 4]), "rows 0 to 3"),
        (torch.tensor([-1]), "rows 0 to 3"),
        (torch.tensor([0.0]), "vector of row numbers"),
        (torch.tensor([[0]]), "vector of row numbers"),
        ([0], "got list"),
    ],
)
def test_rows_that_are_not_of_the_graph_are_refused(rows, message):
    for read in (row_entries, lambda g, r: sample_entries(g, r, 2), lambda g, r: expand(g, r, 1)):
        with pytest.raises(InputError, match=message):
            read(star(3), rows)


def test_a_rectangular_graph_cannot_be_expanded():
    with pytest.raises(InputError, match="square graph"):
        expand(SparseGraph.from_dense(torch.ones(2, 3)), torch.tensor([0]), 1)
