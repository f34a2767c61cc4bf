from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, edge_scores, edge_softmax, linear, masked_spmm, sddmm, spmm, spmm_rows, sum_edges


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 5))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=12))
    edge_index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous()
    if draw(st.booleans()):
        edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
    return SparseGraph.from_edge_index(edge_index.int() if draw(st.booleans()) else edge_index, n)


def rectangular():
    return SparseGraph(torch.tensor([0, 2, 2, 5]), torch.tensor([0, 3, 1, 1, 2]), num_cols=4)


def rand(*size, seed=0, grad=True):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)


@settings(deadline=None, max_examples=20)
@given(graphs(), st.sampled_from(["sum", "mean"]), st.booleans())
def test_spmm_and_its_first_two_derivatives(graph, reduce, learned):
    x, weight = rand(graph.num_cols, 2), rand(graph.num_edges, seed=1, grad=learned)

    def f(x, weight):
        return spmm(graph.with_weight(weight), x, reduce)

    expected = graph.with_weight(weight).to_dense() @ x
    if reduce == "mean":
        expected = expected / graph.degree().clamp(min=1).unsqueeze(1)
    assert torch.allclose(f(x, weight), expected, atol=1e-12)
    assert gradcheck(f, (x, weight)) and gradgradcheck(f, (x, weight))
    plain = spmm(graph, x, "sum")
    assert torch.allclose(plain, graph.to_dense().double() @ x)
    assert gradcheck(lambda x: spmm(graph, x, reduce), (x,)) and gradgradcheck(lambda x: spmm(graph, x, reduce), (x,))


@settings(deadline=None, max_examples=15)
@given(graphs())
def test_max_takes_the_largest_message_and_zero_where_there_is_none(graph):
    x = rand(graph.num_cols, 2)
    out = spmm(graph, x, "max")
    for i in range(graph.num_rows):
        sources = graph.col[graph.row == i]
        expected = x[sources.long()].amax(0) if len(sources) else torch.zeros(2, dtype=torch.float64)
        assert torch.equal(out[i], expected)
    grad = torch.autograd.grad(out.sum(), x)[0]
    assert torch.isclose(grad.sum(), 2.0 * (graph.degree() > 0).sum().double())


@settings(deadline=None, max_examples=20)
@given(graphs(), st.sampled_from(["max", "min"]), st.booleans())
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_extreme_messages_are_those_of_pyg(backend, graph, reduce, ties):
    from torch_geometric.utils import scatter

    x, weight = rand(graph.num_cols, 2), rand(graph.num_edges, seed=1)
    if ties:
        x, weight = x.detach().round().requires_grad_(), weight.detach().sign().requires_grad_()
    messages = x[graph.col.long()] * weight[:, None]
    expected = scatter(messages, graph.row.long(), 0, graph.num_rows, reduce=reduce)
    assert torch.equal(spmm(graph.with_weight(weight), x, reduce, backend=backend), expected)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("reduce", ["max", "min"])
def test_of_equal_messages_the_first_has_the_gradient_and_nan_wins(backend, reduce):
    graph = SparseGraph(torch.tensor([0, 3, 3]), torch.tensor([0, 1, 2]), num_cols=3)
    x = torch.tensor([[1.0], [1.0], [1.0]], requires_grad=True)
    out = spmm(graph, x, reduce, backend=backend)
    assert out.tolist() == [[1.0], [0.0]]
    assert torch.autograd.grad(out.sum(), x)[0].flatten().tolist() == [1.0, 0.0, 0.0]
    out = spmm(graph, torch.tensor([[torch.inf], [torch.nan], [-torch.inf]]), reduce, backend=backend)
    assert out[0].isnan().all() and out[1].item() == 0.0


def test_listed_rows_of_an_edited_graph_leave_it_unwritten():
    graph = SparseGraph.from_edge_index(torch.randint(20, (2, 100), generator=torch.Generator().manual_seed(0)), 20)
    edited, x = graph.drop(torch.tensor([3])), rand(20, 2)
    out = spmm_rows(edited, x, torch.tensor([7, 0, 7]), "mean")
    assert edited.edited and torch.allclose(out, spmm(edited, x, "mean")[[7, 0, 7]])
    assert gradcheck(lambda x: spmm_rows(graph.drop(torch.tensor([3])), x, torch.tensor([7, 0, 7])), (x,))


def test_the_backward_of_listed_rows_touches_their_entries_only(monkeypatch):
    from graphforget.kernels.backends import cpu

    seen = []
    monkeypatch.setattr(cpu, "spmm", lambda g, w, x, original=cpu.spmm: (seen.append(g.num_edges), original(g, w, x))[1])
    graph = SparseGraph.from_edge_index(torch.randint(20, (2, 100), generator=torch.Generator().manual_seed(0)), 20).gcn_norm()
    x = rand(20, 2)
    spmm_rows(graph, x, torch.tensor([4]), backend="cpu").sum().backward()
    assert seen == [int(graph.degree()[4])]


def test_a_rectangular_graph():
    graph, x, weight = rectangular(), rand(4, 3), rand(5, seed=1)

    def f(x, w):
        return spmm(graph.with_weight(w), x)

    assert f(x, weight).shape == (3, 3)
    assert gradcheck(f, (x, weight)) and gradgradcheck(f, (x, weight))
    a, b = rand(3, 2), rand(4, 2, seed=2)
    assert torch.allclose(sddmm(graph, a, b), (a @ b.t())[graph.row, graph.col])
    assert gradcheck(lambda a, b: sddmm(graph, a, b), (a, b)) and gradgradcheck(lambda a, b: sddmm(graph, a, b), (a, b))


