from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.unlearners._shared.masks import HardMask, top_share


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    ],
)
def test_held_coordinates_survive_momentum_and_decay(make):
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    free = {"weight": torch.rand(3, 5) < 0.5}  # the bias is not named, so it is held
    optimizer = make(model.parameters())
    model(torch.randn(4, 5)).square().mean().backward()
    optimizer.step()  # moments exist before the mask does: they must not leak in later
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(before[name])
    mask = HardMask(model, free)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(4, 5)).square().mean().backward()
        optimizer.step()
        mask.enforce(optimizer)
    assert torch.equal(model.weight[~free["weight"]], before["weight"][~free["weight"]])
    assert torch.equal(model.bias, before["bias"])
    assert bool((model.weight[free["weight"]] != before["weight"][free["weight"]]).all())
    moments = [v for v in optimizer.state[model.weight].values() if isinstance(v, torch.Tensor) and v.dim()]
    assert moments and all(bool((m[~free["weight"]] == 0).all()) for m in moments)
    assert mask.share == int(free["weight"].sum()) / 18


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.floats(0.01, 1.0), st.integers(0, 100))
def test_top_share_counts_and_orders(sizes, ratio, seed):
    g = torch.Generator().manual_seed(seed)
    scores = {str(i): torch.randint(0, 4, (n, 2), generator=g).float() for i, n in enumerate(sizes)}  # many ties
    chosen = top_share(scores, ratio)
    flat = torch.cat([s.view(-1) for s in scores.values()])
    mask = torch.cat([m.view(-1) for m in chosen.values()])
    assert int(mask.sum()) == max(round(ratio * len(flat)), 1)
    assert bool(mask.all()) or float(flat[mask].min()) >= float(flat[~mask].max())
