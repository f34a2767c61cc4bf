"""A SparseGraph from and to PyG's EdgeIndex, torch.sparse, scipy and DGL."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex

from graphforget.exceptions import InputError
from graphforget.graphs.convert_sparse import as_sparse, sparse_to_dgl, sparse_to_pyg, sparse_to_scipy, sparse_to_torch
from graphforget.kernels import SparseGraph, spmm

ANY = given(
    st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=15), st.booleans(), st.booleans()
)


def build(n, pairs, undirected, weighted):
    edge_index = torch.tensor([p for p in pairs if max(p) < n], dtype=torch.long).view(-1, 2).t()
    if undirected:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
    weight = torch.rand(edge_index.size(1), generator=torch.Generator().manual_seed(0)) + 0.1
    return SparseGraph.from_edge_index(edge_index, n, weight if weighted and len(weight) else None)


def same(a, b):
    assert a.shape == b.shape and torch.equal(a.rowptr, b.rowptr) and torch.equal(a.col, b.col)
    assert (a.weight is None) == (b.weight is None)
    assert a.weight is None or torch.equal(a.weight, b.weight)
    return True


@settings(deadline=None, max_examples=25)
@ANY
def test_there_and_back(n, pairs, undirected, weighted):
    graph = build(n, pairs, undirected, weighted)
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    assert same(as_sparse(sparse_to_torch(graph, torch.sparse_coo)), graph)
    assert same(as_sparse(sparse_to_scipy(graph)), graph)
    for sort_order in ("row", "col"):
        index = sparse_to_pyg(graph, sort_order).validate()
        assert same(as_sparse(index), graph.pattern)
        assert index.sort_order == sort_order
    if graph.num_edges:
        assert torch.allclose(sparse_to_pyg(graph).matmul(x, transpose=True), spmm(graph.pattern, x), atol=1e-5)
    csr = sparse_to_torch(graph)
    assert csr.layout == torch.sparse_csr and torch.allclose(csr.to_dense(), graph.to_dense(), atol=1e-6)
    assert torch.allclose(as_sparse(csr).to_dense(), graph.to_dense(), atol=1e-6)
    assert np.allclose(sparse_to_scipy(graph) @ x.numpy(), spmm(graph, x), atol=1e-5)


def test_an_edge_index_in_any_order_keeps_its_direction():
    index = EdgeIndex([[2, 0, 1], [0, 1, 1]], sparse_size=(3, 2))
    graph = as_sparse(index)
    assert graph.shape == (2, 3) and graph.to_dense().tolist() == [[0, 0, 1], [1, 1, 0]]
    by_target = as_sparse(index.sort_by("col").values)
    assert torch.equal(by_target.to_dense(), graph.to_dense()) and type(by_target.col) is torch.Tensor


def test_caches_of_an_edge_index_are_filled():
    index = sparse_to_pyg(build(4, [(0, 1), (1, 2)], True, False))
    assert index._indptr is not None and index.is_undirected and index.sparse_size() == (4, 4)
    assert not sparse_to_pyg(build(4, [(0, 1)], False, False)).is_undirected


def test_matrices_of_any_numbers_and_layout():
    matrix = torch.tensor([[0, 1, 0], [1, 0, 1]])
    for sparse in (matrix.to_sparse_coo(), matrix.to_sparse_csr(), matrix.float().to_sparse_csc()):
        graph = as_sparse(sparse)
        assert graph.weight is None and torch.equal(graph.to_dense(), matrix.float())
    twice = as_sparse(scipy.sparse.csc_array(np.array([[0, 2], [0, 0]])))
    assert twice.weight.tolist() == [2.0] and twice.weight.dtype == torch.float32
    assert as_sparse(twice) is twice


def test_dgl_there_and_back():
    pytest.importorskip("dgl")
    for weighted in (True, False):
        graph = build(4, [(0, 1), (1, 2), (1, 2), (3, 3)], False, weighted)
        assert same(as_sparse(sparse_to_dgl(graph)), graph)


class LikeDGL:
    """The part of a DGL graph that is read."""

    def __init__(self, edata, types=1):
        self.edata, self.ntypes, self.canonical_etypes = edata, ["_N"], [("_N", "_E", "_N")] * types

    def edges(self, order):
        assert order == "eid"
        return torch.tensor([1, 0]), torch.tensor([2, 1])

    def num_nodes(self):
        return 3


def test_edges_of_dgl_go_from_source_to_target():
    graph = as_sparse(LikeDGL({"weight": torch.tensor([5.0, 7.0])}))
    assert graph.to_dense().tolist() == [[0, 0, 0], [7, 0, 0], [0, 5, 0]]
    assert as_sparse(LikeDGL({})).weight is None


def without_dgl(monkeypatch):
    monkeypatch.setitem(sys.modules, "dgl", None)
    sparse_to_dgl(build(2, [(0, 1)], False, False))


WRONG = {
    "no dgl": (without_dgl, "pip install dgl"),
    "text": (lambda _: as_sparse("cora"), "got str"),
    "dense": (lambda _: as_sparse(torch.zeros(2, 3)), "SparseGraph.from_edge_index"),
    "hybrid": (lambda _: as_sparse(torch.ones(2, 2, 2).to_sparse_coo()), "scalar entries"),
    "no size": (lambda _: as_sparse(EdgeIndex([[0], [1]])), "sparse_size"),
    "dgl types": (lambda _: as_sparse(LikeDGL({}, 2)), "dgl.to_homogeneous"),
    "layout": (lambda _: sparse_to_torch(build(2, [], False, False), torch.strided), "torch.sparse_csr"),
    "order": (lambda _: sparse_to_pyg(build(2, [], False, False), "target"), "'col'"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_mistakes(call, words, monkeypatch):
    with pytest.raises(InputError, match=words):
        call(monkeypatch)
