"""The arithmetic under the operations, without autograd: one module or folder per backend, chosen by device or forced.

Every backend function takes the :class:`~graphforget.kernels.SparseGraph` first, so that it can keep what it derives from the
structure there. ``reference`` has every function, on any device and dtype, and is the oracle of the tests; the others have those
they are quicker at.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch

from graphforget.exceptions import InputError
from graphforget.kernels.backends.numba import compiled
from graphforget.registry import nearest

BACKENDS = ("reference", "cpu", "cuda", "triton")
VARIABLE = "GRAPHFORGET_KERNELS"
_MODULES = {
    "reference": "graphforget.kernels.backends.reference",
    "cpu": "graphforget.kernels.backends.cpu",
    "cuda": "graphforget.kernels.backends.cuda",
    "triton": "graphforget.kernels.backends.triton.operations",
}
# Cached cuSPARSE is hard to beat on the plain product (arXiv:2605.31500); everything else gains from fusion.
_ORDER = {
    ("cuda", "spmm"): ("cuda", "reference"),
    ("cuda", ""): ("triton", "cuda", "reference"),
    ("cpu", ""): ("cpu", "reference"),
}
_FORCED: contextvars.ContextVar[str | None] = contextvars.ContextVar("graphforget_kernels", default=None)


def check_backend(name: str | None) -> str | None:
    """The name of a backend that can run here, or None for the automatic choice.

    Raises:
        InputError: An unknown name, or Triton where it is not installed.
    """
    if name is None or name == "auto":
        return None
    if name not in BACKENDS:
        raise InputError(f"unknown kernel backend {name!r}: {nearest(str(name), [*BACKENDS, 'auto'])}")
    if name == "triton" and importlib.util.find_spec("triton") is None:
        raise InputError("the 'triton' backend needs the package triton: pip install 'graphforget[gpu]', or use 'auto'.")
    return name


@contextlib.contextmanager
def using(backend: str | None) -> Iterator[None]:
    """Force one backend for every operation of the enclosed block, backward passes included; ``None`` or "auto" chooses.

    Raises:
        InputError: See :func:`check_backend`.

    Example:
        >>> with using("reference"):
        ...     forced()
        'reference'
    """
    token = _FORCED.set(check_backend(backend) or "auto")
    try:
        yield
    finally:
        _FORCED.reset(token)


def forced() -> str | None:
    """The backend that :func:`using` or the variable ``GRAPHFORGET_KERNELS`` forces, or None."""
    inner = _FORCED.get()
    if inner is not None:
        return None if inner == "auto" else inner  # "auto" takes the variable back for a block
    return check_backend(os.environ.get(VARIABLE) or None)


@functools.cache
def _module(name: str) -> Any:
    return importlib.import_module(_MODULES[name])


def choose(op: str, device: torch.device, backend: str | None = None, *, dtype: torch.dtype | None = None) -> Callable[..., Any]:
    """The function that computes ``op``.

    Args:
        op: Name of a backend function, for example ``"spmm"``.
        device: Where the tensors are.
        backend: A backend to force; else what :func:`using` or ``GRAPHFORGET_KERNELS`` says, else the quickest one.
        dtype: Type of the numbers. Without it no function is chosen that exists for some types only.

    Raises:
        InputError: A forced backend has no such function, or does not run on the device.
    """
    name = check_backend(backend) or forced()
    if name is None:
        for candidate in _ORDER.get((device.type, op)) or _ORDER.get((device.type, ""), ("reference",)):
            if candidate == "triton" and importlib.util.find_spec("triton") is None:
                continue
            function = _function(candidate, op, dtype)
            if function is not None:
                return function
        raise AssertionError(f"no backend has {op}")
    devices = _module(name).devices()
    if device.type not in devices:
        raise InputError(
            f"the '{name}' kernel backend runs on {' and '.join(devices)}, and these tensors are on {device.type}: "
            f"move them, or choose 'auto'."
        )
    function = _function(name, op, dtype)
    if function is None:
        raise InputError(f"the '{name}' kernel backend has no '{op}': use 'reference' or 'auto'.")
    return function


def is_fused(op: str, device: torch.device, backend: str | None, dtype: torch.dtype) -> bool:
    """Whether a backend computes ``op`` as one; if not, the caller puts it together from other operations.

    The reference counts where it is forced: it is there to be compared with.
    """
    if device.type == "cpu" and backend in (None, "cpu"):
        return compiled(op, dtype) is not None
    return backend is not None or choose(op, device, dtype=dtype) is not _function("reference", op, dtype)


def _function(name: str, op: str, dtype: torch.dtype | None) -> Callable[..., Any] | None:
    fused = compiled(op, dtype) if name == "cpu" else None
    return fused or getattr(_module(name), op, None)
