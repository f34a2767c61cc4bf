"""Running compiled row loops on several threads without a second OpenMP.

Numba's own parallel loops bring another thread pool, which fights torch's for the cores and is set for the whole process. Loops
here release the interpreter lock instead, and plain threads run a piece of the rows each: as many as ``torch.get_num_threads()``
says at that moment, nothing global is changed, and calls from several threads at once are safe.
"""

from __future__ import annotations

import bisect
import functools
import importlib.util
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

_SMALL = 20_000  # entries (and rows) below which waking a second thread costs more than it saves


@functools.cache
def available() -> bool:
    """Whether numba is installed (extra ``fast``)."""
    return importlib.util.find_spec("numba") is not None


def flat(tensor: Tensor | None, like: Tensor) -> Any:
    """A tensor as a flat array, sharing its memory where that is contiguous; None is an empty one of ``like``'s type."""
    tensor = like.new_empty(0) if tensor is None else tensor
    return tensor.detach().contiguous().view(-1).numpy()


def run_rows(kernel: Callable[..., None], rowptr: Any, *args: Any) -> None:
    """``kernel(first, last, *args)`` over all rows, in pieces of like work.

    Args:
        kernel: A compiled loop that releases the interpreter lock and writes only to its own rows.
        rowptr: [rows + 1] array: row i costs one unit, and one more for each of its entries.
        args: What the kernel takes after the range.
    """
    count = len(rowptr) - 1
    total = count + int(rowptr[-1])
    pieces = _pieces(total)
    inner = [
        bisect.bisect_left(range(count), total * piece // pieces, key=lambda row: int(rowptr[row]) + row)
        for piece in range(1, pieces)
    ]
    marks = [0, *inner, count]
    _run(kernel, list(itertools.pairwise(marks)), args)


def run_items(kernel: Callable[..., None], count: int, *args: Any) -> None:
    """``kernel(first, last, *args)`` over ``count`` items of like work."""
    pieces = _pieces(count)
    marks = [count * piece // pieces for piece in range(pieces + 1)]
    _run(kernel, list(itertools.pairwise(marks)), args)


def run_owners(kernel: Callable[..., None], work: int, *args: Any) -> None:
    """``kernel(me, threads, *args)`` once for each thread, ``work`` being the number of rows read by all of them."""
    pieces = _pieces(work)
    _run(kernel, [(me, pieces) for me in range(pieces)], args)


def _pieces(work: int) -> int:
    return torch.get_num_threads() if work >= _SMALL else 1


def _run(kernel: Callable[..., None], pieces: list[tuple[int, int]], args: tuple[Any, ...]) -> None:
    others = [_pool(len(pieces)).submit(kernel, *piece, *args) for piece in pieces[1:]]
    try:
        kernel(*pieces[0], *args)
    finally:
        failures = [other.exception() for other in others]  # waits: all must have ended before the arrays may go
    for failure in failures:
        if failure is not None:
            raise failure


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="graphforget-kernels")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
