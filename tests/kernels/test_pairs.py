from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from graphforget.exceptions import InputError
from graphforget.kernels import bpr_loss, pair_scores
from graphforget.kernels.backends.numba import launch as numba_launch


def rand(*size, seed=0):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10), st.sampled_from(["reference", "cpu"]))
def test_pair_scores(pairs, backend):
    z, pairs = rand(5, 3), torch.tensor(pairs, dtype=torch.long).view(-1, 2)
    assert torch.allclose(pair_scores(z, pairs, backend=backend), (z[pairs[:, 0]] * z[pairs[:, 1]]).sum(-1))
    assert gradcheck(lambda z: pair_scores(z, pairs, backend=backend), (z,))
    assert gradgradcheck(lambda z: pair_scores(z, pairs, backend=backend), (z,))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: pair_scores(torch.ones(3, 2), torch.zeros(2, 3, dtype=torch.long)), r"\.t\(\)"),
        (lambda: pair_scores(torch.ones(3), torch.zeros(1, 2, dtype=torch.long)), r"\[N, d\]"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def triples_of(users, items, count, seed=0, dtype=torch.long):
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(size, (count,), generator=generator) for size in (users, items, items)]
    return torch.stack(columns, 1).to(dtype)


def by_definition(user, item, triples, bias):
    u, p, n = triples.long().t()
    gap = (user[u] * item[p]).sum(1) + bias[p] - (user[u] * item[n]).sum(1) - bias[n]
    return -torch.nn.functional.logsigmoid(gap)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("dtype, bound", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("width", [1, 13, 16])
@pytest.mark.parametrize("backend", ["reference", "cpu", None])
def test_bpr_is_what_the_paper_says(backend, width, dtype, bound, index):
    tensors = [t.detach().to(dtype).requires_grad_() for t in (rand(6, width), rand(9, width, seed=1), rand(9, seed=2))]
    triples = triples_of(6, 9, 50, dtype=index)
    for reduction in ("mean", "sum", "none"):
        loss = bpr_loss(*tensors[:2], triples, reduction=reduction, item_bias=tensors[2], backend=backend)
        wanted = by_definition(*tensors[:2], triples, tensors[2])
        wanted = wanted if reduction == "none" else getattr(wanted, reduction)()
        assert loss.dtype == dtype and torch.allclose(loss, wanted, rtol=bound, atol=bound)
        along = torch.arange(1.0, loss.numel() + 1).to(dtype).view(loss.shape)
        for got, expected in zip(torch.autograd.grad(loss, tensors, along), torch.autograd.grad(wanted, tensors, along)):
            assert float((got - expected).abs().max()) <= bound * (1 + float(expected.abs().max()))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_bpr_derivatives(backend):
    triples = triples_of(3, 4, 7)

    def f(user, item, bias):
        return bpr_loss(user, item, triples, reduction="none", item_bias=bias, backend=backend)

    assert gradcheck(f, (rand(3, 2), rand(4, 2, seed=1), rand(4, seed=2)))
    assert gradgradcheck(f, (rand(3, 2), rand(4, 2, seed=1), rand(4, seed=2)))


def test_bpr_reversed_is_the_loss_of_the_opposite_preference():
    user, item, triples = rand(3, 2), rand(4, 2, seed=1), triples_of(3, 4, 7)
    ahead = bpr_loss(user, item, triples, reduction="none")
    behind = bpr_loss(user, item, triples[:, [0, 2, 1]], reduction="none")
    assert torch.allclose((-ahead).exp() + (-behind).exp(), torch.ones(7, dtype=torch.float64))  # sigma(y) + sigma(-y) = 1


def test_bpr_of_huge_scores_and_of_nothing():
    user, item = torch.tensor([[1e4]], requires_grad=True), torch.tensor([[1.0], [-1.0]])
    triples = torch.tensor([[0, 0, 1], [0, 1, 0]])
    assert bpr_loss(user, item, triples, reduction="none").tolist() == [0.0, 2e4]
    for reduction in ("mean", "sum"):
        loss = bpr_loss(user, item, triples[:0], reduction=reduction)
        loss.backward()
        assert loss.item() == 0.0 and user.grad.tolist() == [[0.0]]


def test_without_numba_the_same_numbers_come_from_sparse_products(monkeypatch):
    user, item, triples, z = rand(30, 5), rand(40, 5, seed=1), triples_of(30, 40, 200), rand(40, 5, seed=3)
    pairs = triples[:, 1:]

    def measure():
        losses, scores = bpr_loss(user, item, triples, reduction="none"), pair_scores(z, pairs)
        along = torch.arange(200, dtype=torch.float64)
        return [losses, scores, *torch.autograd.grad(losses, (user, item), along), *torch.autograd.grad(scores, z, along)]

    fused = measure()
    monkeypatch.setattr(numba_launch, "available", lambda: False)
    for name in ("bpr_forward", "bpr_backward", "pair_dots", "pair_scatter"):
        monkeypatch.setattr(f"graphforget.kernels.backends.numba.pairs.{name}", lambda *_: pytest.fail("numba was asked"))
    for got, expected in zip(measure(), fused):
        assert torch.allclose(got, expected, atol=1e-12)
    small = triples_of(3, 4, 7)
    assert gradgradcheck(lambda u, i: bpr_loss(u, i, small), (rand(3, 2), rand(4, 2, seed=1)))


def test_the_same_bits_whatever_the_number_of_threads():
    user, item = (t.detach().float().requires_grad_() for t in (rand(50, 16), rand(70, 16, seed=1)))
    triples, before, runs = triples_of(50, 70, 30_000), torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            loss, scores = bpr_loss(user, item, triples, reduction="none"), pair_scores(item, triples[:, 1:])
            total = loss.sum() + scores.square().sum()
            runs.append([loss, scores, *torch.autograd.grad(total, (user, item))])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*runs))
    u, p, n = triples.t()
    exact = [t.detach().double().requires_grad_() for t in (user, item)]
    loss = -torch.nn.functional.logsigmoid((exact[0][u] * (exact[1][p] - exact[1][n])).sum(1))
    total = loss.sum() + (exact[1][p] * exact[1][n]).sum(1).square().sum()
    for got, wanted in zip(runs[0][2:], torch.autograd.grad(total, exact)):
        assert float((got - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda u, i, t: bpr_loss(u, i, t[:, :2]), r"\[n, 3\]"),
        (lambda u, i, t: bpr_loss(u, i[:, :1], t), r"\[U, d\] and \[I, d\]"),
        (lambda u, i, t: bpr_loss(u, i, t, reduction="max"), "'mean', 'sum' or 'none'"),
        (lambda u, i, t: bpr_loss(u, i, t, item_bias=u[:, 0]), "one torch.float64 number per item"),
        (lambda u, i, t: bpr_loss(u, i, t + 3), r"first column of triples.*3 rows"),
        (lambda u, i, t: bpr_loss(u, i, t * torch.tensor([1, 1, -1])), r"last two columns.*4 rows"),
        (lambda u, i, t: pair_scores(u, t[:, 1:]), r"pairs holds row numbers from \d to 3, but the table has 3 rows"),
    ],
)
def test_bad_triples_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call(rand(3, 2), rand(4, 2, seed=1), torch.tensor([[0, 1, 2], [2, 3, 1]]))
