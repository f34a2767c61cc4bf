from __future__ import annotations

import math

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.testing import check_unlearner
from graphforget.testing.snapshots import same_weights
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import LASER
from graphforget.unlearners._shared.shards import Membership, train_stages

CASE = tiny_case("recommendation")
METHOD = LASER(num_groups=4, epochs=2)
BEFORE = METHOD.prepare(CASE.model(), CASE.task, CASE.data, seed=0)
WHERE = Membership.from_state(BEFORE.state)


def run(request: DeletionRequest):
    return METHOD.unlearn(BEFORE.model, CASE.task, CASE.task.split(CASE.data, request), state=BEFORE.state)


def user_of_group(group: int) -> int:
    return int(WHERE.of(0, group)[0, 0])


def test_users_are_together_in_balanced_groups_of_near_taste():
    stage_of_user = [torch.unique(WHERE.stage[WHERE.examples[:, 0] == user]) for user in range(24)]
    assert all(len(stages) == 1 for stages in stage_of_user)
    stage = torch.cat(stage_of_user)
    assert int(torch.bincount(stage).max()) <= math.ceil(1.2 * 24 / 4)
    pure = [float((torch.arange(24)[stage == s] % 2).double().mean()) for s in range(4)]
    assert sum(abs(share - 0.5) for share in pure) > 1.0  # of at most 2; groups drawn at random have 0.6


@pytest.mark.parametrize("group", [0, 2, 3])
def test_training_resumes_before_the_touched_group_and_ends_as_from_scratch(group):
    user = user_of_group(group)
    result = run(DeletionRequest.users([user]))
    assert result.info["retrained"] == list(range(group, 4))
    left = WHERE.without(result.split.removed)
    stages = [left.of(0, number) for number in range(4)]
    scratch, before = train_stages(CASE.task, result.split.retain_data, stages, seed=0, epochs=2, device=torch.device("cpu"))
    assert same_weights(scratch, result.model)
    for number, weights in before.items():
        assert all(torch.equal(result.state[f"before.0.{number}.{name}"], value) for name, value in weights.items())


def test_sequences_equal_both_at_once_and_a_group_may_be_emptied():
    first, second = DeletionRequest.users([user_of_group(2)]), DeletionRequest.users([user_of_group(0)])
    assert same_weights(run(first).then(second).model, run(first | second).model)
    emptied = run(DeletionRequest.users(torch.unique(WHERE.of(0, 3)[:, 0])))
    assert emptied.info["retrained"] == [3] and emptied.info["examples_retrained"] == 0
    weights = {name: emptied.state[f"before.0.3.{name}"] for name in emptied.model.state_dict()}
    assert all(torch.equal(value, weights[name]) for name, value in emptied.model.state_dict().items())


def test_items_touch_all_training_and_held_out_interactions_none():
    assert run(DeletionRequest.items([2])).info["retrained"] == [0, 1, 2, 3]
    result = run(DeletionRequest.interactions(CASE.data.splits["test"][:2]))
    assert result.info["retrained"] == [] and same_weights(result.model, BEFORE.model)


def test_settings_are_checked():
    with pytest.raises(InputError, match="num_groups must be an integer of 1 or more"):
        LASER(num_groups=0)
    with pytest.raises(InputError, match="slack must be a number at least 1"):
        LASER(slack=0.5)


def test_contract():
    assert not check_unlearner("laser", tasks=["recommendation"]).failed
