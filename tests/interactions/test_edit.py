"""Removing users, items and pairs: ids stay, every part is cleaned, the source is untouched."""

from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_modality, remove_pairs, remove_users
from graphforget.interactions.edit import having
from graphforget.requests import DeletionRequest, Lineage


@pytest.fixture
def data() -> Interactions:
    splits = {"train": [[0, 0], [0, 1], [1, 1], [2, 3]], "val": [[1, 0]], "test": [[0, 3], [2, 1]]}
    return Interactions.create(splits, num_items=5)


def test_users_take_their_pairs_along_in_every_part(data):
    before = data.digest()
    after = remove_users(data, [0])
    assert after.splits["train"].tolist() == [[1, 1], [2, 3]]
    assert after.splits["val"].tolist() == [[1, 0]] and after.splits["test"].tolist() == [[2, 1]]
    assert after.alive_users.tolist() == [False, True, True]
    assert (after.num_users, after.num_items) == (data.num_users, data.num_items)
    assert data.digest() == before and bool(data.alive_users.all())


def test_items_take_their_pairs_along_in_every_part(data):
    after = remove_items(data, torch.tensor([1]))
    assert after.splits["train"].tolist() == [[0, 0], [2, 3]] and after.splits["test"].tolist() == [[0, 3]]
    assert after.alive_items.tolist() == [True, False, True, True, True]


def test_pairs_leave_users_and_items_alive(data):
    after = remove_pairs(data, [[2, 3], [0, 3]])
    assert after.splits["train"].tolist() == [[0, 0], [0, 1], [1, 1]] and after.splits["test"].tolist() == [[2, 1]]
    assert bool(after.alive_users.all()) and bool(after.alive_items.all())
    assert after.alive(torch.tensor([[2, 3]])).tolist() == [True]


def test_edits_commute(data):
    one = remove_items(remove_users(data, [1]), [3])
    two = remove_users(remove_items(data, [3]), [1])
    assert one.digest() == two.digest()


@pytest.mark.parametrize(
    "edit, ids, sentence",
    [
        (remove_users, [7], "unknown users 7: 'interactions' has users 0 to 2"),
        (remove_items, [5], "unknown items 5"),
        (remove_pairs, [[1, 3]], r"unknown interactions \(1, 3\): they are in no part"),
        (remove_pairs, [[9, 0]], r"unknown interactions \(9, 0\): 'interactions' has users 0 to 2"),
    ],
)
def test_unknown_ids_are_named(data, edit, ids, sentence):
    with pytest.raises(InputError, match=sentence):
        edit(data, ids)


def test_a_second_removal_is_refused(data):
    with pytest.raises(InputError, match="users 0 are already forgotten"):
        remove_users(remove_users(data, [0]), [0])
    with pytest.raises(InputError, match="items 1 are already forgotten"):
        remove_items(remove_items(data, [1]), [1])


@pytest.fixture
def covers() -> Interactions:
    """Four items; the second has no image."""
    features = {"image": [[1.0, 2.0], [float("nan")] * 2, [3.0, 4.0], [0.0, 0.0]], "text": [[1.0], [2.0], [3.0], [4.0]]}
    return Interactions.create({"train": [[0, 0], [0, 1], [1, 2], [1, 3]]}, features=features, name="covers")


def test_a_modality_goes_and_all_else_stays(covers):
    before = covers.digest()
    after = remove_modality(covers, "image", [3, 0])
    assert having(after, "image").tolist() == [False, False, True, False] and bool(having(after, "text").all())
    assert after.features["image"][2].tolist() == [3.0, 4.0] and torch.equal(after.features["text"], covers.features["text"])
    assert bool(after.alive_items.all()) and torch.equal(after.splits["train"], covers.splits["train"])
    assert covers.digest() == before != after.digest()
    assert remove_items(after, [0]).digest() == remove_items(remove_modality(covers, "image", [3]), [0]).digest()


@pytest.mark.parametrize(
    "name, ids, sentence",
    [
        ("imag", [0], "'covers' has no item features 'imag': did you mean 'image'?"),
        ("image", [4], "unknown items 4: 'covers' has items 0 to 3"),
        ("image", [1, 2], "items 1 have no features 'image' in 'covers': there is nothing to forget of them"),
        ("image", [], "names no item"),
    ],
)
def test_content_that_is_not_there_is_refused(covers, name, ids, sentence):
    with pytest.raises(InputError, match=sentence):
        remove_modality(covers, name, ids)


def test_content_is_not_forgotten_twice(covers):
    with pytest.raises(InputError, match="items 2 are already forgotten"):
        remove_modality(remove_items(covers, [2]), "image", [2])
    lineage = Lineage(covers, DeletionRequest.modality("image", [2]), ("digest",))
    after = remove_modality(covers, "image", [2]).with_lineage(lineage)
    with pytest.raises(InputError, match="the features 'image' of items 2 are already forgotten"):
        remove_modality(after, "image", [0, 2])
    assert not having(remove_modality(after, "text", [2]), "text")[2]


def test_data_without_features_say_so(data):
    with pytest.raises(InputError, match="has no item features 'image': it has none"):
        remove_modality(data, "image", [0])
