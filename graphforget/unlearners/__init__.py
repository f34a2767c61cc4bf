"""How to forget: one class per method, one file each. Every method is registered by name in :data:`METHODS`."""

from __future__ import annotations

import importlib
from typing import Any

from graphforget.registry import Registry

# key: (folder.file, class). The list drives the registry, the exports, the command line and the contract tests.
_METHODS = {
    "retrain": ("general.retrain", "Retrain"),
    "identity": ("general.identity", "Identity"),
    "finetune": ("general.finetune", "FineTune"),
    "gradient_ascent": ("general.gradient_ascent", "GradientAscent"),
    "salun": ("general.salun", "SalUn"),
    "sisa": ("general.sisa", "SISA"),
    "unlink": ("graph.unlink", "Unlink"),
    "gnndelete": ("graph.gnndelete", "GNNDelete"),
    "d2dgn": ("graph.d2dgn", "D2DGN"),
    "shadow_distill": ("graph.shadow_distill", "ShadowDistill"),
    "amun": ("recommendation.amun", "AmUn"),
    "ease_downdate": ("recommendation.ease_downdate", "EASEDowndate"),
    "ials_resolve": ("recommendation.ials_resolve", "IALSResolve"),
    "graphforget_rec": ("recommendation.graphforget_rec", "GraphForgetRec"),
    "ifru": ("recommendation.ifru", "IFRU"),
    "laser": ("recommendation.laser", "LASER"),
    "mask": ("recommendation.mask", "Mask"),
    "mmrecun": ("recommendation.mmrecun", "MMRecUn"),
    "receraser": ("recommendation.receraser", "RecEraser"),
    "reset_repair": ("recommendation.reset_repair", "ResetRepair"),
    "row_reset": ("recommendation.row_reset", "RowReset"),
    "rrl": ("recommendation.rrl", "RRL"),
    "scif": ("recommendation.scif", "SCIF"),
    "ultrare": ("recommendation.ultrare", "UltraRE"),
}
METHODS = Registry(
    "method",
    {key: f"graphforget.unlearners.{file}:{name}" for key, (file, name) in _METHODS.items()},
    group="graphforget.methods",
    base="graphforget.base:Unlearner",
    name="tags.key",
)
_EXPORTS = {name: file for file, name in _METHODS.values()}
__all__ = ["METHODS", *sorted(_EXPORTS)]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"graphforget.unlearners.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'graphforget.unlearners' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
