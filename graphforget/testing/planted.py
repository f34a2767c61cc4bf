"""The planted structure of the tiny cases: communities in graphs, patterns in images, tastes in interactions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.base import TensorData

NUM_NODES, NUM_CLASSES, NUM_FEATURES = 60, 3, 8
ISOLATED = 59  # a training node without edges
LONER = 50  # the only training node of class 2
NUM_USERS, NUM_ITEMS = 24, 20
WORDLESS = 17  # an item without text and of no brand


def _communities() -> tuple[Tensor, Tensor, Tensor]:
    """(features, labels, canonical edges [m, 2]) of a stochastic block model with three blocks and one isolated node."""
    g = seeds.generator(7)
    y = torch.tensor([0] * 25 + [1] * 25 + [2] * 9 + [0])
    x = 0.5 * torch.randn(NUM_NODES, NUM_FEATURES, generator=g)
    x[torch.arange(NUM_NODES), y] += 1.5
    u, v = torch.triu_indices(NUM_NODES, NUM_NODES, 1)
    chance = torch.where(y[u] == y[v], 0.22, 0.02)
    kept = (torch.rand(len(u), generator=g) < chance) & (v != ISOLATED)
    return x, y, torch.stack([u, v], 1)[kept]


def node_data() -> Any:
    from graphforget.graphs import GraphData

    x, y, pairs = _communities()
    # Class 2 has one training node (LONER) and no validation node, so that deleting it deletes the class from training.
    train = torch.tensor([*range(12), *range(25, 37), LONER, ISOLATED])
    val = torch.tensor([*range(12, 17), *range(37, 42)])
    test = torch.tensor([*range(17, 25), *range(42, 50), *range(51, 59)])
    return GraphData.create(
        _both(pairs),
        NUM_NODES,
        x=x,
        y=y,
        splits={"train": train, "val": val, "test": test},
        num_classes=NUM_CLASSES,
        name="tiny nodes",
    )


def number_data() -> Any:
    """The same graph with two numbers to predict: how far a node leans to class 0 and to class 1."""
    data = node_data()
    return _retargeted(data, 0.3 * torch.stack([data.x[:, 0], data.x[:, 1]], 1), "tiny numbers")


def labels_data() -> Any:
    """The same graph with three labels per node: its features above their means."""
    data = node_data()
    return _retargeted(data, (data.x[:, :3] > 0.5).float(), "tiny labels")


def _retargeted(data: Any, target: Tensor, name: str) -> Any:
    from graphforget.graphs import GraphData

    return GraphData.create(data.edge_index, data.num_nodes, x=data.x, y=target, splits=dict(data.splits), name=name)


def link_data() -> Any:
    from graphforget.graphs import GraphData

    x, _, pairs = _communities()
    g = seeds.generator(8)
    pairs = pairs[torch.randperm(len(pairs), generator=g)]
    held = {"val": pairs[:12], "test": pairs[12:30]}
    known = {tuple(p) for p in pairs.tolist()}
    u, v = torch.triu_indices(NUM_NODES, NUM_NODES, 1)
    free = torch.tensor([p for p in zip(u.tolist(), v.tolist(), strict=True) if p not in known and ISOLATED not in p])
    free = free[torch.randperm(len(free), generator=g)]
    splits = {**held, "val_neg": free[:12], "test_neg": free[12:30]}
    return GraphData.create(_both(pairs[30:]), NUM_NODES, x=x, splits=splits, name="tiny links")


def _both(pairs: Tensor) -> Tensor:
    """edge_index [2, 2m] with both directions of every edge."""
    return torch.cat([pairs, pairs.flip(1)]).t().contiguous()


def image_data() -> TensorData:
    g = seeds.generator(9)
    y = torch.tensor([0, 1] * 32 + [2] * 9)  # 73 images; class 2 has one training image and no validation image
    patterns = (torch.rand(3, 8, 8, generator=g) < 0.4).float()
    x = patterns[y] + 0.35 * torch.randn(len(y), 8, 8, generator=g)
    splits = {
        "train": torch.tensor([*range(40), 64]),
        "val": torch.arange(40, 52),
        "test": torch.tensor([*range(52, 64), *range(65, 73)]),
    }
    return TensorData.create(x, y, splits, num_classes=3, name="tiny images")


def interaction_data() -> Any:
    """24 users and 20 items in two tastes; 6 training, 1 validation and 1 test interaction per user.

    Two modalities foretell the taste and so does the brand; the item ``WORDLESS`` has neither text nor brand.
    """
    from graphforget.interactions import Interactions

    g = seeds.generator(10)
    parts: dict[str, list[list[int]]] = {"train": [], "val": [], "test": []}
    for user in range(NUM_USERS):
        own = torch.randperm(10, generator=g)[:7] + 10 * (user % 2)
        items = [*own.tolist(), int(torch.randint(10, (), generator=g)) + 10 * (1 - user % 2)]
        for part, chosen in (("test", items[:1]), ("val", items[1:2]), ("train", items[2:])):
            parts[part] += [[user, item] for item in chosen]
    taste = torch.arange(NUM_ITEMS) // 10
    features = {name: torch.randn(NUM_ITEMS, width, generator=g) for name, width in (("image", 4), ("text", 3))}
    for table in features.values():
        table[torch.arange(NUM_ITEMS), taste] += 1.5
    features["text"][WORDLESS] = float("nan")
    brands = [None if item == WORDLESS else ("north", "south")[item // 10] for item in range(NUM_ITEMS)]
    return Interactions.create(
        parts, num_users=NUM_USERS, num_items=NUM_ITEMS, name="tiny interactions", features=features, attributes={"brand": brands}
    )
