"""Tiny data with planted structure, a quick recipe and a trained model for every task: enough to run a method in milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import FitLog, Recipe, Task, TensorData, UnlearnResult
from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS

TINY_TASKS = ("node_classification", "link_prediction", "image_classification", "recommendation")

NUM_NODES, NUM_CLASSES, NUM_FEATURES = 60, 3, 8
ISOLATED = 59  # a training node without edges
LONER = 50  # the only training node of class 2
_RECIPE = Recipe(epochs=30, lr=0.03, patience=6, eval_every=2)


@dataclass(frozen=True, eq=False)
class TinyCase:
    """A task with data, requests and a trained model.

    Attributes:
        task: The task, with ``build``.
        data: Its data container.
        requests: By name; the first that a method supports is the one most checks use.
        later: Requests disjoint from the first of each kind, for a second step.
        trained: The trained model; take copies with :meth:`model`.
        history: Log of its training, initial and last weights and optimiser state included.
    """

    task: Task
    data: Any
    requests: Mapping[str, DeletionRequest]
    later: tuple[DeletionRequest, ...]
    trained: nn.Module
    history: FitLog

    def model(self) -> nn.Module:
        """A private copy of the trained model."""
        return copy.deepcopy(self.trained)

    def unlearn(self, method: str, request: str, *, seed: int = 0, **params: Any) -> UnlearnResult:
        """One run of a registered method on a named request, with its ``test_params()[0]`` unless ``params`` are given.

        Example:
            >>> tiny_case("node_classification").unlearn("unlink", "edges").serving.context
            'retained'
        """
        from graphforget.unlearners import METHODS

        cls = METHODS[method]
        split = self.task.split(self.data, self.requests[request])
        return cls(**(params or cls.test_params()[0])).unlearn(self.model(), self.task, split, history=self.history, seed=seed)

    @classmethod
    def train(
        cls,
        task: Task,
        data: Any,
        requests: Mapping[str, DeletionRequest],
        later: tuple[DeletionRequest, ...] = (),
        *,
        seed: int = 0,
    ) -> TinyCase:
        """Train a model for a task of one's own, to be put through ``check_unlearner(method, tasks=[case])``."""
        model = task.new_model(data, seed=seed)
        history = task.fit(model, data, seed=seed, keep=(*range(1, task.recipe.epochs + 1), "optimizer"))
        return cls(task, data, dict(requests), tuple(later), model, history)


@cache
def tiny_case(name: str) -> TinyCase:
    """The case of a task; trained once per process.

    Raises:
        InputError: There is no tiny case of that name.

    Example:
        >>> case = tiny_case("image_classification")
        >>> case.task.utility(case.model(), case.task.view(case.data, "train"))["accuracy"] > 0.9
        True
    """
    requests = tiny_requests(name)
    return TinyCase.train(tiny_task(name), tiny_data(name), requests, _LATER[name]())


def tiny_task(name: str) -> Task:
    """A task by registry key, with a small model and a short recipe."""
    from graphforget import models

    _check(name)
    if name == "node_classification":
        return TASKS[name](build=lambda d: models.GCN(NUM_FEATURES, 12, d.num_classes), recipe=_RECIPE)
    if name == "link_prediction":
        return TASKS[name](build=lambda d: models.GCN(NUM_FEATURES, 12, 8), recipe=_RECIPE)
    if name == "image_classification":
        return TASKS[name](
            build=lambda d: models.MLP(64, 16, d.num_classes), recipe=Recipe(epochs=20, lr=0.01, batch_size=16, patience=5)
        )
    return TASKS[name](
        build=lambda d: models.BPRMF(d.num_users, d.num_items, dim=8),
        top_k=5,
        recipe=Recipe(epochs=20, lr=0.05, batch_size=64, patience=5),
    )


@cache
def tiny_data(name: str) -> Any:
    """The data of a tiny case; the same object on every call."""
    _check(name)
    makers = {
        "node_classification": _node_data,
        "link_prediction": _link_data,
        "image_classification": _image_data,
        "recommendation": _interaction_data,
    }
    return makers[name]()


@cache
def tiny_requests(name: str) -> dict[str, DeletionRequest]:
    """The named requests of a tiny case."""
    _check(name)
    data = tiny_data(name)
    if name == "node_classification":
        return {
            "nodes": DeletionRequest.nodes([0, 3, 27, 30]),
            "edges": DeletionRequest.edges(pairs=data.pairs()[5:40:6]),
            "features": DeletionRequest.node_features([1, 28, 29]),
            "class": DeletionRequest.node_classes([1]),
            "isolated node": DeletionRequest.nodes([ISOLATED]),
            "last of its class": DeletionRequest.nodes([LONER]),
        }
    if name == "link_prediction":
        return {
            "edges": DeletionRequest.edges(pairs=data.pairs()[5:40:6]),
            "nodes": DeletionRequest.nodes([2, 23]),
            "features": DeletionRequest.node_features([1, 28, 29]),
            "isolated node": DeletionRequest.nodes([ISOLATED]),
            "two kinds": DeletionRequest.edges(pairs=data.pairs()[3:9:5]) | DeletionRequest.node_features([40]),
        }
    if name == "image_classification":
        return {
            "samples": DeletionRequest.samples(range(0, 48, 6)),
            "class": DeletionRequest.classes([1]),
            "last of its class": DeletionRequest.classes([2]),
            "two kinds": DeletionRequest.samples([0, 3]) | DeletionRequest.classes([1]),
        }
    pairs = data.splits["train"][::17][:6]
    return {
        "interactions": DeletionRequest.interactions(pairs),
        "users": DeletionRequest.users([1, 7]),
        "items": DeletionRequest.items([2, 9]),
        "two kinds": DeletionRequest.users([4]) | DeletionRequest.items([6]),
    }


_LATER = {
    "node_classification": lambda: (
        DeletionRequest.nodes([6, 32]),
        DeletionRequest.node_features([7, 33]),
        DeletionRequest.edges(pairs=tiny_data("node_classification").pairs()[44:60:5]),
    ),
    "link_prediction": lambda: (
        DeletionRequest.edges(pairs=tiny_data("link_prediction").pairs()[44:60:5]),
        DeletionRequest.nodes([6, 26]),
        DeletionRequest.node_features([7, 27]),
    ),
    "image_classification": lambda: (DeletionRequest.samples([1, 2, 7]), DeletionRequest.classes([1])),
    "recommendation": lambda: (
        DeletionRequest.interactions(tiny_data("recommendation").splits["train"][3::23][:4]),
        DeletionRequest.users([11]),
        DeletionRequest.items([13]),
    ),
}


def _check(name: str) -> None:
    if name not in TINY_TASKS:
        raise InputError(f"there is no tiny data for task '{name}': {nearest(name, list(TINY_TASKS))}")


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


def _node_data() -> Any:
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


def _link_data() -> Any:
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


def _image_data() -> TensorData:
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


def _interaction_data() -> Any:
    """24 users and 20 items in two tastes; 6 training, 1 validation and 1 test interaction per user."""
    from graphforget.interactions import Interactions

    g = seeds.generator(10)
    parts: dict[str, list[list[int]]] = {"train": [], "val": [], "test": []}
    for user in range(24):
        own = torch.randperm(10, generator=g)[:7] + 10 * (user % 2)
        items = [*own.tolist(), int(torch.randint(10, (), generator=g)) + 10 * (1 - user % 2)]
        for part, chosen in (("test", items[:1]), ("val", items[1:2]), ("train", items[2:])):
            parts[part] += [[user, item] for item in chosen]
    return Interactions.create(parts, num_users=24, num_items=20, name="tiny interactions")
