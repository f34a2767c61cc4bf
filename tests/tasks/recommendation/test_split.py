"""What a request for one modality of items means: alone, with other targets, and in a sequence."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget import models
from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.unlearners import METHODS


def make_data(seed: int = 0, num_users: int = 14, num_items: int = 12) -> Interactions:
    """Two modalities; items 10 and 11 have no image."""
    g = torch.Generator().manual_seed(seed)
    features = {"image": torch.randn(num_items, 4, generator=g), "text": torch.randn(num_items, 3, generator=g)}
    features["image"][10:] = float("nan")
    taken = torch.rand(num_users, num_items, generator=g)
    parts = {"train": taken < 0.35, "val": (taken >= 0.35) & (taken < 0.45), "test": taken > 0.9}
    return Interactions.create(
        {part: mask.nonzero() for part, mask in parts.items()}, num_users=num_users, num_items=num_items, features=features
    )


def make_task(name: str = "MGCN") -> Recommendation:
    builds = {
        "MGCN": lambda d: models.MGCN(d.num_users, d.num_items, d.modalities, dim=4, k=3),
        "BPRMF": lambda d: models.BPRMF(d.num_users, d.num_items, 4),
    }
    return Recommendation(build=builds[name], top_k=4, recipe=Recipe(epochs=3, lr=0.05, batch_size=32, patience=None))


def pairs_of(index: torch.Tensor) -> set[tuple[int, int]]:
    return {(u, i) for u, i in index.tolist()}


def test_no_pair_goes_and_those_of_the_items_are_altered():
    data, task = make_data(), make_task()
    split = task.split(data, DeletionRequest.modality("image", [1, 4]))
    train = pairs_of(data.splits["train"])
    altered = {p for p in train if p[1] in (1, 4)}
    users = {u for u, _ in altered}
    assert altered and len(split.removed) == 0 and pairs_of(split.retain) == train and pairs_of(split.altered) == altered
    assert pairs_of(split.affected) == {p for p in train - altered if p[0] in users}
    assert split.forget_source == "altered" and split.forget_context == "retained" and split.deny == {}
    assert split.region["users"].nonzero().view(-1).tolist() == sorted(users)
    assert split.region["items"].nonzero().view(-1).tolist() == [1, 4]
    near = task.near(split)
    assert pairs_of(near["hop1"]) == altered | pairs_of(split.affected)
    assert pairs_of(near.get("far", train)) == train - pairs_of(near["hop1"])


def test_only_the_feature_rows_go():
    data, task = make_data(), make_task()
    before = data.digest()
    split = task.split(data, DeletionRequest.modality("image", [1, 4]))
    for after in (split.retain_data, split.unlinked_data):
        assert after.features["image"].isnan().all(1).nonzero().view(-1).tolist() == [1, 4, 10, 11]
        assert torch.equal(after.features["text"], data.features["text"]) and bool(after.alive_items.all())
        assert all(torch.equal(after.splits[part], data.splits[part]) for part in data.splits)
    assert data.digest() == before
    # A model without such an input reads the original: nothing of it is unlinked.
    assert make_task("BPRMF").split(data, DeletionRequest.modality("image", [1])).unlinked_data is data


def test_the_item_graph_of_that_modality_is_edited_and_no_other():
    data, task = make_data(), make_task()
    graph = task.context(data)
    for name in ("image", "text"):
        graph.nearest(name, 3)
    split = task.split(data, DeletionRequest.modality("image", [1, 4]))
    edited, fresh = task.context(split.retain_data), InteractionGraph(split.retain_data)
    for name in ("image", "text"):
        (pairs, value), (pairs_b, value_b) = edited.nearest(name, 3).edges(), fresh.nearest(name, 3).edges()
        assert torch.equal(pairs, pairs_b) and torch.equal(value, value_b)
    assert not bool(torch.isin(edited.nearest("image", 3).edges()[0], torch.tensor([1, 4, 10, 11])).any())
    assert torch.equal(edited.nearest("text", 3).edges()[0], graph.nearest("text", 3).edges()[0])
    assert bool((edited.feature("image")[[1, 4]] == 0).all())


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_with_other_targets_in_one_request(seed):
    data, task, g = make_data(seed), make_task(), torch.Generator().manual_seed(seed)
    items, users = torch.randperm(10, generator=g), torch.randperm(14, generator=g)
    pair = data.splits["train"][:1]
    request = (
        DeletionRequest.modality("image", items[:3])
        | DeletionRequest.modality("text", items[2:5])
        | DeletionRequest.items(items[:1])  # goes with all of its content
        | DeletionRequest.users(users[:2])
        | DeletionRequest.interactions(pair)
    )
    split = task.split(data, request)
    train, bare = pairs_of(data.splits["train"]), set(items[1:5].tolist())
    gone = {p for p in train if p[0] in users[:2].tolist() or p[1] == int(items[0])} | pairs_of(pair)
    altered = {p for p in train - gone if p[1] in bare}
    assert pairs_of(split.removed) == gone and pairs_of(split.altered) == altered
    ends = ({u for u, _ in gone | altered}, {i for _, i in gone})
    assert pairs_of(split.affected) == {p for p in train - gone - altered if p[0] in ends[0] or p[1] in ends[1]}
    after, between = split.retain_data, split.unlinked_data
    for name, lost in (("image", items[:3]), ("text", torch.cat([items[:1], items[2:5]]))):
        had = data.features[name].isfinite().all(1)
        assert torch.equal(after.features[name].isnan().all(1), ~had | torch.isin(torch.arange(12), lost))
    # The item that goes keeps its content where only links are gone, as without a modality in the request.
    assert bool(between.features["image"][items[0]].isfinite().all()) and not bool(
        between.features["image"][items[1]].isfinite().any()
    )
    assert pairs_of(between.splits["train"]) == train - gone


def test_a_sequence_grows_the_lineage_and_forgets_nothing_twice():
    data, task = make_data(), make_task()
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0)
    first = METHODS["row_reset"]().unlearn(model, task, task.split(data, DeletionRequest.modality("image", [1, 4])))
    second = first.then(DeletionRequest.modality("image", [2]) | DeletionRequest.modality("text", [1]))
    third = second.then(DeletionRequest.items([1, 5]))
    root, total = third.split.root
    assert root is data and total.summary() == "2 items, image of 3 items, text of 1 item"
    # At once it comes to the same data, and the modality of an item that goes later is no obstacle.
    assert task.split(root, total).retain_data.digest() == third.data.digest()
    assert not bool(third.model.offsets["image"].weight[[1, 2, 4, 5]].any()) and not bool(
        third.model.offsets["text"].weight[1].any()
    )
    assert bool(third.model.offsets["text"].weight[2].any())
    for request, sentence in (
        (DeletionRequest.modality("image", [2, 3]), "the features 'image' of items 2 are already forgotten"),
        (DeletionRequest.modality("text", [5]), "items 5 are already forgotten"),
        (DeletionRequest.modality("image", [10]), "items 10 have no features 'image'"),
        (DeletionRequest.modality("txt", [2]), "no item features 'txt': did you mean 'text'?"),
        (DeletionRequest.modality("text", [12]), "unknown items 12"),
    ):
        with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
            third.then(request)


def test_a_model_that_reads_the_retained_data_knows_nothing_of_the_content():
    """Other content of these items, or none at all: the same scores."""
    data, task = make_data(), make_task()
    split = task.split(data, DeletionRequest.modality("image", [1, 4]))
    other = copy.copy(data)
    object.__setattr__(
        other, "features", {**data.features, "image": data.features["image"].index_fill(0, torch.tensor([1, 4]), 7.0)}
    )
    model = task.new_model(data, seed=0)
    users = torch.arange(14)
    task.context(other).nearest("image", 3)
    again = task.split(other, DeletionRequest.modality("image", [1, 4]))
    assert torch.equal(task.score_all(model, split.retain_data, users), task.score_all(model, again.retain_data, users))
    assert not torch.equal(task.score_all(model, data, users), task.score_all(model, split.retain_data, users))