def test_a_hessian_vector_product_through_two_layers():
    graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2, 2, 3], [1, 2, 0, 3, 3]]), 4).gcn_norm(torch.float64)
    x, adjacency = rand(4, 3, grad=False), graph.to_dense()
    w = rand(3, 3, seed=1)
    v = rand(3, 3, seed=2, grad=False)

    def hvp(propagate):
        loss = propagate(torch.tanh(propagate(x @ w)) @ w).square().sum()
        (g,) = torch.autograd.grad(loss, w, create_graph=True)
        return torch.autograd.grad((g * v).sum(), w)[0]

    assert torch.allclose(hvp(lambda h: spmm(graph, h)), hvp(lambda h: adjacency @ h), atol=1e-10)


@settings(deadline=None, max_examples=15)
@given(graphs(), st.sampled_from([None, 1, 3]))
def test_edge_softmax(graph, heads):
    scores = rand(graph.num_edges, *([] if heads is None else [heads]))
    out = edge_softmax(graph, scores)
    for i in range(graph.num_rows):
        entries = graph.row == i
        assert torch.allclose(out[entries], scores[entries].softmax(0))
    assert gradcheck(lambda s: edge_softmax(graph, s), (scores,)) and gradgradcheck(lambda s: edge_softmax(graph, s), (scores,))


def test_edge_softmax_is_stable_for_large_scores():
    graph = SparseGraph(torch.tensor([0, 2]), torch.tensor([0, 0]))
    assert edge_softmax(graph, torch.tensor([1000.0, 1000.0])).tolist() == [0.5, 0.5]
    assert edge_softmax(graph, torch.tensor([-1000.0, -1000.0])).tolist() == [0.5, 0.5]


@settings(deadline=None, max_examples=15)
@given(graphs())
def test_edge_scores_and_sums(graph):
    target, source = rand(graph.num_rows, 2), rand(graph.num_cols, 2, seed=1)
    assert torch.equal(edge_scores(graph, target, source), target[graph.row.long()] + source[graph.col.long()])
    assert gradcheck(lambda t, s: edge_scores(graph, t, s), (target, source))
    values = rand(graph.num_edges, 2)
    zero = torch.zeros(graph.num_rows, 2, dtype=torch.float64)
    assert torch.allclose(sum_edges(graph, values), zero.index_add(0, graph.row, values))
    assert torch.allclose(sum_edges(graph, values, "col"), zero.index_add(0, graph.col, values))
    assert gradgradcheck(lambda v: sum_edges(graph, v, "col") ** 2, (values,))


def test_linear_takes_sparse_features():
    graph = rectangular().with_weight(rand(5, grad=False))
    weight, bias = rand(2, 4), rand(2, seed=3)
    assert torch.allclose(linear(graph, weight, bias), linear(graph.to_dense(), weight, bias))
    assert gradcheck(lambda w, b: linear(graph, w, b), (weight, bias))
    assert gradgradcheck(lambda w, b: linear(graph, w, b), (weight, bias))


def test_the_weights_of_a_learned_graph_receive_gradients_in_their_own_type():
    weight = torch.rand(5, requires_grad=True)
    spmm(rectangular().with_weight(weight), rand(4, 2)).sum().backward()
    assert weight.grad.dtype == torch.float32 and bool((weight.grad != 0).all())


def test_the_same_bits_twice():
    graph = SparseGraph.from_edge_index(torch.randint(50, (2, 400), generator=torch.Generator().manual_seed(0)), 50)
    x = torch.randn(50, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
    first, second = (torch.autograd.grad(spmm(graph.gcn_norm(), x).square().sum(), x)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: spmm(rectangular(), torch.ones(3, 2)), r"one row per column of the graph \(4\)"),
        (lambda: spmm(rectangular(), torch.ones(4)), "matrix"),
        (lambda: spmm(rectangular(), torch.ones(4, 2).long()), "floating-point"),
        (lambda: spmm(rectangular(), torch.ones(4, 2), "median"), "'sum', 'mean', 'max' or 'min'"),
        (lambda: sddmm(rectangular(), torch.ones(4, 2), torch.ones(3, 2)), r"\[3, d\] and \[4, d\]"),
        (lambda: sddmm(rectangular(), torch.ones(3, 2), torch.ones(4, 2).double()), "one floating-point type"),
        (lambda: spmm_rows(rectangular(), torch.ones(4, 2), torch.tensor([3])), r"rows must lie in 0\.\.2"),
        (lambda: spmm_rows(rectangular(), torch.ones(4, 2), torch.tensor([0]), "max"), "'sum' or 'mean'"),
        (lambda: masked_spmm(rectangular(), torch.ones(4, 2), torch.ones(4).bool()), r"one bool per entry \(5\)"),
        (lambda: masked_spmm(rectangular(), torch.ones(4, 2), torch.ones(5)), "one bool per entry"),
        (lambda: masked_spmm(rectangular(), torch.ones(4, 2), torch.ones(5).bool(), "max"), "'sum' or 'mean'"),
        (lambda: edge_softmax(rectangular(), torch.ones(4)), "E = 5"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
