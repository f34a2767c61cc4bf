from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions
from graphforget.models import FREEDOM

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency


def test_forward_and_penalty_by_the_formula(data, graph):
    weights = {"image": 0.1, "audio": 0.9}
    model = FREEDOM(
        NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, k=3, content_weight=0.5, modality_weights=weights
    ).eval()
    x, a = model.ids(), dense_adjacency(data)
    final = (x + a @ x + a @ a @ x) / 3
    near = sum(w * graph.item_graph(name, 3, weighted=False).to_dense() for name, w in weights.items()) @ x[NUM_USERS:]
    users, items = final[:NUM_USERS], final[NUM_USERS:] + near
    encoded = model(graph)
    assert torch.allclose(encoded.table, torch.cat([users, items]), atol=1e-5)
    u, p, n = torch.tensor([0, 4]), torch.tensor([1, 2]), torch.tensor([6, 3])
    expected = 0.0
    for name in weights:
        f = model.project[name](graph.features[name])
        expected = expected + F.softplus((users[u] * f[n]).sum(1) - (users[u] * f[p]).sum(1)).mean()
    assert torch.allclose(model.penalty(encoded, u, p, n, l2=9.0), 0.5 * expected, atol=1e-5)


def test_training_thins_the_interactions_out_and_spares_rare_ones():
    pairs = [[u, 0] for u in range(60)] + [[u, u] for u in range(1, 60)]  # item 0 is popular
    graph = InteractionGraph(Interactions.create({"train": pairs}, num_users=60, num_items=60))
    model = FREEDOM(60, 60, {"image": 2}, edge_dropout=0.5)
    torch.manual_seed(0)
    popular = rare = 0
    for _ in range(30):
        thinned = model._thinned(graph)
        assert thinned.num_edges == 2 * 59  # half of 119, rounded down, both ways
        assert torch.allclose(thinned.weight, thinned.transpose().weight)
        kept = int(thinned.rowptr[61] - thinned.rowptr[60])
        popular, rare = popular + kept, rare + 59 - kept
    assert rare > 2 * popular
    again = model._thinned(graph)
    assert not torch.equal(again.col, thinned.col)


def test_settings_are_checked():
    for options, sentence in (
        ({"edge_dropout": 1.0}, "edge_dropout must lie in"),
        ({"modality_weights": {"text": 1.0}}, "to each of image"),
    ):
        with pytest.raises(InputError, match=sentence):
            FREEDOM(3, 4, {"image": 2}, **options)
