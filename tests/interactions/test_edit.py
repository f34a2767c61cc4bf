"""Removing users, items and pairs: ids stay, every part is cleaned, the source is untouched."""

from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_pairs, remove_users


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
