from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from graphforget.testing import tiny_case, tiny_data
from graphforget.testing.probe import data_state, model_state, random_state, same_weights, spoiled, tensors_of
from graphforget.testing.report import NotApplicable


def test_data_state_sees_content_and_edits_in_place():
    data = tiny_data("image_classification").without(torch.tensor([0]), None)  # with NaN, which must equal itself
    before = data_state(data)
    assert data_state(data) == before and {"x", "y", "alive", "splits.train"} <= set(before)
    data.x.add_(0)  # same bits, but somebody wrote to it
    assert data_state(data) != before
    assert {"x", "y"} <= {name for name, _ in tensors_of(data)}


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m[0].weight.data.add_(1),
        lambda m: m.eval(),
        lambda m: m[0].weight.requires_grad_(False),
        lambda m: m(torch.ones(2, 2)).sum().backward(),
        lambda m: m[0].register_forward_hook(print),
        lambda m: m[1].running_mean.add_(1),
    ],
)
def test_model_state_sees_every_kind_of_change(edit):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = model_state(model)
    assert model_state(model) == before
    edit(model)
    assert model_state(model) != before


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), random.random, np.random.rand])
def test_random_state_sees_every_library(draw):
    before = random_state()
    assert random_state() == before
    draw()
    assert random_state() != before


def test_same_weights():
    a = nn.Linear(2, 2)
    b = nn.Linear(2, 2)
    b.load_state_dict(a.state_dict())
    assert same_weights(a, b) and not same_weights(a, nn.Linear(2, 3)) and not same_weights(a, nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        b.weight += 1e-7
    assert not same_weights(a, b) and same_weights(a, b, tolerance=1e-5)


def test_spoiled_content_is_nan_where_it_was_forgotten_and_nowhere_else():
    case = tiny_case("node_classification")
    split = case.task.split(case.data, case.requests["nodes"])
    bad = spoiled(split, whole_original=False)
    ids = case.requests["nodes"].ids("node")
    rows = torch.isnan(bad.data.x).all(1).nonzero().view(-1)
    assert torch.equal(rows, ids) and torch.equal(torch.isnan(bad.unlinked_data.x).any(1).nonzero().view(-1), ids)
    assert bad.retain_data is split.retain_data and bool((bad.data.y[ids] != split.data.y[ids]).all())
    assert torch.equal(bad.view("retain", on="original").index, split.retain)
    assert bool(torch.isnan(spoiled(split, whole_original=True).data.x).all())
    assert not torch.isnan(split.data.x).any()


def test_structure_cannot_be_nan():
    case = tiny_case("node_classification")
    split = case.task.split(case.data, case.requests["edges"])
    with pytest.raises(NotApplicable, match="structure only"):
        spoiled(split, whole_original=False)
    assert bool(torch.isnan(spoiled(split, whole_original=True).data.x).all())
    ranks = tiny_case("recommendation")
    gone = spoiled(ranks.task.split(ranks.data, ranks.requests["users"]), whole_original=True)
    assert gone.data is gone.retain_data
