from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity as cosine

from graphforget.exceptions import InputError
from graphforget.models import BM3

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BM3(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, dropout=0.0, reg_weight=0.7)


def test_losses_by_the_formula(model, data, graph):
    x, a = model.ids(), dense_adjacency(data)
    users, items = ((x + a @ x) / 2).split([NUM_USERS, NUM_ITEMS])
    items = items + model.item_embedding.weight
    encoded = model(graph)
    u, i, other = torch.tensor([0, 4, 4]), torch.tensor([1, 2, 3]), torch.tensor([6, 3, 0])
    online_u, online_i = model.predictor(users), model.predictor(items)
    assert torch.allclose(encoded.table, torch.cat([online_u, online_i]), atol=1e-5)
    expected = (1 - cosine(online_u[u], items[i])) + (1 - cosine(online_i[i], users[u]))
    assert torch.allclose(model.pair_losses(encoded, u, i, torch.ones(3)), expected, atol=1e-5)
    assert torch.allclose(model.pair_losses(encoded, u, i, -torch.ones(3)), 4 - expected, atol=1e-5)
    aligned = 0.0
    for name in ("image", "audio"):
        f = model.project[name](graph.features[name])[i]
        aligned = aligned + (2 - cosine(model.predictor(f), items[i]) - cosine(model.predictor(f), f)).mean()
    norm = (users.norm() + items.norm()) / NUM_ITEMS
    assert torch.allclose(model.penalty(encoded, u, i, other, l2=9.0), 2.0 * aligned + 0.7 * norm, atol=1e-4)


def test_targets_are_held_fixed(model, graph):
    encoded = model(graph, torch.tensor([0]), torch.tensor([1]))
    model.pair_losses(encoded, torch.tensor([0]), torch.tensor([0]), torch.ones(1)).sum().backward()
    online = model.predictor.weight.grad.clone()
    model.zero_grad()
    encoded = model(graph, torch.tensor([0]), torch.tensor([1]))
    u, i = encoded.user_parts["propagated"], encoded.item_parts["propagated"]
    (-cosine(encoded.users, i.detach()) - cosine(encoded.items, u.detach())).sum().backward()
    assert torch.allclose(online, model.predictor.weight.grad, atol=1e-6)


def test_dropout_is_of_targets_in_training_only(graph):
    model = BM3(NUM_USERS, NUM_ITEMS, {"image": 5}, dim=16, dropout=0.5).eval()
    rows, y = torch.arange(5), torch.ones(5)
    encoded = model(graph)
    assert torch.equal(model.pair_losses(encoded, rows, rows, y), model.pair_losses(encoded, rows, rows, y))
    assert float(model.penalty(encoded, rows, rows, rows, l2=1.0)) == 0
    model.train()
    assert not torch.equal(model.pair_losses(encoded, rows, rows, y), model.pair_losses(encoded, rows, rows, y))
    with pytest.raises(InputError, match="dropout must lie in"):
        BM3(3, 4, {"image": 2}, dropout=1.0)
