"""On which unseen pairs graphforget_rec measures its target: canaries and validation pairs, either alone, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphforget.interactions import CANARY, with_canaries
from graphforget.requests import DeletionRequest
from graphforget.unlearners import GraphForgetRec
from graphforget.unlearners.recommendation._shared.contrast_case import HELD_OUT, returning

GONE = [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.fixture
def held(trained):
    """Task, data with canaries and validation pairs, and a model that was trained on neither."""
    task, data, _ = trained("MGCN")
    data = with_canaries(data, 0.15)
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0, epochs=25)
    return task, data, model


def run(task, data, model):
    split = task.split(data, DeletionRequest.items(GONE))
    return GraphForgetRec(lr=0.02).unlearn(model, task, split, seed=0)


def test_canaries_and_validation_pairs_count_alike(held):
    task, data, model = held
    swapped = replace(data, splits={**data.splits, "val": data.part("canary"), "canary": data.part("val")})
    both, same = run(task, data, model).info["item"], run(task, swapped, model).info["item"]
    assert both["calibrated_on"] == same["calibrated_on"] == "canary and validation pairs"
    assert both["unseen_pairs"] == same["unseen_pairs"]
    alone = {}
    for part, other, what in (("val", "canary", "validation pairs"), ("canary", "val", "canary pairs")):
        few = replace(data, splits={**data.splits, other: data.part(other)[:0]})
        alone[part] = run(task, few, model).info["item"]
        assert alone[part]["calibrated_on"] == what
    assert alone["val"]["unseen_pairs"] + alone["canary"]["unseen_pairs"] == both["unseen_pairs"]
    assert min(one["unseen_pairs"] for one in alone.values()) > 0


def test_the_unseen_pairs_are_canaries_of_forgotten_items(held):
    task, data, _ = held
    split = task.split(data, DeletionRequest.items(GONE))
    named = {kind: split.request.ids(kind) for kind in ("user", "item")}
    case = returning("item", split, split.removed, named, torch.Generator().manual_seed(0))
    assert CANARY in HELD_OUT
    canary = data.part("canary")
    unseen = torch.cat([canary, data.part("val")])
    expected = unseen[torch.isin(unseen[:, 1], named["item"])]
    assert case.unseen_are == "canary and validation pairs" and len(expected) > 0
    assert torch.equal(data.keys(case.unseen.pairs).sort().values, data.keys(expected).sort().values)
    # A canary pair is known: nobody who took an item is an "other who never took it".
    for contrast in (case.members, case.unseen):
        item = contrast.pairs[:, 1:].expand_as(contrast.others)
        others = torch.stack([contrast.others[contrast.usable], item[contrast.usable]], 1)
        assert not torch.isin(data.keys(others), data.keys(canary)).any()


def test_without_either_the_target_is_chance(held):
    task, data, model = held
    none = replace(data, splits={**data.splits, "val": data.part("val")[:0], "canary": data.part("canary")[:0]})
    facts = run(task, none, model).info["item"]
    assert (facts["calibrated_on"], facts["target"], facts["unseen_pairs"]) == ("chance", 0.5, 0)
    assert "no canary or validation pair" in facts["note"]
