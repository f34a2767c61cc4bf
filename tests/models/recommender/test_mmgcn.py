from __future__ import annotations

import torch
from torch.nn import functional as F

from graphforget.models import MMGCN

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency


def test_forward_and_penalty_by_the_formula(data, graph):
    torch.manual_seed(0)
    model = MMGCN(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, num_layers=2)
    a = (dense_adjacency(data) > 0).float()
    mean = a / a.sum(1, keepdim=True).clamp(min=1)
    tables = []
    for name in ("audio", "image"):
        branch = model.branches[name]
        x = F.normalize(torch.cat([branch.preference.weight, branch.project(graph.features[name])]))
        for layer in range(2):
            around = F.leaky_relu(mean @ (x @ branch.mix[layer].weight.t()))
            x = F.leaky_relu(branch.join[layer](around) + F.leaky_relu(branch.stay[layer](x)) + model.ids())
        tables.append(x)
    encoded = model(graph)
    assert torch.allclose(encoded.table, sum(tables) / 2, atol=1e-5)
    rows = torch.tensor([1, 3])
    ids = model.user_embedding.weight[rows].square().sum(1) + 2 * model.item_embedding.weight[rows].square().sum(1)
    preferences = torch.cat([model.branches[n].preference.weight for n in ("audio", "image")]).square().mean()
    assert torch.allclose(model.penalty(encoded, rows, rows, rows, l2=2.0), ids.mean() + 2 * preferences, atol=1e-5)
