from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, reorder, spmm


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20), st.booleans(), st.booleans())
@pytest.mark.parametrize("by", ["degree", "rcm"])
def test_a_renumbered_graph_computes_the_same(by, n, pairs, undirected, narrow):
    edge_index = torch.tensor([p for p in pairs if max(p) < n], dtype=torch.int32 if narrow else torch.long).view(-1, 2).t()
    if undirected:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
    weight = torch.rand(edge_index.size(1), generator=torch.Generator().manual_seed(0))
    graph = SparseGraph.from_edge_index(edge_index, n, weight).with_total_degree(
        torch.bincount(edge_index[1], minlength=n) + torch.arange(n)
    )
    new, order = reorder(graph, by)
    assert sorted(order.tolist()) == list(range(n)) and new.col.dtype == graph.col.dtype
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(spmm(new, x[order]), spmm(graph, x)[order], atol=1e-5)
    assert torch.equal(new.total_degree, graph.total_degree[order])


def bandwidth(graph):
    return int((graph.row - graph.col).abs().max())


def shuffled_path(n=200):
    name = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    edge_index = torch.stack([name[:-1], name[1:]])
    return SparseGraph.from_edge_index(torch.cat([edge_index, edge_index.flip(0)], 1), n)


def test_cuthill_mckee_brings_neighbours_together():
    graph = shuffled_path()
    assert bandwidth(graph) > 100 and bandwidth(reorder(graph, "rcm")[0]) == 1


def test_by_degree_the_most_referenced_node_comes_first():
    graph = SparseGraph.from_edge_index(torch.tensor([[2, 2, 2, 1], [0, 1, 3, 0]]), 4)
    assert reorder(graph, "degree")[1].tolist() == [2, 1, 0, 3]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: reorder(shuffled_path(5), "metis"), "'degree' or 'rcm', got 'metis'"),
        (lambda: reorder(SparseGraph(torch.tensor([0, 1]), torch.tensor([0]), num_cols=4)), "square"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
