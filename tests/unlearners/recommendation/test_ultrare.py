from __future__ import annotations

import math

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.testing import check_unlearner
from graphforget.testing.report import ContractError
from graphforget.testing.snapshots import same_weights
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import UltraRE
from graphforget.unlearners._shared.shards import Membership

CASE = tiny_case("recommendation")


def run(method: UltraRE, request: DeletionRequest, before):
    return method.unlearn(before.model, CASE.task, CASE.task.split(CASE.data, request), state=before.state)


@pytest.mark.parametrize("by", ["user", "item", "interaction"])
def test_shards_are_of_equal_size(by):
    before = UltraRE(num_shards=4, epochs=1, by=by).prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    where = Membership.from_state(before.state)
    ids = torch.arange(len(where.shard)) if by == "interaction" else where.examples[:, ("user", "item").index(by)]
    sizes = [len(torch.unique(ids[where.shard == shard])) for shard in range(4)]
    assert max(sizes) <= math.ceil(sum(sizes) / 4) and sum(sizes) == len(torch.unique(ids))


def test_a_user_touches_one_shard_and_sequences_equal_both_at_once():
    method = UltraRE(num_shards=4, epochs=2)
    before = method.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    first, second = DeletionRequest.users([3]), DeletionRequest.users([10])
    result = run(method, first, before)
    assert len(result.info["retrained"]) == 1
    same = [same_weights(a, b) for a, b in zip(before.model.members, result.model.members, strict=True)]
    assert [not one for one in same] == [shard in result.info["retrained"] for shard in range(4)]
    assert same_weights(result.then(second).model, run(method, first | second, before).model)


def test_it_is_not_prepared_from_an_ensemble():
    method = UltraRE(num_shards=4, epochs=1)
    before = method.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
    with pytest.raises(InputError, match="give the model that was trained on all data"):
        method.prepare(before.model, CASE.task, CASE.data, seed=0)
    with pytest.raises(InputError, match="rounds must be an integer of 1 or more"):
        UltraRE(rounds=0)


@pytest.mark.parametrize("params", UltraRE.test_params())
def test_contract(params):
    try:
        report = check_unlearner(UltraRE(**params), tasks=["recommendation"])
    except ContractError as error:
        report = error.report
    assert not report.failed, report.summary()
