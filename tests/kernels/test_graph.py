from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph


@st.composite
def edge_lists(draw, max_nodes=7):
    """Any directed multigraph: empty rows, self-loops, duplicates, a single node, no edge at all."""
    n = draw(st.integers(1, max_nodes))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20))
    edge_index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous()
    return (torch.cat([edge_index, edge_index.flip(0)], 1), n) if draw(st.booleans()) else (edge_index, n)


def dense(edge_index, n, weight=None):
    out = torch.zeros(n, n)
    for e, (source, target) in enumerate(edge_index.t().tolist()):
        out[target, source] += 1.0 if weight is None else weight[e].detach()
    return out


@settings(deadline=None, max_examples=30)
@given(edge_lists(), st.booleans(), st.booleans())
def test_conversions_and_transpose_agree_with_the_dense_matrix(graph, weighted, narrow):
    edge_index, n = graph
    weight = torch.randn(edge_index.size(1), generator=torch.Generator().manual_seed(0)) if weighted else None
    a = SparseGraph.from_edge_index(edge_index.int() if narrow else edge_index, n, weight)
    expected = dense(edge_index, n, weight)
    assert torch.allclose(a.to_dense(), expected, atol=1e-6)
    assert torch.allclose(a.transpose().to_dense(), expected.t(), atol=1e-6)
    assert a.transpose().transpose() is a
    assert a.degree().tolist() == torch.bincount(edge_index[1], minlength=n).tolist()
    again = SparseGraph.from_edge_index(a.to_edge_index(), n, a.weight)
    assert torch.equal(again.col.long(), a.col.long()) and torch.equal(again.rowptr.long(), a.rowptr.long())
    t = a.pattern.transpose()
    assert torch.equal(a.row[a.perm], t.col) and torch.equal(a.col[a.perm], t.row)
    assert torch.equal(a.perm[t.perm].long(), torch.arange(a.num_edges))


def test_an_undirected_graph_is_its_own_transpose_unless_its_weights_are_not():
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    assert SparseGraph.from_edge_index(edge_index, 3).symmetric
    assert SparseGraph.from_edge_index(edge_index, 3).gcn_norm().symmetric
    assert SparseGraph.from_edge_index(edge_index, 3, torch.tensor([2.0, 2.0, 3.0, 3.0])).symmetric
    skew = SparseGraph.from_edge_index(edge_index, 3, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert not skew.symmetric
    assert skew.transpose().col is skew.pattern.transpose().col
    assert not SparseGraph.from_edge_index(edge_index[:, :1], 3).symmetric


@settings(deadline=None, max_examples=30)
@given(edge_lists(), st.booleans())
def test_gcn_norm_is_that_of_pyg(graph, weighted):
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    edge_index, n = graph
    weight = None
    if weighted:  # one weight per self-loop: PyG keeps an arbitrary one of several
        weight = torch.rand(edge_index.size(1), generator=torch.Generator().manual_seed(0)) + 0.1
        weight[edge_index[0] == edge_index[1]] = 0.7
    their_index, their_weight = gcn_norm(edge_index, weight, n)
    ours = SparseGraph.from_edge_index(edge_index, n, weight).gcn_norm()
    assert torch.allclose(ours.to_dense(), dense(their_index, n, their_weight), atol=1e-6)
    assert ours.num_edges == their_index.size(1)


def test_derived_graphs_are_kept():
    a = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3)
    assert a.gcn_norm() is a.gcn_norm()
    assert a.gcn_norm(torch.float64).weight.dtype == torch.float64
    assert a.with_self_loops() is a.with_self_loops() is a.with_self_loops().with_self_loops()
    assert a.with_weight(torch.rand(2)).transpose().pattern is a.transpose()


def test_what_derives_from_learned_weights_is_never_kept():
    weight = torch.ones(2, requires_grad=True)
    a = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3).with_weight(weight)
    with torch.no_grad():
        a.gcn_norm(), a.transpose(), a.with_self_loops()
    for _ in range(2):
        (grad,) = torch.autograd.grad(a.gcn_norm().weight.sum() + a.transpose().weight.sum(), weight)
        assert bool((grad != 0).all())


def test_a_graph_first_used_in_inference_mode_serves_training():
    from graphforget.kernels import spmm

    a = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3)
    with torch.inference_mode():
        spmm(a.gcn_norm(), torch.ones(3, 2))
    weight = torch.ones(a.gcn_norm().num_edges, requires_grad=True)
    spmm(a.gcn_norm().with_weight(weight), torch.ones(3, 2, requires_grad=True)).sum().backward()
    assert weight.grad.tolist() == [2.0] * weight.numel()


def test_features_become_sparse():
    x = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    a = SparseGraph.from_dense(x)
    assert a.shape == (2, 3) and a.weight is None and torch.equal(a.to_dense(), x)
    b = SparseGraph.from_csr((2 * x).to_sparse_csr())
    assert b.weight is not None and torch.equal(b.to_dense(), 2 * x) and torch.equal(b.transpose().to_dense(), 2 * x.t())


