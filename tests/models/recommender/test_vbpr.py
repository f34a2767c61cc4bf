from __future__ import annotations

import torch

from graphforget.models import VBPR

from .conftest import NUM_ITEMS, NUM_USERS


def test_scores_by_the_formula(graph):
    model = VBPR(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4)
    f = torch.cat([graph.features["audio"], graph.features["image"]], 1)
    items = torch.cat([model.item_embedding.weight, f @ model.project.weight.t() + model.project.bias], 1)
    expected = model.user_embedding.weight @ items.t()
    assert torch.allclose(model(graph).scores(torch.arange(NUM_USERS)), expected, atol=1e-5)
    encoded, rows = model(graph), torch.tensor([1, 3])
    norms = model.user_embedding.weight[rows].square().sum(1) + 2 * items[rows].square().sum(1)
    assert torch.allclose(model.penalty(encoded, rows, rows, rows, l2=2.0), norms.mean())
