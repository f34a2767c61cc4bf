"""Tiny interactions with two modalities, and one of every model that reads a graph."""

from __future__ import annotations

import pytest
import torch

from graphforget.interactions import InteractionGraph, Interactions

NUM_USERS, NUM_ITEMS = 7, 9


def make_data() -> Interactions:
    g = torch.Generator().manual_seed(0)
    pairs = [[u, i] for u in range(NUM_USERS) for i in range(NUM_ITEMS) if (u * 5 + i * 3) % 7 < 3 and i != 8]
    features = {"image": torch.randn(NUM_ITEMS, 5, generator=g), "audio": torch.randn(NUM_ITEMS, 3, generator=g)}
    features["audio"][4] = float("nan")  # an item without sound
    return Interactions.create({"train": pairs}, num_users=NUM_USERS, num_items=NUM_ITEMS, features=features)


@pytest.fixture
def data() -> Interactions:
    return make_data()


@pytest.fixture
def graph(data) -> InteractionGraph:
    return InteractionGraph(data)


def dense_adjacency(data: Interactions) -> torch.Tensor:
    """D^-1/2 A D^-1/2 by the book."""
    total = data.num_users + data.num_items
    a = torch.zeros(total, total)
    for u, i in data.splits["train"].tolist():
        a[u, data.num_users + i] = a[data.num_users + i, u] = 1
    scale = a.sum(1).clamp(min=1).pow(-0.5)
    return scale.view(-1, 1) * a * scale
