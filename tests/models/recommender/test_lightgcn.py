from __future__ import annotations

import torch

from graphforget.models import LightGCN

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency


def test_scores_and_regulariser_by_the_formula(data, graph):
    model = LightGCN(NUM_USERS, NUM_ITEMS, dim=4, num_layers=3)
    x, a = model.ids(), dense_adjacency(data)
    final = sum(torch.linalg.matrix_power(a, power) @ x for power in range(4)) / 4
    encoded = model(graph)
    assert torch.allclose(encoded.table, final, atol=1e-6)
    user, item, other = torch.tensor([0, 5]), torch.tensor([2, 1]), torch.tensor([7, 7])
    rows = [model.user_embedding(user), model.item_embedding(item), model.item_embedding(other)]  # layer 0, not the final ones
    assert torch.allclose(
        model.penalty(encoded, user, item, other, l2=0.3), 0.15 * sum(r.square().sum(1) for r in rows).mean(), atol=1e-6
    )


def test_a_user_without_interactions_keeps_a_share_of_its_own_vector(data, graph):
    model = LightGCN(NUM_USERS, NUM_ITEMS, dim=4, num_layers=1)
    assert 8 not in data.splits["train"][:, 1].tolist()
    assert torch.allclose(model(graph).items[8], model.item_embedding.weight[8] / 2)
