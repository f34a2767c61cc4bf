"""Small reference models. Any ``nn.Module`` works with graphforget; these are the ones the examples and tests train."""

from __future__ import annotations

import importlib
from typing import Any

from graphforget.registry import Registry

_TARGETS = {
    "gcn": "graphforget.models.gnn.gcn:GCN",
    "gat": "graphforget.models.gnn.gat:GAT",
    "gin": "graphforget.models.gnn.gin:GIN",
    "sage": "graphforget.models.gnn.sage:GraphSAGE",
    "mlp": "graphforget.models.vision.mlp:MLP",
    "cnn": "graphforget.models.vision.cnn:SmallCNN",
    "bprmf": "graphforget.models.recommender.bprmf:BPRMF",
    "lightgcn": "graphforget.models.recommender.lightgcn:LightGCN",
    "vbpr": "graphforget.models.recommender.vbpr:VBPR",
    "mgcn": "graphforget.models.recommender.mgcn:MGCN",
    "bm3": "graphforget.models.recommender.bm3:BM3",
    "freedom": "graphforget.models.recommender.freedom:FREEDOM",
    "lattice": "graphforget.models.recommender.lattice:LATTICE",
    "mmgcn": "graphforget.models.recommender.mmgcn:MMGCN",
    "ease": "graphforget.models.recommender.ease:EASE",
    "ials": "graphforget.models.recommender.ials:IALS",
}
MODELS = Registry("model", _TARGETS, group="graphforget.models", base="torch.nn:Module")
# A registered model is made from sizes of the data and reads what a task hands over. Typed edges are in no task's data, so that
# RGCN is for the caller's own loops and has no name in recipes.
_UNREGISTERED = ("graphforget.models.gnn.rgcn:RGCN",)
_MAKE = ("graphforget.models.make:ModelMaker", "graphforget.models.make:make_model")
_CLASSES = {path.partition(":")[2]: path for path in (*_TARGETS.values(), *_UNREGISTERED, *_MAKE)}

__all__ = ["MODELS", *sorted(_CLASSES)]


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(_CLASSES))}.")
    module, _, attribute = _CLASSES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
