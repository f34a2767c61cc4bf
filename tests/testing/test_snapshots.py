from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from graphforget.testing import tiny_data
from graphforget.testing.snapshots import data_state, model_state, random_state, same_weights, tensors_of


def test_data_state_sees_content_and_edits_in_place():
    data = tiny_data("image_classification").without(torch.tensor([0]), None)  # with NaN, which must equal itself
    before = data_state(data)
    assert data_state(data) == before and {"x", "y", "alive", "splits.train"} <= set(before)
    data.x.add_(0)  # same bits, but somebody wrote to it
    assert data_state(data) != before
    assert {"x", "y"} <= {name for name, _ in tensors_of(data)}


def test_data_state_sees_item_content():
    data = tiny_data("recommendation")
    copied = replace(
        data,
        features={name: table.clone() for name, table in data.features.items()},
        attributes={name: replace(one, pairs=one.pairs.clone()) for name, one in data.attributes.items()},
    )
    before = data_state(copied)
    assert {"splits.train", "features.image", "features.text", "attributes.brand.pairs"} <= set(before)
    copied.features["text"][3] = 0
    copied.attributes["brand"].pairs[0, 1] = 1
    assert {name for name, state in data_state(copied).items() if state != before[name]} == {
        "features.text",
        "attributes.brand.pairs",
    }


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
