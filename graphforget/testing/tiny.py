"""Tiny data with planted structure, a quick recipe and a trained model for every task: enough to run a method in milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

from graphforget.base import FitLog, Recipe, Task, UnlearnResult
from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS
from graphforget.testing.planted import (
    ISOLATED,
    LONER,
    NUM_FEATURES,
    image_data,
    interaction_data,
    labels_data,
    link_data,
    node_data,
    number_data,
)

TINY_TASKS = (
    "node_classification",
    "link_prediction",
    "node_regression",
    "node_multilabel",
    "image_classification",
    "recommendation",
)
# Every task with its default model, and further models where a method may treat them differently: "task/model".
TINY_CASES = (
    *TINY_TASKS,
    "recommendation/lightgcn",  # reads the interaction graph
    "recommendation/mgcn",  # reads it, the item features and item-item graphs made of them, and trains offsets of features
    "recommendation/ease",  # closed form with item content, no parameters
    "recommendation/ials",  # closed form with parameters
)

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
        name: One of ``TINY_CASES``; the task's name for a case of one's own.
    """

    task: Task
    data: Any
    requests: Mapping[str, DeletionRequest]
    later: tuple[DeletionRequest, ...]
    trained: nn.Module
    history: FitLog
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.task.name)

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
        name: str = "",
    ) -> TinyCase:
        """Train a model for a task of one's own, to be put through ``check_unlearner(method, tasks=[case])``."""
        model = task.new_model(data, seed=seed)
        history = task.fit(model, data, seed=seed, keep=(*range(1, task.recipe.epochs + 1), "optimizer"))
        return cls(task, data, dict(requests), tuple(later), model, history, name)


@cache
def tiny_case(name: str) -> TinyCase:
    """The case of a task, with its default model or another: ``"recommendation"``, ``"recommendation/mgcn"``.

    Trained once per process.

    Raises:
        InputError: There is no tiny case of that name.

    Example:
        >>> case = tiny_case("image_classification")
        >>> case.task.utility(case.model(), case.task.view(case.data, "train"))["accuracy"] > 0.9
        True
    """
    task = tiny_task(name)
    return TinyCase.train(task, tiny_data(name), tiny_requests(name), tiny_later(name), name=name)


def tiny_task(name: str) -> Task:
    """A task by the name of a case, with a small model and a short recipe."""
    from graphforget import models

    task = _check(name)
    if task == "node_classification":
        return TASKS[task](build=lambda d: models.GCN(NUM_FEATURES, 12, d.num_classes), recipe=_RECIPE)
    if task in ("node_regression", "node_multilabel"):
        width = {"node_regression": 2, "node_multilabel": 3}[task]
        recipe = _RECIPE if task == "node_multilabel" else Recipe(epochs=60, lr=0.01, patience=60)
        return TASKS[task](build=lambda d: models.GCN(NUM_FEATURES, 12, width), recipe=recipe)
    if task == "link_prediction":
        return TASKS[task](build=lambda d: models.GCN(NUM_FEATURES, 12, 8), recipe=_RECIPE)
    if task == "image_classification":
        return TASKS[task](
            build=lambda d: models.MLP(64, 16, d.num_classes), recipe=Recipe(epochs=20, lr=0.01, batch_size=16, patience=5)
        )
    builds: dict[str, Callable[[Any], nn.Module]] = {
        "": lambda d: models.BPRMF(d.num_users, d.num_items, dim=8),
        "lightgcn": lambda d: models.LightGCN(d.num_users, d.num_items, dim=8),
        "mgcn": lambda d: models.MGCN(d.num_users, d.num_items, d.modalities, dim=6, k=4),
        "ease": lambda d: models.EASE(d.num_users, d.num_items, regulariser=2.0, content_weight=0.5),
        "ials": lambda d: models.IALS(d.num_users, d.num_items, dim=4, alpha=2.0, regulariser=1.0, sweeps=10),
    }
    model = name.partition("/")[2]
    recipe = Recipe(epochs=20 if model == "" else 4, lr=0.05, batch_size=64, patience=5)  # on the graph they learn faster
    return TASKS[task](build=builds[model], top_k=5, recipe=recipe)


def tiny_data(name: str) -> Any:
    """The data of a tiny case; the same object on every call, and for every model of a task."""
    return _data(_check(name))


@cache
def _data(task: str) -> Any:
    makers = {
        "node_classification": node_data,
        "node_regression": number_data,
        "node_multilabel": labels_data,
        "link_prediction": link_data,
        "image_classification": image_data,
        "recommendation": interaction_data,
    }
    return makers[task]()


def tiny_requests(name: str) -> dict[str, DeletionRequest]:
    """The named requests of a tiny case."""
    return _requests(_check(name))


@cache
def _requests(name: str) -> dict[str, DeletionRequest]:
    data = _data(name)
    if name == "node_classification":
        return {
            "nodes": DeletionRequest.nodes([0, 3, 27, 30]),
            "edges": DeletionRequest.edges(pairs=data.pairs()[5:40:6]),
            "features": DeletionRequest.node_features([1, 28, 29]),
            "class": DeletionRequest.node_classes([1]),
            "isolated node": DeletionRequest.nodes([ISOLATED]),
            "last of its class": DeletionRequest.nodes([LONER]),
        }
    if name in ("node_regression", "node_multilabel"):
        return {
            "nodes": DeletionRequest.nodes([0, 3, 27, 30]),
            "edges": DeletionRequest.edges(pairs=data.pairs()[5:40:6]),
            "features": DeletionRequest.node_features([1, 28, 29]),
            "isolated node": DeletionRequest.nodes([ISOLATED]),
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
        "images": DeletionRequest.modality("image", [3, 12]),
        "two kinds": DeletionRequest.users([4]) | DeletionRequest.items([6]),
    }


def tiny_later(name: str) -> tuple[DeletionRequest, ...]:
    """Requests for a second step, disjoint from the first of each kind in :func:`tiny_requests`."""
    task, data = _check(name), tiny_data(name)
    if task in ("node_classification", "node_regression", "node_multilabel"):
        return (
            DeletionRequest.nodes([6, 32]),
            DeletionRequest.node_features([7, 33]),
            DeletionRequest.edges(pairs=data.pairs()[44:60:5]),
        )
    if task == "link_prediction":
        return (
            DeletionRequest.edges(pairs=data.pairs()[44:60:5]),
            DeletionRequest.nodes([6, 26]),
            DeletionRequest.node_features([7, 27]),
        )
    if task == "image_classification":
        return DeletionRequest.samples([1, 2, 7]), DeletionRequest.classes([1])
    return (
        DeletionRequest.interactions(data.splits["train"][3::23][:4]),
        DeletionRequest.users([11]),
        DeletionRequest.items([13]),
        DeletionRequest.modality("text", [5]),
    )


def _check(name: str) -> str:
    """The task of a case.

    Raises:
        InputError: There is no such case.
    """
    if name not in TINY_CASES:
        raise InputError(f"there is no tiny case '{name}': {nearest(name, list(TINY_CASES))}")
    return name.partition("/")[0]
