from __future__ import annotations

import math

import pytest
import torch

from graphforget.base import Recipe
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.interactions import InteractionGraph
from graphforget.models import EASE, LightGCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import check_unlearner
from graphforget.testing.snapshots import same_weights
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import RecEraser
from graphforget.unlearners._shared.shards import Membership, only, train_stages

CASE = tiny_case("recommendation")
QUICK = {"num_shards": 4, "epochs": 3, "aggregator_epochs": 2}


def prepared(method: RecEraser, seed: int = 0):
    return method.prepare(CASE.model(), CASE.task, CASE.data, seed=seed)


def run(method: RecEraser, request: DeletionRequest, before):
    return method.unlearn(before.model, CASE.task, CASE.task.split(CASE.data, request), state=before.state)


@pytest.mark.parametrize("by", ["user", "item", "interaction"])
def test_shards_are_balanced_and_keep_together_what_they_should(by):
    before = prepared(RecEraser(**QUICK, by=by))
    where = Membership.from_state(before.state)
    assert torch.equal(where.examples, CASE.data.splits["train"])
    if by == "interaction":
        assert int(torch.bincount(where.shard).max()) <= math.ceil(1.2 * len(where.shard) / 4)
        return
    ids = where.examples[:, ("user", "item").index(by)]
    per_shard = [len(torch.unique(ids[where.shard == shard])) for shard in range(4)]
    assert sum(per_shard) == len(torch.unique(ids)) and max(per_shard) <= math.ceil(1.2 * sum(per_shard) / 4)


def test_near_users_share_a_shard():
    """The tiny data have two tastes, users of even and of odd number."""
    shard = Membership.from_state(prepared(RecEraser(num_shards=2, epochs=1, aggregator_epochs=1, by="user")).state)
    taste = shard.examples[:, 0] % 2
    agree = float((shard.shard == taste).double().mean())
    assert max(agree, 1 - agree) > 0.8


def test_untouched_shards_are_bit_identical_and_touched_ones_are_trained_from_scratch():
    method = RecEraser(**QUICK)
    before = prepared(method)
    mine = Membership.from_state(before.state).of(2)
    result = run(method, DeletionRequest.interactions(mine[:2]), before)
    assert result.info["retrained"] == [2] and result.info["examples_retrained"] == len(mine) - 2
    for shard in range(4):
        assert torch.equal(result.model.users[shard], before.model.users[shard]) == (shard != 2)
    from graphforget import seed as seeds

    options = {"seed": seeds.derive(0, "member", 2), "epochs": 3, "device": torch.device("cpu")}
    alone, _ = train_stages(CASE.task, result.split.retain_data, [mine[2:]], **options)
    assert torch.equal(result.model.users[2], alone.user_embedding.weight)
    assert torch.equal(result.model.items[2], alone.item_embedding.weight)
    assert not torch.equal(result.model.transfer, before.model.transfer)


def test_sequences_equal_both_at_once_and_an_emptied_shard_has_no_say():
    method = RecEraser(**QUICK)
    before = prepared(method)
    where = Membership.from_state(before.state)
    first, second = DeletionRequest.interactions(where.of(1)), DeletionRequest.interactions(where.of(3)[:2])
    result = run(method, first, before)
    assert result.info["emptied"] == [1] and result.info["retrained"] == [] and result.info["shards"] == 3
    assert result.model.filled.tolist() == [True, False, True, True]
    both = run(method, first | second, before)
    assert same_weights(result.then(second).model, both.model)


def test_attention_is_trained():
    few, many = (prepared(RecEraser(**{**QUICK, "aggregator_epochs": n})).model for n in (1, 40))
    view = CASE.task.view(CASE.data, "train")
    losses = []
    for model in (few, many):
        batch = next(CASE.task.batches(view, generator=torch.Generator().manual_seed(0)))
        losses.append(float(CASE.task.loss(CASE.task.forward(model, batch)[0], batch).detach()))
    assert losses[1] < losses[0] - 0.02


def test_models_that_propagate_give_their_vectors_on_the_graph_of_their_shard():
    task = Recommendation(
        build=lambda d: LightGCN(d.num_users, d.num_items, 8, 2), top_k=5, recipe=Recipe(epochs=2, batch_size=64)
    )
    model = task.new_model(CASE.data, seed=0)
    method = RecEraser(num_shards=2, epochs=2, aggregator_epochs=1, by="user")
    before = method.prepare(model, task, CASE.data, seed=0)
    index = Membership.from_state(before.state).of(0)
    from graphforget import seed as seeds

    options = {"seed": seeds.derive(0, "member", 0), "epochs": 2, "device": torch.device("cpu")}
    alone, _ = train_stages(task, CASE.data, [index], **options)
    encoded = alone(InteractionGraph(only(CASE.data, index)))
    assert torch.allclose(before.model.users[0], encoded.users, atol=1e-6)
    assert torch.allclose(before.model.items[0], encoded.items, atol=1e-6)
    result = method.unlearn(before.model, task, task.split(CASE.data, DeletionRequest.users([3])), state=before.state)
    assert len(result.info["retrained"]) == 1


def test_settings_and_models_are_checked():
    with pytest.raises(InputError, match="by has no choice"):
        RecEraser(by="rows")
    with pytest.raises(InputError, match="slack must be a number at least 1"):
        RecEraser(slack=0.9)
    task = Recommendation(build=lambda d: EASE(d.num_users, d.num_items), top_k=5)
    split = task.split(CASE.data, DeletionRequest.users([3]))
    with pytest.raises(UnsupportedError, match="EASE does not say which rows"):
        RecEraser().unlearn(task.new_model(CASE.data, seed=0), task, split)
    shifted = CASE.model()
    plain = shifted.forward
    shifted.forward = lambda user_id, item_id: plain(user_id, item_id) + 1
    assert "not dot products" in RecEraser().supports(CASE.task, split.request, shifted)[0]
    with pytest.raises(InputError, match="the state is that of a ShardAttention, but the model is a BPRMF"):
        RecEraser().unlearn(CASE.model(), CASE.task, split, state=prepared(RecEraser(**QUICK)).state)


@pytest.mark.parametrize("params", RecEraser.test_params())
def test_contract(params):
    assert not check_unlearner(RecEraser(**params), tasks=["recommendation"]).failed
