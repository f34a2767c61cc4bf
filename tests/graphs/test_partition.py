"""Balanced parts of a graph."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, both_directions, remove_nodes
from graphforget.graphs.partition import partition

from .conftest import graphs

METHODS = [
    "random",
    pytest.param(
        "metis",
        marks=pytest.mark.skipif(importlib.util.find_spec("pymetis") is None, reason="the extra 'partition' is not installed"),
    ),
]


def blocks(count: int, size: int) -> GraphData:
    """Dense blocks in a ring, one edge between neighbours; every node has a self-loop too."""
    inside = torch.combinations(torch.arange(size), 2)
    pairs = torch.cat([inside + size * b for b in range(count)])
    first = torch.arange(count) * size
    pairs = torch.cat([pairs, torch.stack([first, first.roll(-1)], 1), torch.arange(count * size).repeat(2, 1).t()])
    return GraphData.create(both_directions(pairs, count * size), count * size)


def cut(data: GraphData, label: torch.Tensor) -> int:
    ends = label[data.pairs()]
    return int((ends[:, 0] != ends[:, 1]).sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_parts", [1, 2, 3, 7])
def test_parts_are_balanced_and_complete(method, num_parts):
    data = blocks(6, 10)
    label = partition(data, num_parts, method)
    sizes = torch.bincount(label, minlength=num_parts)
    assert label.dtype == torch.int64 and label.shape == (60,) and len(sizes) == num_parts
    mean = 60 / num_parts
    assert int(sizes.min()) >= 1 and int(sizes.max()) <= mean * 1.03 + (1 if method == "random" else 2)


def test_metis_finds_blocks_that_random_parts_cut():
    pytest.importorskip("pymetis")
    data = blocks(4, 12)
    label = partition(data, 4, "metis")
    assert cut(data, label) == 4 < cut(data, partition(data, 4, "random"))
    assert all(len(torch.unique(label[12 * b : 12 * b + 12])) == 1 for b in range(4))


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(method):
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(300, (900, 2), generator=generator)
    data = GraphData.create(both_directions(pairs[pairs[:, 0] != pairs[:, 1]], 300), 300)
    zero, same, one, two = (partition(data, 5, method, seed=s) for s in (0, 0, 1, 2))
    assert torch.equal(zero, same)
    assert not torch.equal(zero, one) and not torch.equal(one, two)


@pytest.mark.parametrize("method", METHODS)
def test_forgotten_nodes_are_in_no_part(method):
    data = blocks(4, 12)
    gone = torch.tensor([0, 5, 47])
    label = partition(remove_nodes(data, gone), 3, method)
    assert (label == -1).nonzero().view(-1).tolist() == gone.tolist()
    assert torch.unique(label).tolist() == [-1, 0, 1, 2]


@settings(deadline=None, max_examples=20)
@given(graphs(), st.integers(1, 3), st.integers(0, 9))
def test_any_graph_is_cut_or_refused(data, num_parts, seed):
    for method in ("random", *(["metis"] if importlib.util.find_spec("pymetis") else [])):
        try:
            label = partition(data, num_parts, method, seed=seed)
        except InputError as error:
            assert num_parts > data.num_nodes or (method == "metis" and "empty" in str(error))
            continue
        assert torch.unique(label).tolist() == list(range(num_parts))


@pytest.mark.parametrize("num_parts", [0, -1, 61, 2.0, True])
def test_a_number_of_parts_that_does_not_fit_is_refused(num_parts):
    with pytest.raises(InputError, match="from 1 to the number of live nodes"):
        partition(blocks(6, 10), num_parts, "random")


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="metis"):
        partition(blocks(2, 3), 2, "mtis")


def test_without_pymetis_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(InputError, match=r"graphforget\[partition\]"):
        partition(blocks(2, 3), 2)
