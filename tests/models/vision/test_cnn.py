from __future__ import annotations

import json

import pytest
import torch

from graphforget.base.model import captured
from graphforget.exceptions import InputError
from graphforget.models import SmallCNN


@pytest.mark.parametrize("size", [4, 8, 11])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_shapes_config_and_layers(size, batch_norm):
    model = SmallCNN(2, 5, size, width=3, batch_norm=batch_norm).eval()
    x = torch.randn(3, 2, size, size)
    again = SmallCNN(**json.loads(json.dumps(model.config))).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(x), model(x))
    with captured(model, model.layer_names()) as seen:
        out = model(x)
    assert list(seen) == model.layer_names() and torch.equal(seen["lin"], out) and out.shape == (3, 5)


def test_it_learns_where_a_bright_corner_is():
    torch.manual_seed(0)
    y = torch.arange(40) % 2
    x = 0.1 * torch.randn(40, 1, 8, 8)
    x[y == 1, :, :3, :3] += 1
    model = SmallCNN(1, 2, 8, width=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert bool((model(x).argmax(1) == y).all())


def test_reset_changes_every_weight():
    model = SmallCNN(1, 2, 8, batch_norm=True)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(float("nan"))
    model.reset_parameters()
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: SmallCNN(image_size=3), "at least 4"),
        (lambda: SmallCNN(dropout=2.0), "dropout"),
        (lambda: SmallCNN()(torch.ones(1, 1, 8, 9)), r"\[n, 1, 8, 8\]"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
