"""The synthetic dataset: seeded, labelled, and with tastes that can be learned."""

from __future__ import annotations

import pytest
import torch

from graphforget.datasets import load
from graphforget.exceptions import InputError


def test_it_is_seeded_and_says_that_it_is_synthetic():
    data = load("tastes")
    assert "synthetic" in data.name
    assert data.digest() == load("tastes").digest() != load("tastes", seed=1).digest()
    assert {name: tuple(x.shape) for name, x in data.features.items()} == {"image": (400, 32), "text": (400, 16)}
    assert abs(sum(len(p) for p in data.splits.values()) / 300 - 20) < 1.5


def test_users_take_what_their_taste_says_and_modalities_show_it():
    data = load("tastes", noise=0.1)
    kind = data.attributes["kind"].pairs[:, 1]
    share = []
    for user in range(100):
        mine = torch.bincount(kind[data.splits["train"][data.splits["train"][:, 0] == user, 1]], minlength=8).float()
        share.append(float(mine.max() / mine.sum()))
    assert sum(share) / len(share) > 0.4  # 1/8 by chance
    for x in data.features.values():
        same = kind.view(-1, 1) == kind
        distance = torch.cdist(x, x)
        assert distance[same].mean() < 0.3 * distance[~same].mean()


def test_one_owner_is_one_request():
    data = load("tastes")
    owners = data.attributes["owner"].counts()
    assert len(owners) == 20 and len(data.items_with("owner", "owner 3")) == owners["owner 3"]


def test_sizes_are_checked():
    assert load("tastes", num_users=30, num_items=40, per_user=5).num_items == 40
    with pytest.raises(InputError, match="at least 2 users"):
        load("tastes", per_user=300)
