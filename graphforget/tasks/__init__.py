"""What a model is for. Every task is registered by name in :data:`TASKS`."""

from __future__ import annotations

import importlib
from typing import Any

from graphforget.registry import Registry

TASKS = Registry(
    "task",
    {
        "node_classification": "graphforget.tasks.graph.node_classification:NodeClassification",
        "node_regression": "graphforget.tasks.graph.node_regression:NodeRegression",
        "node_multilabel": "graphforget.tasks.graph.node_multilabel:NodeMultilabel",
        "link_prediction": "graphforget.tasks.graph.link_prediction:LinkPrediction",
        "image_classification": "graphforget.tasks.samples.image_classification:ImageClassification",
        "recommendation": "graphforget.tasks.recommendation.task:Recommendation",
    },
    group="graphforget.tasks",
    base="graphforget.base:Task",
    name="name",
)
_EXPORTS = {
    "NodeClassification": "graph.node_classification",
    "NodeRegression": "graph.node_regression",
    "NodeMultilabel": "graph.node_multilabel",
    "LinkPrediction": "graph.link_prediction",
    "ImageClassification": "samples.image_classification",
    "Recommendation": "recommendation.task",
    "GraphTask": "graph.task",
    "TrainableTask": "trainable",
    "make_task": "make",
    "recorded_task": "make",
}
__all__ = ["TASKS", *sorted(_EXPORTS)]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"graphforget.tasks.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'graphforget.tasks' has no attribute '{name}'")
