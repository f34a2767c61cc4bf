from __future__ import annotations

import pytest
import torch

from graphforget.base import Ensemble, Recipe
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.models import EASE, LightGCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import check_unlearner
from graphforget.testing.snapshots import same_weights
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import SISA
from graphforget.unlearners._shared.shards import Membership
from graphforget.unlearners.general.sisa import hashed

CASE = tiny_case("recommendation")
METHOD = SISA(num_shards=4, epochs=3)


def run(method: SISA, request: DeletionRequest, prepared=None):
    split = CASE.task.split(CASE.data, request)
    prepared = prepared or method.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    return method.unlearn(prepared.model, CASE.task, split, state=prepared.state)


def in_shard(prepared, shard: int) -> torch.Tensor:
    return Membership.from_state(prepared.state).of(shard)


@pytest.mark.parametrize("num_slices", [1, 3])
def test_untouched_shards_are_bit_identical_and_touched_ones_are_trained_from_scratch(num_slices):
    method = SISA(num_shards=4, num_slices=num_slices, epochs=3)
    prepared = method.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    result = run(method, DeletionRequest.interactions(in_shard(prepared, 2)[:3]), prepared)
    assert result.info["retrained"] == [2]
    old, new = prepared.model.members, result.model.members
    assert [same_weights(a, b) for a, b in zip(old, new, strict=True)] == [True, True, False, True]
    fresh = method.prepare(CASE.model(), CASE.task, result.split.retain_data, seed=0)
    assert all(same_weights(a, b) for a, b in zip(fresh.model.members, new, strict=True))
    for name in ("examples", "shard", "stage"):
        assert torch.equal(fresh.state[name], result.state[name])
    assert set(fresh.state) == set(result.state)


def test_slices_are_resumed_from_the_first_one_touched():
    method = SISA(num_shards=2, num_slices=3, epochs=3)
    prepared = method.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    last = Membership.from_state(prepared.state).of(1, 2)
    calls = []
    task = CASE.task
    fit, task.fit = task.fit, lambda model, data, **kw: calls.append(len(data.splits["train"])) or fit(model, data, **kw)
    try:
        run(method, DeletionRequest.interactions(last[:1]), prepared)
    finally:
        del task.fit
    assert calls == [len(in_shard(prepared, 1)) - 1]


def test_a_user_touches_the_shards_of_its_examples_and_an_item_touches_all():
    prepared = SISA(num_shards=40, epochs=1).prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    where = Membership.from_state(prepared.state)
    user = run(SISA(num_shards=40, epochs=1), DeletionRequest.users([1]), prepared)
    holds = torch.unique(where.shard[where.examples[:, 0] == 1]).tolist()
    assert sorted(user.info["retrained"] + user.info["emptied"]) == holds and len(holds) < len(prepared.state["members"])
    item = run(SISA(num_shards=40, epochs=1), DeletionRequest.items([2]), prepared)
    assert sorted(item.info["retrained"] + item.info["emptied"]) == prepared.state["members"]


def test_a_shard_that_is_emptied_has_no_member():
    prepared = METHOD.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    result = run(METHOD, DeletionRequest.interactions(in_shard(prepared, 1)), prepared)
    assert result.info["emptied"] == [1] and result.state["members"] == [0, 2, 3] and result.info["retrained"] == []
    kept = [prepared.model.members[i] for i in (0, 2, 3)]
    assert all(same_weights(a, b) for a, b in zip(kept, result.model.members, strict=True))
    assert not any(name.startswith("before.1.") for name in result.state)
    assert result.then(DeletionRequest.interactions(in_shard(prepared, 3)[:2])).info["retrained"] == [3]


def test_two_requests_in_sequence_are_the_same_as_both_at_once():
    prepared = METHOD.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    first, second = DeletionRequest.users([3]), DeletionRequest.interactions(in_shard(prepared, 0)[-2:])
    both = run(METHOD, first | second, prepared)
    twice = run(METHOD, first, prepared).then(second)
    assert same_weights(both.model, twice.model) and torch.equal(both.state["examples"], twice.state["examples"])


def test_the_ensemble_is_combined_in_probability_space():
    result = run(METHOD, DeletionRequest.users([3]))
    view = CASE.task.view(result.data, "test")
    each = [CASE.task.predict(member, view).sigmoid() for member in result.model.members]
    combined = CASE.task.predict(result.model, view).sigmoid()
    assert torch.allclose(combined, torch.stack(each).mean(0), atol=1e-6) and isinstance(result.model, Ensemble)


def test_closed_forms_are_solved_per_shard():
    task = Recommendation(build=lambda d: EASE(d.num_users, d.num_items, 1.0), top_k=5)
    model = task.new_model(CASE.data, seed=0)
    result = METHOD.unlearn(model, task, task.split(CASE.data, DeletionRequest.items([2])))
    for shard, member in enumerate(result.model.members):
        alone = task.new_model(CASE.data, seed=0)
        task.fit(alone, result.split.retain_data, seed=0, index=Membership.from_state(result.state).of(shard))
        assert same_weights(member, alone)


def test_models_that_propagate_are_trained_on_the_graph_of_their_shard():
    task = Recommendation(
        build=lambda d: LightGCN(d.num_users, d.num_items, 8, 2), top_k=5, recipe=Recipe(epochs=2, batch_size=64)
    )
    model = task.new_model(CASE.data, seed=0)
    result = METHOD.unlearn(model, task, task.split(CASE.data, DeletionRequest.users([1, 7])))
    own = METHOD.prepare(model, task, result.split.retain_data, seed=0)
    assert same_weights(own.model, result.model) and len(result.info["retrained"]) == 4


def test_settings_tasks_and_models_are_checked():
    with pytest.raises(InputError, match="num_shards must be an integer of 1 or more"):
        SISA(num_shards=0)
    with pytest.raises(UnsupportedError, match="read each other's edges"):
        tiny_case("node_classification").unlearn("sisa", "nodes")
    prepared = METHOD.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    split = CASE.task.split(CASE.data, DeletionRequest.users([3]))
    with pytest.raises(InputError, match="an ensemble of 4 members, but the model is a BPRMF"):
        METHOD.unlearn(CASE.model(), CASE.task, split, state=prepared.state)


@pytest.mark.parametrize("params", SISA.test_params())
@pytest.mark.parametrize("task", ["image_classification", "recommendation"])
def test_contract(params, task):
    report = check_unlearner(SISA(**params), tasks=[task])
    assert {"exact", "sequence", "forgotten content unread", "copies and saves"} <= {c.name for c in report.executed}


def test_hashes_follow_the_id_and_the_seed_alone_and_spread_evenly():
    ids = torch.cartesian_prod(torch.arange(60), torch.arange(50))
    buckets = hashed(ids, 3, 7)
    few = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))[:400]
    assert torch.equal(hashed(ids[few], 3, 7), buckets[few])
    share = torch.bincount(buckets, minlength=7) / len(ids)
    assert float(share.min()) > 0.12 and float(share.max()) < 0.17  # 1/7 = 0.143; the deviation of a share is 0.006
    assert 0.08 < float((hashed(ids, 4, 7) == buckets).double().mean()) < 0.2
    assert float((hashed(ids.flip(1), 3, 7) == buckets).double().mean()) < 0.2
    single = torch.bincount(hashed(torch.arange(3000), 3, 7), minlength=7)
    assert int(single.min()) > 360 and int(hashed(torch.arange(9), 0, 1).max()) == 0
