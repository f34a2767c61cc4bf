"""Users and items are erased by their own names; a number that could be a name or a position is refused."""

from __future__ import annotations

import pytest
import torch

import graphforget
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_pairs, remove_users
from graphforget.models import BPRMF

PAIRS = torch.tensor([[u, i] for u in range(6) for i in range(5) if (u + i) % 2 == 0])
FILMS = ("10", "2", "7", "50", "1193")
PEOPLE = ("ann", "bob", "007", "7", "eva", "8")


def log(**names):
    return Interactions.create({"train": PAIRS}, name="log", **({"user_names": PEOPLE, "item_names": FILMS} | names))


def unlearn(request, data=None, method="row_reset"):
    data = log() if data is None else data
    return graphforget.unlearn(BPRMF(6, 5, 4), data, request, task="recommendation", method=method)


def test_an_item_is_erased_by_its_name():
    result = unlearn(graphforget.DeletionRequest.items(names=["1193", "7"]))
    assert (~result.data.alive_items).nonzero().view(-1).tolist() == [2, 4]
    assert result.request.summary() == "2 items (7, 1193)" and result.to_dict()["request_digest"] == result.request.digest()


def test_007_and_7_are_two_people():
    result = unlearn(graphforget.DeletionRequest.users(names=["007"]))
    assert (~result.data.alive_users).nonzero().view(-1).tolist() == [2]
    assert 3 in result.data.splits["train"][:, 0]


def test_raw_ids_are_not_taken_for_positions():
    with pytest.raises(InputError, match=r"item 2 could be the item named '2', which is at position 1 .* ids=\[2\]"):
        unlearn(graphforget.DeletionRequest.items([2]))
    assert not unlearn(graphforget.DeletionRequest.items(ids=[2])).data.alive_items[2]
    assert not unlearn(graphforget.DeletionRequest.items([0])).data.alive_items[0]  # no film is named 0
    with pytest.raises(InputError, match="could be the user named '7'"):
        unlearn(graphforget.DeletionRequest.interactions([[7, 0]]))


def test_a_later_request_knows_the_names_of_what_is_gone():
    first = unlearn(graphforget.DeletionRequest.items(names=["2"]))
    with pytest.raises(InputError, match="items 1 are already forgotten"):
        first.then(graphforget.DeletionRequest.items(names=["2"]))
    with pytest.raises(InputError, match="item 2 could be the item named '2'"):  # and not the film at position 2
        first.then(graphforget.DeletionRequest.items([2]))
    second = first.then(graphforget.DeletionRequest.items(names=["50"]))
    assert second.split.root[1].summary() == "2 items (2, 50)"


def test_items_found_by_an_attribute_are_positions():
    data = log()
    data = Interactions.create({"train": PAIRS}, item_names=FILMS, attributes={"maker": ["a", "b", "a", "b", "b"]})
    result = unlearn(graphforget.DeletionRequest.items(data.items_with("maker", "a")), data)
    assert (~result.data.alive_items).nonzero().view(-1).tolist() == [0, 2]
    assert not unlearn(graphforget.DeletionRequest.items(data.item_ids("7")), data).data.alive_items[2]


def test_edits_and_lists_do_not_take_a_name_for_a_position():
    data = log()
    for edit, ids in ((remove_items, [2]), (remove_users, [7]), (remove_pairs, [[1, 7]])):
        with pytest.raises(InputError, match="could be the"):
            edit(data, ids)
    assert remove_items(data, data.item_ids(["2"])).item_names[1] == ""
    result = unlearn(graphforget.DeletionRequest.items(names=["2"]))
    with pytest.raises(InputError, match="user 7 could be the user named"):
        graphforget.api.recommend(result, [7])
    by_name = graphforget.api.recommend(result, names=["eva", "ann"], top_k=3)
    assert torch.equal(by_name, graphforget.api.recommend(result, range(6), top_k=3)[[4, 0]])


def test_a_mask_over_something_else_is_refused():
    with pytest.raises(InputError, match="boolean mask of length 5, but 'log' has 6 users"):
        unlearn(graphforget.DeletionRequest.users(torch.ones(5, dtype=torch.bool)))


def test_two_users_of_one_name_are_refused():
    with pytest.raises(InputError, match="2 users are named '1': give every user a name of its own"):
        log(user_names=[1, "1", "b", "c", "d", "e"])


def test_a_saved_request_is_checked_against_the_data_it_meets(tmp_path):
    result = unlearn(graphforget.DeletionRequest.items(names=["7"]))
    result.save(tmp_path)
    again = graphforget.DeletionRequest.load(tmp_path / "request.json")
    assert again == result.request
    with pytest.raises(InputError, match="the request names item 2 '7', but in 'log' item 2 is '50'"):
        unlearn(again, log(item_names=("10", "2", "50", "7", "1193")))
