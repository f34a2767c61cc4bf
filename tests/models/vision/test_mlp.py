from __future__ import annotations

import json

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.models import MLP


@pytest.mark.parametrize("hidden", [8, [8, 6], []])
def test_shapes_config_and_layers(hidden):
    model = MLP(12, hidden, 3)
    assert model(torch.randn(5, 3, 2, 2)).shape == (5, 3)
    again = MLP(**json.loads(json.dumps(model.config)))
    again.load_state_dict(model.state_dict())
    x = torch.randn(4, 12)
    assert torch.equal(again(x), model(x))
    modules = dict(model.named_modules())
    assert all(isinstance(modules[name], torch.nn.Linear) for name in model.layer_names())


def test_it_is_the_formula():
    model, x = MLP(4, 5, 2), torch.randn(3, 4)
    a, b = model.lins
    assert torch.allclose(model(x), (x @ a.weight.t() + a.bias).clamp(min=0) @ b.weight.t() + b.bias, atol=1e-6)


def test_reset_draws_anew_from_torchs_generator():
    model = MLP(4, 5, 2)
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model.reset_parameters()
        states.append(model.lins[1].weight.clone())
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: MLP(4, 0, 2), "at least 1"),
        (lambda: MLP(4, 2, 2, dropout=-0.1), "dropout"),
        (lambda: MLP(4, 2, 2)(torch.ones(1, 5)), "4 numbers, got 5"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
