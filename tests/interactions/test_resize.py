from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.interactions import (
    Interactions,
    ItemAttribute,
    Slots,
    add_items,
    compact,
    nearest_items,
    remove_items,
    remove_users,
)


def data() -> Interactions:
    return Interactions.create(
        {"train": [[0, 0], [0, 3], [1, 1], [2, 3], [2, 2]], "val": [[1, 3]], "test": [[2, 0]]},
        features={"text": torch.arange(8.0).view(4, 2)},
        attributes={"publisher": ["Plume", "Pocket", None, "Plume"], "genre": [("a", "b"), ("b",), (), ("c",)]},
        user_names=["ann", "bob", "cas"],
        item_names=["w", "x", "y", "z"],
    )


def test_compact_translates_everything_by_one_map():
    small, slots = compact(remove_users(remove_items(data(), [1]), [0]))
    assert slots.position("item").tolist() == [0, -1, 1, 2] and slots.position("user").tolist() == [-1, 0, 1]
    assert (small.num_users, small.num_items) == (2, 3) and small.alive_users.all() and small.alive_items.all()
    assert small.splits["train"].tolist() == [[1, 1], [1, 2]] and small.splits["val"].tolist() == [[0, 2]]
    assert small.splits["test"].tolist() == [[1, 0]]
    assert small.features["text"].tolist() == [[0, 1], [4, 5], [6, 7]]
    assert small.items_with("publisher", "Plume").tolist() == [0, 2] and small.items_with("genre", "c").tolist() == [2]
    assert small.user_names == ("bob", "cas") and small.item_names == ("w", "y", "z") and small.lineage is None
    again, same = compact(small)
    assert again.digest() == small.digest() and same.items.tolist() == [0, 1, 2]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_neighbours_of_a_compact_copy_are_those_of_the_data(seed):
    g = torch.Generator().manual_seed(seed)
    table = torch.randint(-2, 3, (12, 3), generator=g).float()  # ties on purpose
    whole = Interactions.create({"train": [[0, i] for i in range(12)]}, features={"x": table})
    gone = torch.randperm(12, generator=g)[:4]
    left = remove_items(whole, gone)
    small, slots = compact(left)
    position = slots.position("item")
    before = nearest_items(left.features["x"], 3, alive=left.alive_items).edges()
    after = nearest_items(small.features["x"], 3).edges()
    assert torch.equal(position[before[0]], after[0]) and torch.equal(before[1], after[1])


def test_compact_refuses_to_leave_nothing():
    with pytest.raises(InputError, match="no live user"):
        compact(remove_users(data(), [0, 1, 2]))


def test_new_items_have_content_and_nobody_who_took_them():
    more, slots = add_items(
        data(),
        2,
        features={"text": [[9.0, 9.0], [float("nan")] * 2]},
        attributes={"publisher": ["Plume", "Signet"], "genre": [("b",), None]},
        item_names=["new", "newer"],
    )
    assert more.num_items == 6 and slots.items.tolist() == [0, 1, 2, 3, -1, -1] and slots.users.tolist() == [0, 1, 2]
    assert all(torch.equal(more.splits[part], data().splits[part]) for part in more.splits)
    assert more.alive_items.tolist() == [True] * 6 and more.features["text"][4].tolist() == [9, 9]
    assert more.features["text"][5].isnan().all() and more.item_names == ("w", "x", "y", "z", "new", "newer")
    assert more.items_with("publisher", "Plume").tolist() == [0, 3, 4] and more.items_with("publisher", "Signet").tolist() == [5]
    assert more.items_with("genre", "b").tolist() == [0, 1, 4]


def test_content_that_is_left_out_is_missing():
    more, _ = add_items(data(), 1)
    assert more.features["text"][4].isnan().all() and more.item_names[-1] == ""
    assert torch.equal(more.attributes["genre"].pairs, data().attributes["genre"].pairs)
    bare, _ = add_items(Interactions.create({"train": [[0, 0]]}), 3)
    assert bare.num_items == 4 and bare.item_names is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 0}, "count must be"),
        ({"count": True}, "count must be"),
        ({"features": {"image": [[1.0, 2.0]]}}, "features\\['image'\\] is unknown: 'interactions' has text"),
        ({"features": {"text": [[1.0]]}}, "must have 2 columns"),
        ({"features": {"text": [[1.0, 2.0], [1.0, 2.0]]}}, "one row per item"),
        ({"attributes": {"author": ["x"]}}, "attributes\\['author'\\] is unknown"),
        ({"attributes": {"publisher": ["x", "y"]}}, "2 values"),
        ({"item_names": []}, "0 names"),
    ],
)
def test_content_that_does_not_fit_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        add_items(data(), **{"count": 1} | fields)


def test_positions_are_the_inverse_of_slots():
    slots = Slots(torch.tensor([2, 0]), torch.tensor([1, -1]), 3, 2)
    assert slots.position("user").tolist() == [1, -1, 0] and slots.position("item").tolist() == [-1, 0]


def test_values_of_an_attribute_keep_their_numbers_when_items_are_added():
    more, _ = add_items(data(), 1, attributes={"publisher": ["Pocket"]})
    one: ItemAttribute = more.attributes["publisher"]
    assert one.values == ("Plume", "Pocket") and one.pairs.tolist() == [[0, 0], [1, 1], [3, 0], [4, 1]]
