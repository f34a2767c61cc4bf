"""Targets: canonical ids of one, two and three numbers, and the node and edge types that they count in."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest, Target, as_ids, show_ids

IDS = st.lists(st.integers(0, 10**12), min_size=1, max_size=20)
PAIRS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)
PROPERTY = settings(deadline=None, max_examples=30)


# ---- canonical ids ----------------------------------------------------------------------------------------
@PROPERTY
@given(IDS, st.randoms())
def test_ids_are_sorted_unique_whatever_the_order(ids, rnd):
    shuffled = ids + ids[:2]
    rnd.shuffle(shuffled)
    assert as_ids(shuffled, "node").tolist() == sorted(set(ids))


@PROPERTY
@given(PAIRS, st.randoms())
def test_pairs_are_sorted_rows(pairs, rnd):
    shuffled = [*pairs, pairs[0]]
    rnd.shuffle(shuffled)
    assert [tuple(r) for r in as_ids(shuffled, "edge").tolist()] == sorted(set(pairs))


def test_masks_scalars_and_numpy_arrays_are_ids():
    import numpy as np

    assert as_ids(torch.tensor([False, True, True]), "node").tolist() == [1, 2]
    assert as_ids(7, "node").tolist() == [7]
    made = as_ids(np.array([3, 1], dtype=np.int32), "user")
    assert made.dtype == torch.int64 and made.tolist() == [1, 3]


def test_the_callers_ids_are_not_kept_by_reference():
    mine = torch.tensor([1, 2])
    request = DeletionRequest.nodes(mine)
    mine[0] = 9
    assert request.ids("node").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("ids", "kind", "sentence"),
    [
        ([], "node", "names no node: give at least one id"),
        ([0.5], "node", "must be integers, got dtype float32"),
        (["a"], "node", "must be integers, got list"),
        ([-1, 3], "node", "must not be negative, got -1"),
        ([[0, 1]], "node", r"one-dimensional, shape \[n\]; got shape \[1, 2\]"),
        ([0, 1], "edge", r"one pair per row, shape \[n, 2\]; got shape \[2\]"),
        ([[0, 1, 2]], "interaction", r"shape \[n, 2\]; got shape \[1, 3\]"),
        ([[0, 1]], "triple", r"triple ids must have one triple per row, shape \[n, 3\]; got shape \[1, 2\]"),
        ([True, False], "edge", "boolean tensor"),
        ([False, False], "node", "names no node"),
    ],
)
def test_bad_ids_are_refused_in_one_sentence(ids, kind, sentence):
    with pytest.raises(InputError, match=sentence):
        as_ids(ids, kind)


def test_show_ids_is_short():
    assert show_ids(torch.tensor([[3, 7], [4, 9], [5, 6]]), limit=2) == "(3, 7), (4, 9) and 1 more"
    assert show_ids(torch.tensor([3])) == "3" and show_ids(torch.tensor([[3, 7, 1]])) == "(3, 7, 1)"


# ---- node and edge types, triples -------------------------------------------------------------------------------
RATES = ("user", "rates", "movie")
NAMES = st.sampled_from(["paper", "author", "user"])
NODE_TARGETS = st.builds(Target, st.sampled_from(["node", "node_feature", "node_class"]), IDS, type=st.none() | NAMES)
EDGE_TARGETS = st.builds(Target, st.just("edge"), PAIRS, type=st.none() | st.tuples(NAMES, NAMES, NAMES))
TRIPLES = st.lists(st.tuples(*(st.integers(0, 50),) * 3), min_size=1, max_size=20)


@PROPERTY
@given(st.lists(NODE_TARGETS | EDGE_TARGETS, min_size=1, max_size=6))
def test_ids_are_kept_apart_by_type(targets):
    request, expected = DeletionRequest(tuple(targets)), {}
    for target in targets:
        expected.setdefault((target.kind, target.type), set()).update(map(str, target.ids.tolist()))
    assert len(request.targets) == len(expected)
    for (kind, of_type), ids in expected.items():
        found = request.ids(kind, of_type)
        assert {str(row) for row in found.tolist()} == ids and len(found) == len(ids)
    again = DeletionRequest.from_json(request.to_json())
    assert again == request and again.digest() == request.digest() and hash(again) == hash(request)
    assert [t.type for t in again.targets] == [t.type for t in request.targets]


@PROPERTY
@given(TRIPLES, TRIPLES)
def test_triples_are_sets_of_rows(ours, theirs):
    request = DeletionRequest.triples(ours) | DeletionRequest.triples(theirs)
    assert [tuple(row) for row in request.ids("triple").tolist()] == sorted({*ours, *theirs})
    assert DeletionRequest.from_json(request.to_json()).digest() == request.digest()
    assert request.ids("edge").shape == (0, 2) and DeletionRequest.nodes([1]).ids("triple").shape == (0, 3)


def test_types_are_content_and_stand_in_files_and_summaries():
    ways = [
        DeletionRequest.nodes([1]),
        DeletionRequest.nodes([1], type="paper"),
        DeletionRequest.nodes([1], type="author"),
        DeletionRequest.node_features([1], type="paper"),
        DeletionRequest.node_features([1], [0], type="paper"),
        DeletionRequest.node_classes([1], type="paper"),
        DeletionRequest.edges(pairs=[[1, 2]]),
        DeletionRequest.edges(pairs=[[1, 2]], type=RATES),
        DeletionRequest.edges(pairs=[[1, 2]], type=RATES[::-1]),
        DeletionRequest.triples([[1, 2, 3]]),
    ]
    assert len({request.digest() for request in ways}) == len(set(ways)) == len(ways)
    both = DeletionRequest.nodes([3, 1], type="paper") | DeletionRequest.edges([[1], [2]], type=list(RATES))
    assert both.summary() == "1 edge of type ('user', 'rates', 'movie'), 2 nodes of type 'paper'"
    assert [entry["type"] for entry in both.to_dict()["targets"]] == [list(RATES), "paper"]
    assert "type" not in json.dumps(ways[0].to_dict())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: DeletionRequest.nodes([1], type=RATES),
            r"the type of node targets is written as a node type 'paper'; got \('user',",
        ),
        (lambda: DeletionRequest.nodes([1], type=" "), "a node type 'paper'; got ' '"),
        (lambda: DeletionRequest.edges(pairs=[[0, 1]], type="rates"), r"an edge type \('user', 'rates', 'movie'\); got 'rates'"),
        (lambda: DeletionRequest.edges(pairs=[[0, 1]], type=("user", "rates")), "an edge type"),
        (lambda: DeletionRequest.edges(pairs=[[0, 1]], type=("user", 3, "movie")), "an edge type"),
        (
            lambda: Target("user", [1], type="user"),
            "a type belongs to targets of node, node_feature, node_class, edge, not to 'user'",
        ),
        (lambda: Target("triple", [[0, 1, 2]], type=RATES), "not to 'triple'"),
        (lambda: DeletionRequest.from_dict({"targets": [{"kind": "node", "ids": [1], "type": 3}]}), "a node type 'paper'; got 3"),
    ],
)
def test_types_that_are_none_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
