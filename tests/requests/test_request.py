from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.requests import KINDS, DeletionRequest, Target, id_width, union

IDS = st.lists(st.integers(0, 10**12), min_size=1, max_size=20)
PAIRS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)
PROPERTY = settings(deadline=None, max_examples=30)


# ---- digest, equality, union ------------------------------------------------------------------------------
@PROPERTY
@given(IDS, PAIRS, st.randoms())
def test_digest_is_independent_of_order_and_duplicates(ids, pairs, rnd):
    one = DeletionRequest.nodes(ids) | DeletionRequest.edges(pairs=pairs)
    more, swapped = ids + ids, list(pairs)
    rnd.shuffle(more)
    rnd.shuffle(swapped)
    two = DeletionRequest.edges(pairs=swapped) | DeletionRequest.nodes(more)
    assert one == two and one.digest() == two.digest() and hash(one) == hash(two)


@PROPERTY
@given(IDS)
def test_json_round_trip(ids):
    request = DeletionRequest.users(ids) | DeletionRequest.node_features(ids, columns=(3, 1))
    again = DeletionRequest.from_json(request.to_json())
    assert again == request and again.digest() == request.digest() and again.ids("node_feature").dtype == torch.int64


def test_every_kind_survives_the_round_trip():
    ids = {1: [2], 2: [[0, 1]], 3: [[0, 1, 5]]}
    targets = tuple(Target(k, ids[id_width(k)], name="text" if k == "modality" else None) for k in KINDS)
    request = DeletionRequest(targets)
    again = DeletionRequest.from_dict(json.loads(json.dumps(request.to_dict())))
    assert again == request and again.kinds == tuple(sorted(KINDS)) and again.of("modality")[0].name == "text"


def test_a_modality_is_named_and_told_in_words():
    request = DeletionRequest.modality("image", [4, 2, 4]) | DeletionRequest.modality("text", [2]) | DeletionRequest.users([1])
    assert {name: ids.tolist() for name, ids in request.modalities.items()} == {"image": [2, 4], "text": [2]}
    assert request.summary() == "image of 2 items, text of 1 item, 1 user" and request.kinds == ("modality", "user")
    again = DeletionRequest.from_json(request.to_json())
    assert again == request and again.digest() == request.digest()
    merged = DeletionRequest.modality("image", [1]) | DeletionRequest.modality("image", [3])
    assert merged == DeletionRequest.modality("image", [1, 3])


@pytest.mark.parametrize("name", [None, "", " ", 3])
def test_a_modality_without_a_name_is_refused(name):
    with pytest.raises(InputError, match="a modality target needs the name of the item features"):
        DeletionRequest.modality(name, [1])


def test_a_name_where_none_belongs_is_refused():
    with pytest.raises(InputError, match="a name belongs to modality and concept targets, not to 'item'"):
        Target("item", [1], name="image")


def test_digest_tells_kinds_columns_names_and_ids_apart():
    requests = [
        DeletionRequest.nodes([1]),
        DeletionRequest.nodes([2]),
        DeletionRequest.users([1]),
        DeletionRequest.node_features([1]),
        DeletionRequest.node_features([1], [0]),
        *(DeletionRequest((Target("modality", [1], name=name),)) for name in ("text", "image")),
        DeletionRequest.edges(pairs=[[1, 2]]),
        DeletionRequest.interactions([[1, 2]]),
    ]
    assert len({r.digest() for r in requests}) == len(requests)


KNOWN_DIGESTS = {
    "e7ac5330beea3ab5": DeletionRequest.nodes([1, 2, 3]),
    "a9d0eb88a37aef60": DeletionRequest.edges(pairs=[[3, 1], [0, 2]]),
    "7f242044bf78dc6f": DeletionRequest.node_features([5, 1], columns=[2, 0]),
    "4cdeeaefe0afc11b": DeletionRequest.interactions([[7, 2], [0, 9]]),
    "186d854ca8d41bd4": DeletionRequest.modality("image", [4]),
    "ed1f8446497f0785": DeletionRequest.users([3]) | DeletionRequest.items([1, 0]),
    "87cce59d10aa220c": DeletionRequest.node_classes([0]) | DeletionRequest.edges(pairs=[[1, 2]]) | DeletionRequest.samples([4]),
}


@pytest.mark.parametrize("digest", KNOWN_DIGESTS)
def test_the_digest_of_known_content_never_changes(digest):
    # Files, caches and audit records hold digests: a change here makes old ones unreadable.
    assert KNOWN_DIGESTS[digest].digest().startswith(digest)
    assert DeletionRequest.nodes([1, 2, 3]).digest() == DeletionRequest.nodes([3, 2, 1, 1]).digest()


