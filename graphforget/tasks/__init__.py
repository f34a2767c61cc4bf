"""What a model is for. Every task is registered by name in :data:`TASKS`."""

from __future__ import annotations

import importlib
from typing import Any

from graphforget.registry import Registry

TASKS = Registry(
    "task",
    {
        "node_classification": "graphforget.tasks.node_classification:NodeClassification",
        "link_prediction": "graphforget.tasks.link_prediction:LinkPrediction",
        "image_classification": "graphforget.tasks.image_classification:ImageClassification",
        "recommendation": "graphforget.tasks.recommendation:Recommendation",
    },
)
_EXPORTS = {
    "NodeClassification": "node_classification",
    "LinkPrediction": "link_prediction",
    "ImageClassification": "image_classification",
    "Recommendation": "recommendation",
    "GraphTask": "graph",
    "TrainableTask": "trainable",
}
__all__ = ["TASKS", *sorted(_EXPORTS)]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"graphforget.tasks.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'graphforget.tasks' has no attribute '{name}'")
