"""What a recommender keeps beside its pairs, one row per user or item, goes with them: deleted, saved, resized, restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import graphforget
from graphforget.exceptions import InputError
from graphforget.interactions import (
    Interactions,
    add_items,
    add_users,
    compact,
    from_hetero,
    remove_items,
    remove_users,
    to_hetero,
)
from graphforget.models import BPRMF
from graphforget.pipeline import read_data
from graphforget.pipeline.interaction_files import write_interactions

PAIRS = torch.tensor([[u, i] for u in range(5) for i in range(4) if (u + i) % 2 == 0])
AGE = torch.tensor([31.0, 25.0, 47.0, 19.0, 52.0])
CITY = torch.tensor([3, 1, 2, 2, 1], dtype=torch.int32)
PRICE = torch.arange(1.0, 13.0, dtype=torch.float64).view(4, 3)


def log(**more):
    tables = {"user_data": {"age": AGE, "city": CITY.numpy()}, "item_data": {"price": PRICE}}
    return Interactions.create({"train": PAIRS}, name="log", **(tables | more))


def test_a_deleted_person_leaves_no_row_behind():
    data = log()
    result = graphforget.unlearn(
        BPRMF(5, 4, 4), data, graphforget.DeletionRequest.users([1, 3]), task="recommendation", method="mask"
    )
    after = result.split.retain_data
    assert after.user_data["age"][[1, 3]].isnan().all() and after.user_data["city"].tolist() == [3, 0, 2, 0, 1]
    assert torch.equal(after.user_data["age"][[0, 2, 4]], AGE[[0, 2, 4]]) and torch.equal(after.item_data["price"], PRICE)
    gone = remove_items(data, [2]).item_data["price"]
    assert gone[2].isnan().all() and gone.dtype == torch.float64 and torch.equal(gone[[0, 1, 3]], PRICE[[0, 1, 3]])
    assert after.digest() != data.digest() != Interactions.create({"train": PAIRS}).digest()


def test_data_without_tables_have_the_digest_that_they_had():
    assert Interactions.create({"train": [[0, 0], [1, 1]]}).digest().startswith("cbff4901a98239bf")


def test_files_and_hetero_data_keep_them(tmp_path):
    data = remove_users(log(), [3])
    again = read_data(write_interactions(data, tmp_path / "log.safetensors"))
    assert again.digest() == data.digest() and again.user_data["city"].dtype == torch.int32
    back = from_hetero(to_hetero(data))
    assert back.alive_users.tolist() == data.alive_users.tolist()
    assert back.user_data["age"][:3].tolist() == AGE[:3].tolist() and back.user_data["age"][3].isnan()
    assert torch.equal(back.user_data["city"], data.user_data["city"]) and torch.equal(back.features["price"], PRICE.float())


def test_they_grow_and_shrink_with_the_slots():
    small, _ = compact(remove_users(remove_items(log(), [0]), [1]))
    assert small.user_data["age"].tolist() == AGE[[0, 2, 3, 4]].tolist() and torch.equal(small.item_data["price"], PRICE[1:])
    more, _ = add_users(log(), 2, user_data={"age": np.array([60.0, 61.0])})
    assert more.user_data["age"].tolist() == [*AGE.tolist(), 60.0, 61.0] and more.user_data["city"].tolist()[-2:] == [0, 0]
    items, _ = add_items(log(), 1)
    assert items.item_data["price"][4].isnan().all() and items.item_data["price"].shape == (5, 3)
    with pytest.raises(InputError, match=r"item_data\['price'\] must have rows of shape \[3\], as the data's; got \[2\]"):
        add_items(log(), 1, item_data={"price": torch.ones(1, 2)})
    with pytest.raises(InputError, match=r"user_data\['height'\] is unknown: the data have age, city"):
        add_users(log(), 1, user_data={"height": torch.ones(1)})


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"user_data": {"age": AGE[:4]}}, r"user_data 'age' must have one row per user, 5; got shape \[4\]"),
        ({"item_data": {"item_id": PRICE}}, "item_data cannot have the name 'item_id'"),
        ({"item_data": [PRICE]}, "item_data must be a mapping"),
        ({"user_data": {"name": np.array(list("abcde"))}}, "must be a dense tensor of numbers"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, sentence):
    with pytest.raises(InputError, match=sentence):
        Interactions.create({"train": PAIRS}, **tables)


# ---- people and things that come back -----------------------------------------------------------------------
def test_an_account_that_signs_up_again_is_a_new_one():
    data = log(user_names=["ann", "bob", "cas", "dan", "eva"])
    request = graphforget.DeletionRequest.users(names=["bob"]) | graphforget.DeletionRequest.items([2])
    model = BPRMF(5, 4, 4)
    result = graphforget.unlearn(model, data, request, task="recommendation", method="row_reset")
    back = graphforget.api.restore(result, user_names=["bob"], seed=3)
    assert back.new_users == {1: 5} and back.new_ids == {} and back.data.num_users == 6
    assert not back.data.alive_users[1] and back.data.user_ids("bob").tolist() == [5]
    assert back.data.user_data["age"][[1, 5]].isnan().all() and not (back.data.splits["train"][:, 0] == 5).any()
    rows = back.model.user_embedding.weight
    assert torch.equal(rows[:5], result.model.user_embedding.weight) and not torch.equal(rows[5], model.user_embedding.weight[1])
    both = graphforget.api.restore(result, [2], users=[1])
    assert (both.new_ids, both.new_users) == ({2: 4}, {1: 5})
    assert (both.model.user_embedding.weight.shape[0], both.model.item_embedding.weight.shape[0]) == (6, 5)
    assert torch.equal(both.data.item_data["price"][4], PRICE[2])
    again = graphforget.unlearn(
        both.model, both.data, graphforget.DeletionRequest.users(names="bob"), task=both.task, method="row_reset"
    )
    assert not again.data.alive_users[5] and graphforget.api.recommend(again, [0], top_k=5)[0].max() == 4


def test_who_was_not_forgotten_does_not_come_back():
    data = log()
    result = graphforget.unlearn(
        BPRMF(5, 4, 4), data, graphforget.DeletionRequest.users([1]), task="recommendation", method="row_reset"
    )
    for wanted, sentence in (
        ({"users": [2]}, "users 2 were not forgotten"),
        ({"users": [9]}, "users 9 were not forgotten"),
        ({"items": [1]}, "items 1 were not forgotten"),
        ({}, "say who comes back"),
        ({"users": [1], "user_names": ["ann"]}, "give users either by id or by name"),
        ({"user_names": ["ann"]}, "'log' has no names of users"),
    ):
        with pytest.raises(InputError, match=sentence):
            graphforget.api.restore(result, **wanted)


# ---- ids at which nothing stands ----------------------------------------------------------------------------
def test_a_padding_row_is_neither_a_negative_nor_recommended():
    data = Interactions.create({"train": PAIRS + 1}, absent_users=[0], absent_items=[0], features={"image": torch.ones(5, 2)})
    assert data.notes == () and data.features["image"][0].isnan().all()
    from graphforget.tasks import Recommendation

    task = Recommendation(template=BPRMF(6, 5, 4))
    assert task.context(data).live_items.tolist() == [1, 2, 3, 4]
    result = graphforget.unlearn(BPRMF(6, 5, 4), data, graphforget.DeletionRequest.items([2]), task=task, method="row_reset")
    lists = graphforget.api.recommend(result, range(6), top_k=5)
    assert not (lists == 0).any() and (lists[0] == -1).all()
    with pytest.raises(InputError, match="items 0 are already forgotten, or never were in 'interactions'"):
        task.split(data, graphforget.DeletionRequest.items([0]))
    with pytest.raises(InputError, match="users 1 have interactions, and are said to be absent"):
        Interactions.create({"train": PAIRS + 1}, absent_users=[1])


def test_raw_ids_with_gaps_are_noticed():
    with pytest.warns(
        graphforget.exceptions.GraphForgetWarning, match=r"Ids of items run to 1997, but nothing is known of 1,995"
    ):
        data = Interactions.create({"train": [[0, 5], [1, 1997], [1, 9]]})
    assert "absent_items" in data.notes[0] and len(data.notes) == 1
    assert Interactions.create({"train": [[0, 5], [1, 1997]]}, num_items=1998).notes == ()


def test_what_hetero_data_hold_besides_is_noted():
    from torch_geometric.data import HeteroData

    hetero = HeteroData()
    hetero["user"].num_nodes, hetero["item"].num_nodes = 3, 3
    hetero["user", "rates", "item"].edge_index = torch.tensor([[0, 1, 2, 2], [0, 1, 2, 0]])
    hetero["user", "rates", "item"].rating = torch.tensor([5.0, 1.0, 3.0, 2.0])
    hetero["user", "rates", "item"].train_mask = torch.tensor([True, True, False, False])
    hetero["user", "rates", "item"].test_mask = torch.tensor([False, False, True, False])
    with pytest.warns(graphforget.exceptions.GraphForgetWarning):
        data = from_hetero(hetero)
    assert data.notes == (
        "1 of 4 edges are in no part, and are left out.",
        "Not read of the HeteroData, as interactions have no place for it: edge.rating.",
    )