def test_the_note_is_no_content():
    noted = DeletionRequest(DeletionRequest.nodes([1]).targets, note="ticket 12")
    assert noted == DeletionRequest.nodes([1]) and noted.digest() == DeletionRequest.nodes([1]).digest()
    assert DeletionRequest.from_json(noted.to_json()).note == "ticket 12"
    assert (noted | DeletionRequest((Target("user", [1]),), note="ticket 13")).note == "ticket 12; ticket 13"


def test_union_merges_targets_of_one_kind_and_keeps_columns_apart():
    both = DeletionRequest.nodes([3, 1]) | DeletionRequest.nodes([2, 3])
    assert len(both.targets) == 1 and both.ids("node").tolist() == [1, 2, 3]
    apart = DeletionRequest.node_features([1], [0]) | DeletionRequest.node_features([2], [1])
    assert len(apart.targets) == 2 and apart.ids("node_feature").tolist() == [1, 2]
    assert union([DeletionRequest.nodes([1]), DeletionRequest.nodes([2]), DeletionRequest.users([5])]) == (
        DeletionRequest.users([5]) | DeletionRequest.nodes([1, 2])
    )


def test_edges_as_edge_index_and_as_pairs_are_the_same():
    edge_index = torch.tensor([[0, 1, 5], [2, 3, 4]])
    assert DeletionRequest.edges(edge_index) == DeletionRequest.edges(pairs=edge_index.t())


def test_summary_and_length():
    request = DeletionRequest.edges(pairs=[[0, 2], [1, 3]]) | DeletionRequest.node_classes([0]) | DeletionRequest.classes([1, 2])
    assert request.summary() == "2 classes, 2 edges, 1 node class"
    assert len(request) == 5
    assert request.ids("interaction").shape == (0, 2) and request.ids("user").shape == (0,)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DeletionRequest(()), "needs at least one target"),
        (lambda: DeletionRequest(([1],)), "targets must be Target objects, got list"),
        (lambda: Target("nod", [1]), "unknown target kind 'nod': did you mean 'node'"),
        (lambda: Target("node", [1], columns=(1,)), "columns belong to node_feature targets, not to 'node'"),
        (lambda: Target("node_feature", [1], columns=(-1,)), "feature columns must not be negative"),
        (lambda: Target("node_feature", [1], columns=("a",)), "columns must be a sequence of integers"),
        (lambda: DeletionRequest.edges(), r"either edge_index of shape \[2, n\] or pairs"),
        (lambda: DeletionRequest.edges([[0], [1]], pairs=[[0, 1]]), "either edge_index"),
        (lambda: DeletionRequest.edges([[0, 1], [2, 3], [4, 5]]), r"shape \[2, n\], got \[3, 2\]; one edge per row is"),
        (lambda: DeletionRequest.edges([[0, 1], [2]]), "rectangular array of integers"),
        (lambda: DeletionRequest.edges([1, 2]), r"shape \[2, n\], got \[2\]"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not valid JSON"),
        ("[]", "JSON object with a list 'targets'"),
        ('{"targets": {}}', "a list 'targets'"),
        ('{"targets": []}', "needs at least one target"),
        ('{"targets": [{"kind": "node"}]}', "target 0 of the request needs 'kind' and 'ids'"),
        ('{"targets": [{"kind": "node", "ids": [1], "colums": []}]}', "unknown key 'colums': did you mean 'columns'"),
        ('{"targets": [{"kind": "node", "ids": [1]}], "notes": ""}', "a request has an unknown key 'notes': did you mean 'note'"),
        ('{"targets": [{"kind": "node_feature", "ids": [1], "columns": 3}]}', "'columns' of target 0 must be a list"),
        (
            '{"targets": [{"kind": "node", "ids": [1]}], "format": "other/2"}',
            "format 'other/2', expected 'graphforget.request/1'",
        ),
        ('{"targets": [{"kind": ["node"], "ids": [1]}]}', "unknown target kind"),
    ],
)
def test_bad_documents_are_refused_in_one_sentence(text, sentence):
    with pytest.raises(InputError, match=sentence):
        DeletionRequest.from_json(text)


def test_files(tmp_path):
    request = DeletionRequest.items([4, 2])
    (tmp_path / "request.json").write_text(request.to_json(), encoding="utf-8")
    assert DeletionRequest.load(tmp_path / "request.json") == request
    with pytest.raises(InputError, match="cannot read the request file"):
        DeletionRequest.load(tmp_path / "missing.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read the request file"):
        DeletionRequest.load(tmp_path / "binary.json")


def test_requests_are_read_only():
    request = DeletionRequest.nodes([1])
    with pytest.raises(AttributeError):
        request.targets = ()
