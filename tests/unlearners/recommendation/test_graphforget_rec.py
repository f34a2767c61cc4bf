from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from graphforget import models
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing.snapshots import same_weights
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import GraphForgetRec, RowReset
from graphforget.unlearners.recommendation._shared.contrast import pair_scorer
from graphforget.unlearners.recommendation._shared.contrast_case import returning
from graphforget.unlearners.recommendation.graphforget_rec import KINDS

GONE = [0, 1, 2, 3, 4, 5, 6, 7]


def forget(trained, name, request, seed=0, val=True, **params):
    task, data, model = trained(name, val)
    split = task.split(data, request)
    return task, split, model, GraphForgetRec(**params).unlearn(model, task, split, seed=seed)


def test_without_steps_and_proportion_it_is_row_reset(trained):
    task, split, model, result = forget(trained, "MGCN", DeletionRequest.items(GONE), steps=0, proportional=False)
    reset = RowReset().unlearn(model, task, split, seed=0)
    assert same_weights(result.model, reset.model) and result.info == reset.info
    assert result.serving.same_as(reset.serving)


def test_rows_move_by_the_share_of_their_training_that_goes(trained):
    _, split, model, result = forget(trained, "BPRMF", DeletionRequest.items(GONE), steps=0)
    train, count = split.data.splits["train"], split.data.num_users
    share = torch.bincount(split.removed[:, 0], minlength=count) / torch.bincount(train[:, 0], minlength=count)
    before, after = model.user_embedding.weight, result.model.user_embedding.weight
    assert torch.equal((after != before).any(1), share > 0) and 0 < share.max() < 1
    reset = RowReset().unlearn(model, *_task_split(trained, "BPRMF", DeletionRequest.users(range(count - 1))), seed=0)
    fresh = reset.model.user_embedding.weight[: count - 1]
    expected = torch.lerp(before, torch.cat([fresh, before[-1:]]), share.view(-1, 1))
    assert torch.allclose(after[:-1], expected[:-1], atol=1e-6)


def _task_split(trained, name, request):
    task, data, _ = trained(name)
    return task, task.split(data, request)


@pytest.mark.parametrize(
    ("name", "kind"), [("MGCN", "item"), ("VBPR", "item"), ("LightGCN", "interaction"), ("BPRMF", "interaction")]
)
def test_removed_pairs_stand_out_less_step_by_step_and_never_below_the_target(trained, name, kind):
    pairs = trained(name)[1].splits["train"][::16]
    request = DeletionRequest.items(GONE) if kind == "item" else DeletionRequest.interactions(pairs)
    _, _, _, result = forget(trained, name, request, lr=0.02)
    facts = result.info[kind]
    path = [c["advantage"] for c in result.curve]
    assert facts["steps"] == len(path) - 1 >= 1 and facts["unseen_pairs"] > 20
    assert 0.5 <= facts["target"] < facts["advantage_before"] == path[0] and facts["advantage_after"] == path[-1]
    assert (
        all(a > b for a, b in pairwise(path[:-1])) and path[-2] >= path[-1]
    )  # the last step is shortened, to nothing if need be
    assert facts["target"] <= path[-1] < facts["target"] + 0.02
    assert set(result.info) == {"touched", kind}


@pytest.mark.parametrize(
    ("name", "kind"), [("MGCN", "item"), ("VBPR", "item"), ("LightGCN", "interaction"), ("BPRMF", "interaction")]
)
def test_the_target_is_near_what_retrained_models_say(trained, name, kind):
    """Nearer than the model before, on pairs that measure it; retrained models are read by the test only."""
    task, data, model = trained(name)
    pairs = data.splits["train"][::16]
    request = DeletionRequest.items(GONE) if kind == "item" else DeletionRequest.interactions(pairs)
    split = task.split(data, request)
    result = GraphForgetRec(lr=0.02).unlearn(model, task, split, seed=0)
    named = {k: request.ids(k) for k in ("user", "item")}
    case = returning(kind, split, split.removed, named, torch.Generator().manual_seed(1))

    def advantage(one):
        return float(case.members.advantages(pair_scorer(task, one.eval(), case.data)).mean())

    golds = [task.new_model(data, seed=seed) for seed in (11, 12)]
    for seed, gold in enumerate(golds):
        task.fit(gold, split.retain_data, seed=seed, epochs=25)
    level = sum(advantage(gold) for gold in golds) / 2
    before = advantage(RowReset().unlearn(model, task, split).model if kind == "item" else model)
    # Sixty pairs tell the level to a few hundredths only.
    assert before > level and abs(advantage(result.model) - level) < 0.65 * (before - level)


