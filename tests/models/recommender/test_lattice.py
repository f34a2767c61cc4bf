from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.interactions.knn import nearest_items
from graphforget.models import LATTICE

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LATTICE(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, k=3, mix=0.6, refresh=2)


def test_forward_by_the_formula(model, data, graph):
    with torch.no_grad():
        model.modality_weight.copy_(torch.tensor([0.2, 1.0]))
    x, a = model.ids(), dense_adjacency(data)
    final = (x + a @ x + a @ a @ x) / 3
    item_graph = torch.zeros(NUM_ITEMS, NUM_ITEMS)
    for weight, name in zip(model.modality_weight.softmax(0), ("audio", "image")):
        projected = model.project[name](graph.features[name]).detach()
        learned = nearest_items(projected, 3, alive=graph.content(name)).graph().to_dense()
        item_graph = item_graph + weight * (0.6 * graph.item_graph(name, 3).to_dense() + 0.4 * learned)
    near = F.normalize(item_graph @ model.item_embedding.weight)
    model.eval()
    assert torch.allclose(model(graph).table, torch.cat([final[:NUM_USERS], final[NUM_USERS:] + near]), atol=1e-5)


def test_neighbours_are_searched_when_they_may_have_changed(model, graph, monkeypatch):
    searches = []
    search = LATTICE._search
    monkeypatch.setattr(LATTICE, "_search", lambda self, *args: searches.append(1) or search(self, *args))

    def move():
        with torch.no_grad():
            model.project["image"].weight.add_(1.0)

    model.train()
    for _ in range(4):
        model(graph)
        move()
    assert len(searches) == 2  # every second training pass
    model.eval()
    model(graph), model(graph)
    assert len(searches) == 3  # the weights stayed
    move()
    model(graph)
    assert len(searches) == 4


def test_similarities_carry_gradients_to_the_projection(model, graph):
    model.train()
    model(graph).items.square().sum().backward()
    assert bool((model.project["image"].weight.grad != 0).any())
    assert bool((model.modality_weight.grad != 0).any())


def test_settings_are_checked():
    with pytest.raises(InputError, match="mix must lie in"):
        LATTICE(3, 4, {"image": 2}, mix=1.5)