def test_moving_and_casting():
    a = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3, torch.rand(2))
    assert a.to("cpu") is a
    assert a.to(dtype=torch.float64).weight.dtype == torch.float64
    assert a.to("meta").device.type == "meta"
    narrow = a.with_total_degree(torch.tensor([3, 3, 3])).to(index_dtype=torch.int32)
    assert narrow.total_degree.tolist() == [3, 3, 3] and torch.equal(narrow.weight, a.weight)
    for derived in (narrow.with_self_loops(), narrow.transpose(), narrow.select_rows(torch.tensor([1])), narrow.pattern):
        assert derived.col.dtype == derived.rowptr.dtype == torch.int32
    assert narrow.perm.dtype == torch.int32 and narrow.pattern.gcn_norm().col.dtype == torch.int32
    assert torch.equal(narrow.to(index_dtype=torch.int64).to_dense(), a.to_dense())


PART = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: SparseGraph.from_edge_index(torch.tensor([[0, 3], [1, 1]]), 3), "ids must lie in 0..2"),
        (lambda: SparseGraph.from_edge_index(torch.tensor([[0, -1], [1, 1]]), 3), "from -1"),
        (lambda: SparseGraph.from_edge_index(torch.rand(2, 3), 3), r"shape \[2, E\]"),
        (lambda: SparseGraph.from_edge_index(torch.zeros(2, 2, dtype=torch.long), 3, torch.ones(3)), "one value per edge"),
        (lambda: SparseGraph.from_csr(torch.eye(2)), "to_sparse_csr"),
        (lambda: SparseGraph.from_dense(torch.eye(2).long()), "floating-point"),
        (lambda: SparseGraph(torch.tensor([0, 1]), torch.tensor([0], dtype=torch.int32)), "both int32"),
        (lambda: SparseGraph(torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([1])), "floating-point vector"),
        (lambda: SparseGraph(torch.tensor([0, 1]), torch.tensor([0]), num_cols=4).gcn_norm(), "square"),
        (lambda: PART.to(index_dtype=torch.int16), "torch.int32 for fewer"),
        (lambda: PART.with_total_degree(torch.tensor([0, 1])), r"per row \(3\)"),
        (lambda: PART.with_total_degree(torch.tensor([0.0, 1.0, 1.0])), "int64"),
        (lambda: PART.with_total_degree(torch.tensor([0, 1, 0])), "row 2 holds 1 entries"),
        (lambda: PART.with_weight(torch.ones(2)).with_total_degree(torch.tensor([0, 1, 1])).gcn_norm(), "weighted graph"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(InputError, match=words):
        make()


@settings(deadline=None, max_examples=30)
@given(edge_lists(), st.integers(0, 3))
def test_a_complete_part_is_normalised_as_the_whole_and_a_sampled_row_is_scaled(graph, extra):
    edge_index, n = graph
    a = SparseGraph.from_edge_index(edge_index, n)
    assert torch.equal(a.with_total_degree(a.degree()).gcn_norm().weight, a.gcn_norm().weight)
    part = a.with_total_degree(a.degree() + extra)
    eye = torch.eye(n)
    present = a.to_dense().diagonal()
    off = a.to_dense() * (1 - eye)
    own, total = off.sum(1), a.degree() + extra - present
    factor = torch.where(own > 0, total / own.clamp(min=1), 1.0)
    scale = (total + 1).pow(-0.5)
    expected = scale[:, None] * (factor[:, None] * off + eye) * scale
    assert torch.allclose(part.gcn_norm().to_dense(), expected, atol=1e-6)
    assert torch.allclose(part.with_self_loops().gcn_norm().to_dense(), expected, atol=1e-6)
    assert torch.equal(part.with_self_loops().total_degree, (total + 1).long())
    assert torch.equal(part.row_factor, torch.where(a.degree() > 0, (a.degree() + extra) / a.degree().clamp(min=1), 1.0))
    assert a.row_factor.tolist() == [1.0] * n


def test_samples_of_a_row_are_right_on_average():
    from itertools import combinations

    whole = SparseGraph.from_edge_index(torch.tensor([[1, 2, 3, 0], [0, 0, 0, 3]]), 4)
    expected = whole.gcn_norm().to_dense()[0]
    rows = []
    for pair in combinations((1, 2, 3), 2):
        sample = SparseGraph.from_edge_index(torch.tensor([[*pair, 0], [0, 0, 3]]), 4).with_total_degree(whole.degree())
        rows.append(sample.gcn_norm().to_dense()[0])
    assert torch.allclose(torch.stack(rows).mean(0), expected, atol=1e-6)


def test_a_total_degree_shares_what_derives_from_the_structure():
    a = SparseGraph.from_edge_index(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), 3)
    part = a.with_total_degree(torch.tensor([3, 3, 3]))
    assert part.row is a.row and part.perm is a.perm and part.transpose() is a.transpose() and part.symmetric
    assert part.pattern is part and part.with_total_degree(None) is a
    assert part.gcn_norm().pattern.col is a.gcn_norm().col and part.gcn_norm() is part.gcn_norm()
    weighted = part.with_weight(torch.rand(4))
    assert weighted.total_degree is part.total_degree and weighted.row is a.row and weighted.transpose() is weighted.transpose()
    assert weighted.transpose().transpose().total_degree is None
