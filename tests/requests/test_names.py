"""Own names: looked up, told apart from positions, and kept beside ids."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest, OwnNames, Target, as_positions, resolve_names

ITEMS = OwnNames("item", ("50", "1193", "2"), 3, "films")
USERS = OwnNames("user", ("ann", "007", ""), 3, "films")
OWN = {"item": ITEMS, "user": USERS}
PARTS = {"item": ("item",), "user": ("user",), "interaction": ("user", "item"), "modality": ("item",)}


def resolved(request):
    return resolve_names(request, OWN, PARTS)


def test_names_become_ids_and_stay_beside_them():
    request = DeletionRequest.items(names=["2", "50"]) | DeletionRequest.users(names="007")
    found = resolved(request)
    assert found.ids("item").tolist() == [0, 2] and found.of("item")[0].names == ("50", "2")
    assert found.summary() == "2 items (50, 2), 1 user (007)"
    assert resolved(found) == found and resolved(found).digest() == found.digest()


def test_numbers_are_names_where_names_are_asked_for():
    assert resolved(DeletionRequest.items(names=[50, np.int64(2)])).ids("item").tolist() == [0, 2]
    assert resolved(DeletionRequest.interactions(names=[("ann", 1193)])).ids("interaction").tolist() == [[0, 1]]


@pytest.mark.parametrize("plain", [[50], [0, 50], [1193]])
def test_a_plain_id_that_is_also_a_name_is_refused(plain):
    with pytest.raises(InputError, match=r"could be the item named .* give names=\['.*'\] for the one, ids=\[.*\] for the other"):
        resolved(DeletionRequest.items(plain))
    with pytest.raises(InputError, match="could be the item named"):
        resolved(DeletionRequest.interactions([[0, plain[-1]]]))
    with pytest.raises(InputError, match="could be the item named"):
        resolved(DeletionRequest.modality("image", plain))


def test_zero_padded_names_are_numbers_too():
    padded = OwnNames("user", ("00001", "00002"), 2, "log")
    with pytest.raises(InputError, match="user 1 could be the user named '00001', which is at position 0"):
        resolve_names(DeletionRequest.users([1]), {"user": padded}, PARTS)


def test_positions_are_never_read_as_names():
    for request in (DeletionRequest.items(ids=[2]), DeletionRequest.items(as_positions(torch.tensor([2])))):
        found = resolved(request)
        assert found.ids("item").tolist() == [2] and found.of("item")[0].names == ("2",)
    assert resolved(DeletionRequest.items([0])).ids("item").tolist() == [0]  # no item is named 0
    own = {"item": OwnNames("item", ("0", "1", "2"), 3, "log")}
    assert resolve_names(DeletionRequest.items([2, 0]), own, PARTS).ids("item").tolist() == [0, 2]  # names are the positions


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match="'films' has no user named 'anne': did you mean 'ann'"):
        resolved(DeletionRequest.users(names=["anne"]))
    with pytest.raises(InputError, match=r"no user named '7' \(2 of 2 names are unknown\)"):
        resolved(DeletionRequest.users(names=["7", "x"]))
    with pytest.raises(InputError, match="'log' has no names of users: give ids, which count its 4 users from 0"):
        resolve_names(DeletionRequest.users(names=["ann"]), {"user": OwnNames("user", None, 4, "log")}, PARTS)


def test_a_request_made_for_other_data_is_refused():
    found = resolved(DeletionRequest.items(names=["1193"]))
    moved = {"item": OwnNames("item", ("1193", "50", "2"), 3, "newer"), "user": USERS}
    with pytest.raises(InputError, match="the request names item 1 '1193', but in 'newer' item 1 is '50'"):
        resolve_names(DeletionRequest.from_json(found.to_json()), moved, PARTS)


@pytest.mark.parametrize(
    "request_",
    [
        DeletionRequest.items(names=["2", "50"]),
        DeletionRequest.items(ids=[2]),
        DeletionRequest.users(torch.tensor([True, False, True])),
        DeletionRequest.interactions(names=[("ann", "50"), ("007", "2")]),
        resolve_names(DeletionRequest.interactions(names=[("007", "2"), ("ann", "50")]), OWN, PARTS),
    ],
    ids=["names", "positions", "mask", "pairs of names", "resolved"],
)
def test_files_keep_how_ids_were_given(request_):
    again = DeletionRequest.from_dict(json.loads(request_.to_json()))
    assert again == request_ and again.digest() == request_.digest() and again.to_dict() == request_.to_dict()
    assert resolved(again) == resolved(request_) and resolved(again).targets[0].names == resolved(request_).targets[0].names


def test_masks_of_another_length_are_refused():
    assert resolved(DeletionRequest.users(np.array([True, False, True]))).ids("user").tolist() == [0, 2]
    for mask in (torch.tensor([True, False]), [False, True], np.array([True] * 4)):
        with pytest.raises(InputError, match=rf"boolean mask of length {len(mask)}, but 'films' has 3 users"):
            resolved(DeletionRequest.users(mask))
    both = DeletionRequest.users(torch.tensor([True, False])) | DeletionRequest.users([2])
    with pytest.raises(InputError, match="boolean mask of length 2"):
        resolved(both)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DeletionRequest.items(), "give items in one way"),
        (lambda: DeletionRequest.items([1], names=["a"]), "give items in one way"),
        (lambda: DeletionRequest.items(names=[]), "at least one name"),
        (lambda: DeletionRequest.items(names=[1.0]), r"must be text or whole numbers, got 1\.0"),
        (lambda: DeletionRequest.items(names=[""]), "the name of one item is empty"),
        (lambda: DeletionRequest.items(["B007"]), r"names of their own are given as names=\[\.\.\.\]"),
        (lambda: DeletionRequest.interactions(names=["ann"]), r"must be pairs, for example names=\[\('ann', 'B007'\)\]"),
        (lambda: Target("item", [1, 2], names=("a",)), "2 ids and 1 names"),
        (lambda: DeletionRequest.items(names=["a"]).ids("item"), "gives items by name: task.split"),
        (lambda: DeletionRequest.from_dict({"targets": [{"kind": "item", "names": "ab"}]}), "'names' of target 0 must be a list"),
        (lambda: DeletionRequest.from_dict({"targets": [{"kind": "item"}]}), r"needs 'kind' and 'ids' \(or 'names'\)"),
    ],
)
def test_bad_names_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_lists_keep_their_order_and_repetitions():
    people = OwnNames("user", ("5", "6", "7"), 3, "log")
    assert USERS.listed([2, 0, 2]).tolist() == [2, 0, 2] and people.listed(range(3)).tolist() == [0, 1, 2]
    assert people.listed(as_positions(torch.tensor([1]))).tolist() == [1] and USERS.listed([]).tolist() == []
    for bad, sentence in (
        (["ann"], "listed by ids"),
        ([0.5], "whole numbers"),
        ([True], "mask of length 3"),
        ([3], "users 0 to 2"),
    ):
        with pytest.raises(InputError, match=sentence):
            USERS.listed(bad)
    with pytest.raises(InputError, match="user 5 could be the user named '5'"):
        people.listed([5])


def test_ids_and_names_of_one_kind_meet_when_they_are_resolved():
    request = DeletionRequest.items(names=["50"]) | DeletionRequest.items(ids=[2]) | DeletionRequest.items([0])
    assert resolved(request) == DeletionRequest.items([0, 2]) and len(resolved(request).targets) == 1
