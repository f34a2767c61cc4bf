"""graphforget: remove data from trained models, and prove it against models that never saw the data.

result = graphforget.unlearn(model, data, request, task="link_prediction", method="auto", seed=0)
report = graphforget.evaluate(result, gold=3)
print(report)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from graphforget.version import __version__

_LAZY = {
    "unlearn": "graphforget.api",
    "evaluate": "graphforget.api",
    "run": "graphforget.api",
    "sweep": "graphforget.api",
    "suspend": "graphforget.api",
    "restore": "graphforget.api",
    "recommend": "graphforget.api",
    "make_task": "graphforget.api",
    "list_methods": "graphforget.api",
    "accelerate": "graphforget.models.gnn",
    "DeletionRequest": "graphforget.requests",
    "Target": "graphforget.requests",
    "save_model": "graphforget.base",
    "load_model": "graphforget.base",
    "InputError": "graphforget.exceptions",
    "UnsupportedError": "graphforget.exceptions",
}
__all__ = ["__version__", *sorted(_LAZY)]

if TYPE_CHECKING:
    from graphforget.api import evaluate, list_methods, make_task, recommend, restore, run, suspend, sweep, unlearn
    from graphforget.base import load_model, save_model
    from graphforget.exceptions import InputError, UnsupportedError
    from graphforget.models.gnn.accelerate import accelerate
    from graphforget.requests import DeletionRequest, Target


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'graphforget' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
