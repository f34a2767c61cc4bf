"""Nearest items: against a plain sort, and surgery against a fresh build, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget import seed as seeds
from graphforget.exceptions import InputError
from graphforget.interactions import knn
from graphforget.interactions.knn import nearest_items, normalised, without_items


def draw(num_items: int, width: int, seed: int, *, levels: int = 0) -> torch.Tensor:
    """Random features; with few ``levels`` many items are copies or exact ties of each other."""
    g = seeds.generator(seed)
    return (
        torch.randint(-levels, levels + 1, (num_items, width), generator=g).float()
        if levels
        else torch.randn(num_items, width, generator=g)
    )


def same(a, b) -> bool:
    (pairs, value), (pairs_b, value_b) = a.edges(), b.edges()
    graphs = [(a.graph(weighted=w), b.graph(weighted=w)) for w in (True, False)]
    return (
        torch.equal(pairs, pairs_b)
        and torch.equal(value, value_b)
        and all(
            torch.equal(x.weight, y.weight) and torch.equal(x.col, y.col) and torch.equal(x.rowptr, y.rowptr) for x, y in graphs
        )
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 2), st.integers(1, 8), st.integers(0, 99))
def test_against_a_plain_sort(num_items, width, levels, k, seed):
    x = draw(num_items, width, seed, levels=levels)
    near = nearest_items(x, k)
    content = [bool((row != 0).any()) for row in x]
    unit = x.double() / x.double().norm(dim=1, keepdim=True)
    expected = []
    for i in range(num_items):
        others = [j for j in range(num_items) if content[i] and content[j]]
        value = {j: float((unit[i] * unit[j]).sum().float()) for j in others}
        ranked = sorted(others, key=lambda j: (j != i, -value[j], j))[:k]
        expected += [[i, j] for j in ranked]
    assert near.edges()[0].tolist() == expected


@settings(deadline=None, max_examples=20)
@given(
    st.integers(2, 60),
    st.integers(1, 5),
    st.integers(0, 2),
    st.integers(1, 6),
    st.integers(0, 99),
    st.floats(0.05, 0.95),
    st.integers(0, 4),
)
def test_surgery_is_a_fresh_build_bit_for_bit(num_items, width, levels, k, seed, share, reserve):
    x, before = draw(num_items, width, seed, levels=levels), knn._RESERVE
    knn._RESERVE = reserve  # a short reserve makes most lists be searched anew
    try:
        near = nearest_items(x, k)
        alive = torch.ones(num_items, dtype=torch.bool)
        for step in range(3):  # one surgery after the other
            alive = alive & (torch.rand(num_items, generator=seeds.generator(seed + step)) > share)
            left = x.masked_fill(~alive.view(-1, 1), float("nan"))
            near = without_items(near, left, alive)
            assert same(near, nearest_items(left, k, alive=alive))
    finally:
        knn._RESERVE = before


def test_surgery_of_many_items_across_chunks(monkeypatch):
    x = draw(700, 24, 3)
    near = nearest_items(x, 10)
    monkeypatch.setattr(knn, "_CELLS", 7000)  # other chunks, and so other shapes of products
    assert same(near, nearest_items(x, 10))
    alive = torch.rand(700, generator=seeds.generator(5)) > 0.2
    left = x.masked_fill(~alive.view(-1, 1), float("nan"))
    monkeypatch.setattr(knn, "_CELLS", 4_000_000)
    assert same(without_items(near, left, alive), nearest_items(left, 10))


def test_lists_are_not_only_filtered():
    """Item 0 loses its neighbour, and the next one takes the place."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.5], [0.0, 1.0]])
    alive = torch.tensor([True, False, True, True])
    after = without_items(nearest_items(x, 2), x, alive)
    assert after.items[0, :2].tolist() == [0, 2] and after.items[1].tolist() == [-1] * 4
    assert 1 not in after.items.tolist()[0] + after.items.tolist()[2] + after.items.tolist()[3]


def test_the_norm_is_that_of_the_rows():
    x = draw(12, 3, 0)
    pairs, value = nearest_items(x, 4).edges()
    dense = torch.zeros(12, 12)
    dense[pairs[:, 0], pairs[:, 1]] = value
    scale = dense.sum(1).pow(-0.5)
    assert torch.allclose(nearest_items(x, 4).graph().to_dense(), scale.view(-1, 1) * dense * scale, atol=1e-6)
    plain = nearest_items(x, 4).graph(weighted=False).to_dense()
    assert torch.allclose(plain[plain > 0], torch.tensor(0.25)) and int((plain > 0).sum()) == 48


def test_weights_may_be_learned():
    pairs, value = nearest_items(draw(8, 3, 1), 3).edges()
    value = value.requires_grad_()
    normalised(pairs, value, 8).weight.sum().backward()
    assert value.grad is not None and bool((value.grad != 0).any())


def test_rows_that_sum_to_nothing_weigh_nothing():
    graph = normalised(torch.tensor([[0, 1], [1, 0], [2, 2]]), torch.tensor([-1.0, 1.0, 2.0]), 3)
    assert torch.allclose(graph.to_dense(), torch.diag(torch.tensor([0.0, 0.0, 1.0])))


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="k must be an integer of at least 1, got 0"):
        nearest_items(torch.ones(2, 2), 0)
    with pytest.raises(InputError, match="features must be a matrix"):
        nearest_items(torch.ones(2))
