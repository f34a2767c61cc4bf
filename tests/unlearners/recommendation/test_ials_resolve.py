from __future__ import annotations

from functools import cache

import pytest
import torch

from graphforget.base import Recipe
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.interactions import Interactions
from graphforget.models import IALS
from graphforget.tasks import Recommendation
from graphforget.testing import TinyCase, check_unlearner
from graphforget.testing.tiny import tiny_case, tiny_data, tiny_requests
from graphforget.unlearners import IALSResolve, Retrain

REQUESTS = {name: one for name, one in tiny_requests("recommendation").items() if "modality" not in one.kinds}


def make_task(sweeps: int = 10) -> Recommendation:
    def build(data: Interactions) -> IALS:
        return IALS(data.num_users, data.num_items, dim=4, alpha=2.0, regulariser=1.0, sweeps=sweeps)

    return Recommendation(build=build, top_k=5, recipe=Recipe(epochs=1))


@cache
def fitted(sweeps: int = 10) -> IALS:
    """A model that methods copy and leave as it is."""
    task, data = make_task(sweeps), tiny_data("recommendation")
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0)
    return model


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_enough_sweeps_over_all_rows_end_where_retraining_ends(name):
    """A limit: the fixed point of the retained objective, up to a rotation that scores do not see."""
    task, model = make_task(sweeps=400), fitted(sweeps=400)
    split = task.split(tiny_data("recommendation"), REQUESTS[name])
    result = IALSResolve(sweeps=400, scope="all").unlearn(model, task, split)
    gold = Retrain().unlearn(model, task, split, seed=0).model
    users = torch.arange(24)
    ours, theirs = (task.score_all(m, split.retain_data, users).nan_to_num() for m in (result.model, gold))
    before = task.score_all(model, split.retain_data, users).nan_to_num()
    assert max(result.info["residual"].values()) < 1e-12
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-10) and float((before - theirs).abs().max()) > 1e-2


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_touched_rows_are_exact_given_the_others_and_the_others_are_held(name):
    task, data = make_task(), tiny_data("recommendation")
    model, split = fitted(), task.split(data, REQUESTS[name])
    result = IALSResolve(sweeps=400).unlearn(model, task, split)
    retained, removed = split.retain_data, split.removed
    touched = torch.unique(removed[:, 0])
    touched = touched[retained.alive_users[touched]]
    assert result.info["users"] == len(touched) and result.info["residual"]["solved"] < 1e-8
    assert result.info["residual"]["all"] > 1e-6
    held = torch.ones(24, dtype=torch.bool)
    held[touched] = False
    held &= retained.alive_users
    assert torch.equal(result.model.user_embedding.weight[held], result.original.user_embedding.weight[held])
    moved = result.model.user_embedding.weight[touched] != result.original.user_embedding.weight[touched]
    assert bool(moved.all())
    near = torch.cat([retained.splits["train"][torch.isin(retained.splits["train"][:, 0], touched)][:, 1], removed[:, 1]])
    items = torch.isin(torch.arange(20), near) & retained.alive_items
    assert result.info["items"] == int(items.sum())
    far = retained.alive_items & ~items
    assert torch.equal(result.model.item_embedding.weight[far], result.original.item_embedding.weight[far])


def test_the_forgotten_leave_no_row():
    task = make_task()
    split = task.split(tiny_data("recommendation"), REQUESTS["two kinds"])
    result = IALSResolve().unlearn(fitted(), task, split)
    assert not bool(result.model.user_embedding.weight[4].any()) and not bool(result.model.item_embedding.weight[6].any())
    assert result.state["residual"] == result.info["residual"] and len(result.curve) == 2


def test_settings_and_models_are_checked():
    with pytest.raises(InputError, match="sweeps must be an integer of 1 or more"):
        IALSResolve(sweeps=0)
    with pytest.raises(InputError, match="scope has no choice 'near'"):
        IALSResolve(scope="near")
    with pytest.raises(UnsupportedError, match="the model is a BPRMF"):
        tiny_case("recommendation").unlearn("ials_resolve", "items")


@pytest.mark.parametrize("params", IALSResolve.test_params())
def test_contract(params):
    task = make_task()
    case = TinyCase.train(task, tiny_data("recommendation"), REQUESTS, tiny_case("recommendation").later)
    assert not check_unlearner(IALSResolve(**params), tasks=[case]).failed
