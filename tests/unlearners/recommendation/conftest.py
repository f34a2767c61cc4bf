"""Small recommenders with item content that foretells tastes, trained once."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch

from graphforget import models
from graphforget.base import Recipe
from graphforget.interactions import Interactions
from graphforget.tasks import Recommendation

USERS, ITEMS = 120, 80


@cache
def taste_data(val: bool = True) -> Interactions:
    """Four tastes; 8 training, 2 validation and 2 test items per user; features are noisy tastes."""
    g = torch.Generator().manual_seed(3)
    taste = torch.arange(ITEMS) % 4
    parts: dict[str, list[list[int]]] = {"train": [], "val": [], "test": []}
    for user in range(USERS):
        weight = torch.where(taste == user % 4, 1.0, 0.08)
        items = torch.multinomial(weight, 12, generator=g)
        items = items[torch.randperm(12, generator=g)].tolist()  # early draws are more to the taste than late ones
        for part, chosen in (("train", items[:8]), ("val", items[8:10]), ("test", items[10:])):
            parts[part] += [[user, item] for item in chosen]
    if not val:
        parts["train"], parts["val"] = parts["train"], []
    features = torch.nn.functional.one_hot(taste, 4).float() + 0.3 * torch.randn(ITEMS, 4, generator=g)
    return Interactions.create(parts, num_users=USERS, num_items=ITEMS, name="tastes", features={"image": features})


def build(name: str):
    def make(data: Interactions) -> torch.nn.Module:
        sizes = (data.num_users, data.num_items)
        content = {
            "MGCN": lambda: models.MGCN(*sizes, data.modalities, dim=16, k=4),
            "VBPR": lambda: models.VBPR(*sizes, data.modalities, dim=8),
            "BM3": lambda: models.BM3(*sizes, data.modalities, dim=16),
        }
        plain = {"LightGCN": lambda: models.LightGCN(*sizes, dim=16), "BPRMF": lambda: models.BPRMF(*sizes, dim=16)}
        return (content | plain)[name]()

    return make


@cache
def _trained(name: str, val: bool):
    data = taste_data(val)
    task = Recommendation(build=build(name), top_k=10, l2=1e-4, recipe=Recipe(epochs=25, lr=0.02, batch_size=512))
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0, epochs=25)
    return task, data, model


@pytest.fixture
def trained():
    """``trained(name, val=True)``: task, data, and a copy of the trained model."""

    def get(name: str, val: bool = True):
        task, data, model = _trained(name, val)
        return task, data, copy.deepcopy(model)

    return get
