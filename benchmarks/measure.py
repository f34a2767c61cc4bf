"""Time as medians of interleaved repeats, memory as the peak of resident memory above what was there before."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from graphforget.exceptions import InputError


def interleaved(steps: Mapping[str, Callable[[], Any]], repeats: int, *, warmups: int = 1) -> dict[str, list[float]]:
    """Seconds of every step, run in turn, so that a busy or a slow minute meets all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(warmups):
        for step in steps.values():
            step()
    for _ in range(repeats):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of every list."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def copy_step(megabytes: int = 256) -> tuple[Callable[[], Any], int]:
    """Copy a large tensor: (the step, bytes that it reads and writes)."""
    source = torch.zeros(megabytes * 2**18)
    target = torch.empty_like(source)
    target.copy_(source)
    return lambda: target.copy_(source), 2 * source.numel() * source.element_size()


def peak_extra(step: Callable[[], Any]) -> tuple[Any, int]:
    """(what the step returns, bytes): the highest resident memory during the step, less what was resident before it.

    Raises:
        InputError: The system does not tell; Linux does.
    """
    gc.collect()
    with_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if with_trim is not None:
        with_trim(0)  # memory that earlier steps freed would otherwise be taken again without being seen
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        raise InputError("peak memory is read from /proc/self, which this system does not have: run on Linux.")
    before = _status("VmRSS")
    reset.write_text("5")  # sets the peak to what is resident now
    result = step()
    return result, max(_status("VmHWM") - before, 0)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise InputError(f"/proc/self/status has no {name}.")


def in_fresh_process(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of a module in a process of its own, which has no memory of earlier work."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *args).result()
