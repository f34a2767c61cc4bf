"""Seeds: local generators, and a guard that leaves the caller's global random state untouched."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import torch


def generator(seed: int) -> torch.Generator:
    """A CPU generator with its own state; draws made with it are moved to the device afterwards."""
    return torch.Generator(device="cpu").manual_seed(int(seed))


def derive(seed: int, *labels: object) -> int:
    """An independent 31-bit seed for a named purpose, e.g. ``derive(0, "gold", 2)``."""
    text = repr((int(seed),) + tuple(str(label) for label in labels)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


@contextlib.contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run a block under a fixed global torch / python / numpy seed and restore the caller's afterwards.

    Modules such as dropout only know the global generator; this is the one place that sets it.
    """
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