def test_a_user_returns_with_half_of_their_interactions(trained):
    task, data, _ = trained("LightGCN")
    users = torch.arange(12)
    split = task.split(data, DeletionRequest.users(users))
    case = returning("user", split, split.removed, {"user": users, "item": users[:0]}, torch.Generator().manual_seed(0))
    keys, train = data.keys(split.removed), case.data.splits["train"]
    back = torch.isin(keys, data.keys(train))
    assert int(back.sum()) == len(keys) // 2 and torch.isin(data.keys(split.retain), data.keys(train)).all()
    assert torch.isin(data.keys(case.members.pairs), keys[~back]).all() and case.members.side == 1
    user = case.members.pairs[:, :1].expand_as(case.members.others)
    never = ~data.positives.contains(user[case.members.usable], case.members.others[case.members.usable])
    assert bool(never.all())
    result = GraphForgetRec(lr=0.02).unlearn(trained("LightGCN")[2], task, split)
    facts = result.info["user"]
    assert facts["pairs"] == len(case.members) and facts["target"] > 0.6 and facts["advantage_after"] >= facts["target"]


def test_both_ends_gone_leaves_nothing_to_contrast():
    case = tiny_case("recommendation")
    user, item = case.data.splits["train"][0].tolist()
    request = DeletionRequest.users(range(23)) | DeletionRequest.items([item])
    split = case.task.split(case.data, request)
    named = {"user": request.ids("user"), "item": request.ids("item")}
    got = returning("item", split, split.removed[split.removed[:, 0] == user], named, torch.Generator().manual_seed(0))
    assert got is None


def test_what_was_put_back_stays_as_it_is(trained):
    task, split, model, result = forget(trained, "MGCN", DeletionRequest.items(GONE))
    reset = RowReset().unlearn(model, task, split, seed=0).model
    assert result.info["item"]["steps"] > 0
    assert torch.equal(result.model.item_embedding.weight[GONE], reset.item_embedding.weight[GONE])
    assert torch.equal(result.model.offsets["image"].weight, reset.offsets["image"].weight)  # corrections are no part of it
    assert torch.equal(result.model.project["image"].weight, model.project["image"].weight)
    # Users remember items: no retained item is moved by the contrast.
    assert torch.equal(result.model.item_embedding.weight, reset.item_embedding.weight)
    assert not torch.equal(result.model.user_embedding.weight, reset.user_embedding.weight)


def test_the_seed_decides(trained):
    one, again, other = (forget(trained, "LightGCN", DeletionRequest.users([1, 2, 3]), seed=s)[3] for s in (0, 0, 1))
    assert same_weights(one.model, again.model) and one.info == again.info
    assert not same_weights(one.model, other.model)


def test_neither_test_pairs_nor_forgotten_features_of_the_request_decide(trained):
    task, data, model = trained("LightGCN")
    request = DeletionRequest.interactions(data.splits["train"][::16])
    splits = {**data.splits, "test": data.splits["test"][:5]}
    less = replace(data, splits=splits, features={"image": torch.full((data.num_items, 4), float("nan"))})
    one, two = (GraphForgetRec(steps=5).unlearn(model, task, task.split(d, request), seed=0) for d in (data, less))
    assert same_weights(one.model, two.model)


