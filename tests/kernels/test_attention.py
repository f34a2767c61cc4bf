"""Fused attention against its definition, against the composed operations and against finite differences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, gat_aggregate
from graphforget.kernels.backends.numba import launch as numba_launch

BACKENDS = ["reference", "cpu"]


def rand(*size, seed=0, dtype=torch.float64):
    return torch.randn(*size, dtype=dtype, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def inputs(graph, heads=2, width=3, dtype=torch.float64):
    n, m = graph.shape
    return rand(m, heads, width, dtype=dtype), rand(m, heads, seed=1, dtype=dtype), rand(n, heads, seed=2, dtype=dtype)


def rectangular(index=torch.long):
    # Row 1 is empty, row 2 holds a duplicate entry, column 4 is never read.
    return SparseGraph(torch.tensor([0, 3, 3, 6], dtype=index), torch.tensor([0, 1, 3, 2, 2, 0], dtype=index), num_cols=5)


def by_definition(graph, x, source, target, slope=0.2):
    """Row by row, entry by entry: eqs. 3 and 4."""
    rows = []
    for i in range(graph.num_rows):
        col = graph.col[graph.rowptr[i] : graph.rowptr[i + 1]].long()
        alpha = F.leaky_relu(target[i] + source[col], slope).softmax(0)
        rows.append((alpha.unsqueeze(-1) * x[col]).sum(0))
    return torch.stack(rows)


def same_gradients(out, expected, tensors, bound):
    """Outputs and gradients agree, relative to the largest of each."""
    along = torch.randn(out.shape, generator=torch.Generator().manual_seed(9)).to(out.dtype)
    pairs = [(out, expected)]
    wanted = torch.autograd.grad(expected, tensors, along, retain_graph=True)
    pairs += zip(torch.autograd.grad(out, tensors, along), wanted)
    for got, wanted in pairs:
        assert float((got - wanted).detach().abs().max()) <= bound * (1 + float(wanted.detach().abs().max()))


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("dtype, bound", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("heads, width", [(1, 1), (3, 5), (2, 8), (4, 17)])
@pytest.mark.parametrize("backend", [*BACKENDS, None])
def test_it_is_what_the_paper_says(backend, heads, width, dtype, bound, index):
    graph = rectangular(index)
    x, source, target = inputs(graph, heads, width, dtype)
    out = gat_aggregate(graph, x, source, target, backend=backend)
    assert out.dtype == dtype and out.shape == (3, heads, width)
    same_gradients(out, by_definition(graph, x, source, target), (x, source, target), bound)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.data())
def test_any_small_graph(n, data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20))
    graph = SparseGraph.from_edge_index(torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous(), n)
    slope = data.draw(st.sampled_from([0.0, 0.2, 1.0]))
    tensors = inputs(graph)
    backend = data.draw(st.sampled_from(BACKENDS))
    out = gat_aggregate(graph, *tensors, negative_slope=slope, backend=backend)
    same_gradients(out, by_definition(graph, *tensors, slope), tensors, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_first_and_second_derivatives(backend, dropout):
    graph = rectangular()

    def f(*tensors):
        draws = torch.Generator().manual_seed(3)
        return gat_aggregate(graph, *tensors, dropout=dropout, training=True, generator=draws, backend=backend)

    assert gradcheck(f, inputs(graph), nondet_tol=1e-12)
    assert gradgradcheck(f, inputs(graph), nondet_tol=1e-12)


def hub(rows=300, entries=60_000, dtype=torch.float32):
    """A power-law graph: one row holds a third of all entries, many hold none."""
    generator = torch.Generator().manual_seed(0)
    share = torch.arange(1, rows + 1).double().pow(-1.5)
    share[rows // 2 :] = 0
    draw = torch.multinomial(share, entries, True, generator=generator)
    return SparseGraph.from_edge_index(torch.stack([torch.randint(rows, (entries,), generator=generator), draw]), rows)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_rows_of_thousands_stay_precise(dropout):
    graph = hub()
    assert int(graph.degree().max()) > 7000
    tensors = inputs(graph, 2, 16, torch.float32)
    exact = [t.detach().double().requires_grad_() for t in tensors]
    torch.manual_seed(0)
    keep = torch.empty(graph.num_edges, 2).bernoulli_(1 - dropout).div_(1 - dropout)
    torch.manual_seed(0)
    out = gat_aggregate(graph, *tensors, dropout=dropout, training=True, backend="cpu")
    x, source, target = exact
    scores = F.leaky_relu(target[graph.row] + source[graph.col], 0.2)
    power = (scores - scores.max()).exp()
    total = power.new_zeros(300, 2).index_add(0, graph.row, power)
    weight = power / total[graph.row] * (keep.double() if dropout else 1.0)
    expected = x.new_zeros(300, 2, 16).index_add(0, graph.row, weight.unsqueeze(-1) * x[graph.col])
    along = torch.randn(out.shape, generator=torch.Generator().manual_seed(9))
    got = [out, *torch.autograd.grad(out, tensors, along)]
    wanted = [expected, *torch.autograd.grad(expected, exact, along.double())]
    for a, b in zip(got, wanted):
        assert float((a - b).detach().abs().max()) <= 1e-5 * (1 + float(b.detach().abs().max()))


def test_the_same_bits_whatever_the_number_of_threads():
    graph, before = hub(), torch.get_num_threads()
    tensors, runs = inputs(graph, 2, 16, torch.float32), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            out = gat_aggregate(graph, *tensors)
            runs.append([out, *torch.autograd.grad(out.square().sum(), tensors)])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*runs))


def test_extreme_scores_neither_overflow_nor_vanish():
    graph = SparseGraph(torch.tensor([0, 2]), torch.tensor([0, 1]), num_cols=2)
    x = torch.tensor([[[1.0]], [[3.0]]])
    for top in (1e4, -1e6):
        out = gat_aggregate(graph, x, torch.full((2, 1), top), torch.zeros(1, 1))
        assert out.item() == 2.0


def test_dropped_entries_do_not_depend_on_the_backend():
    graph = hub(40, 500)
    tensors = inputs(graph, 2, 4)
    outs = []
    for backend in ("reference", "cpu", "reference"):
        draws = torch.Generator().manual_seed(len(outs) // 2)
        outs.append(gat_aggregate(graph, *tensors, dropout=0.5, training=True, generator=draws, backend=backend))
    assert torch.allclose(outs[0], outs[1]) and not torch.allclose(outs[0], outs[2])
    assert torch.equal(gat_aggregate(graph, *tensors, dropout=0.5), gat_aggregate(graph, *tensors))


def test_without_numba_the_same_numbers_come_from_the_other_operations(monkeypatch):
    graph = hub(40, 500)
    tensors = inputs(graph, 2, 4)
    fused = gat_aggregate(graph, *tensors)
    monkeypatch.setattr(numba_launch, "available", lambda: False)
    monkeypatch.setattr("graphforget.kernels.backends.numba.attention.gat_forward", lambda *_: pytest.fail("numba was asked"))
    for backend in (None, "cpu"):
        same_gradients(gat_aggregate(graph, *tensors, backend=backend), fused, tensors, 1e-12)
    assert gradgradcheck(lambda *t: gat_aggregate(rectangular(), *t), inputs(rectangular()), nondet_tol=1e-12)


def test_a_type_that_numba_has_not_takes_the_other_operations():
    graph = hub(40, 500)
    tensors = inputs(graph, 2, 4, torch.float32)
    with torch.no_grad():
        low = gat_aggregate(graph, *(t.to(torch.bfloat16) for t in tensors))
        assert low.dtype == torch.bfloat16
        assert float((low.float() - gat_aggregate(graph, *tensors)).abs().max()) < 0.1


def test_strided_inputs_are_read_correctly():
    graph = rectangular()
    x, source, target = inputs(graph)
    wide = x.detach().permute(2, 0, 1).contiguous().permute(1, 2, 0).requires_grad_()
    out = gat_aggregate(graph, wide, source, target.detach().t().contiguous().t())
    assert not wide.is_contiguous() and torch.allclose(out, gat_aggregate(graph, x, source, target))
    out.sum().backward()  # the gradient of a sum is one number, spread without memory


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x, s, t: (x[:, 0], s, t), r"x must be \[5, heads, d\]"),
        (lambda x, s, t: (x, t, s), r"source \[5, heads\] and target \[3, heads\]"),
        (lambda x, s, t: (x, s.float(), t), "one floating-point type"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        gat_aggregate(rectangular(), *call(*inputs(rectangular())))


def test_bad_dropout_is_named():
    with pytest.raises(InputError, match="probability"):
        gat_aggregate(rectangular(), *inputs(rectangular()), dropout=1.0)
