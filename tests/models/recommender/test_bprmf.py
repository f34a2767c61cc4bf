from __future__ import annotations

import json

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.models import BPRMF


def test_scores_are_dot_products():
    model = BPRMF(4, 6, 3)
    users, items = torch.tensor([0, 3, 3]), torch.tensor([5, 0, 2])
    every = model.score_all(users)
    assert every.shape == (3, 6)
    assert torch.allclose(model(users, items), every[torch.arange(3), items], atol=1e-6)
    assert torch.allclose(every[1], model.item_embedding.weight @ model.user_embedding.weight[3], atol=1e-6)


def test_entity_rows_are_the_rows_a_pair_reads():
    model = BPRMF(4, 6, 3)
    model(torch.tensor([2]), torch.tensor([5])).backward()
    parameters = dict(model.named_parameters())
    for kind, entity, count in (("user", 2, 4), ("item", 5, 6)):
        (block,) = model.entity_rows()[kind]
        grad = parameters[block.parameter].grad
        row = block.offset + block.stride * entity
        assert bool((grad[row] != 0).all()) and grad.abs().sum() == grad[row].abs().sum() and len(grad) == count


def test_config_rebuilds_and_reset_follows_the_generator():
    model = BPRMF(4, 6, 3, init_std=0.5)
    assert BPRMF(**json.loads(json.dumps(model.config))).config == model.config
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model.reset_parameters()
        states.append(torch.cat([p.flatten() for p in model.parameters()]).detach().clone())
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    assert set(model.layer_names()) <= set(dict(model.named_modules()))


def test_bad_sizes_are_named():
    with pytest.raises(InputError, match="at least 1"):
        BPRMF(0, 5, 2)