def test_without_validation_pairs_the_target_is_chance(trained):
    _, _, _, result = forget(trained, "MGCN", DeletionRequest.items(GONE), val=False)
    facts = result.info["item"]
    assert facts["target"] == 0.5 and facts["unseen_pairs"] == 0 and "target is chance" in facts["note"]
    assert 0.5 <= facts["advantage_after"] < facts["advantage_before"]


def test_no_step_where_nothing_stands_out(trained):
    """A fresh row without content or links scores at random."""
    facts = [
        forget(trained, name, DeletionRequest.items(GONE), seed=s)[3].info["item"]
        for name in ("BPRMF", "LightGCN")
        for s in (0, 1)
    ]
    assert [one["steps"] for one in facts] == [0] * 4
    assert all(one["advantage_before"] == one["advantage_after"] and abs(one["advantage_before"] - 0.5) < 0.15 for one in facts)


def test_of_a_modality_the_offsets_go_and_the_contrast_is_skipped(trained):
    task, data, model = trained("MGCN")
    request = DeletionRequest.modality("image", GONE)
    one, two = (m.unlearn(model, task, task.split(data, request)) for m in (GraphForgetRec(), RowReset()))
    assert same_weights(one.model, two.model) and one.info["touched"] == two.info["touched"]
    assert "there is no pair to contrast" in one.info["note"] and not set(KINDS) & set(one.info) and one.curve == ()


def test_a_modality_beside_items_changes_its_offsets_and_the_data_of_the_contrast(trained):
    task, data, model = trained("MGCN")
    items, image = DeletionRequest.items(GONE), DeletionRequest.modality("image", [8, 11])
    apart, both = (GraphForgetRec(steps=2).unlearn(model, task, task.split(data, r)) for r in (items, items | image))
    assert not bool(both.model.offsets["image"].weight[[8, 11, *GONE]].any())
    assert bool(apart.model.offsets["image"].weight[[8, 11]].any())
    count = both.info["touched"]["rows"]["offsets.image.weight"]
    assert count - apart.info["touched"]["rows"]["offsets.image.weight"] in (0, 1, 2) and "item" in both.info
    assert both.info["item"]["advantage_before"] != apart.info["item"]["advantage_before"]


def test_refusals(trained):
    _, data, _ = trained("MGCN")
    task = Recommendation(build=lambda d: models.EASE(d.num_users, d.num_items))
    with pytest.raises(UnsupportedError, match="entity_rows"):
        GraphForgetRec().unlearn(task.new_model(data, seed=0), task, task.split(data, DeletionRequest.items(GONE)))
    with pytest.raises(InputError, match="controls"):
        GraphForgetRec(controls=0.9)


def test_for_users_items_move_and_for_interactions_both(trained):
    for request, moved in (
        (DeletionRequest.users([1, 2, 3, 4, 5]), {"item"}),
        (DeletionRequest.interactions(trained("LightGCN")[1].splits["train"][::16]), {"user", "item"}),
    ):
        task, split, model, result = forget(trained, "LightGCN", request)
        surgery = GraphForgetRec(steps=0).unlearn(model, task, split, seed=0).model
        changed = {
            kind
            for kind in ("user", "item")
            if not torch.equal(getattr(result.model, f"{kind}_embedding").weight, getattr(surgery, f"{kind}_embedding").weight)
        }
        assert changed == moved, result.info


def test_rows_move_in_proportion_to_what_they_remember(trained):
    """A row of which nothing is asked moves far less than those of takers."""
    task, split, model, result = forget(trained, "BPRMF", DeletionRequest.interactions(trained("BPRMF")[1].splits["train"][::40]))
    surgery = GraphForgetRec(steps=0).unlearn(model, task, split, seed=0).model
    step = (result.model.user_embedding.weight - surgery.user_embedding.weight).norm(dim=1)
    takers = torch.zeros(len(step), dtype=torch.bool)
    takers[split.removed[:, 0]] = True
    assert result.info["interaction"]["steps"] > 0
    assert step[takers].mean() > 2 * step[~takers].mean()
