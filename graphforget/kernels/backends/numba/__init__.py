"""CPU operations that numba compiles (extra ``fast``); it is imported when one of them is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

from graphforget.kernels.backends.numba import launch

_OPERATIONS = {
    "gat_forward": "attention",
    "gat_backward": "attention",
    "pair_dots": "pairs",
    "pair_scatter": "pairs",
    "bpr_forward": "pairs",
    "bpr_backward": "pairs",
}


def compiled(op: str, dtype: torch.dtype | None) -> Callable[..., Any] | None:
    """The compiled function for numbers of a type, or None where there is none or numba is not installed."""
    if op not in _OPERATIONS or dtype not in (torch.float32, torch.float64) or not launch.available():
        return None
    module = importlib.import_module(f"{__name__}.{_OPERATIONS[op]}")
    return getattr(module, op)  # type: ignore[no-any-return]
