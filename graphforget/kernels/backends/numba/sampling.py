"""Loops of :mod:`graphforget.kernels.sampling`, compiled by numba (extra ``fast``).

Serial on purpose: the loops are bound by memory, and a second thread pool beside torch's slows both down. Arrays are numpy
views of torch tensors.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]


@numba.njit(cache=True, nogil=True)
def spans(start: Array, ptr: Array) -> Array:
    """``start[i]``, ``start[i] + 1``, ... for as many as ``ptr`` says, one row after the other; [m] int64."""
    out = np.empty(ptr[-1], np.int64)
    for i in range(start.size):
        shift = start[i] - ptr[i]
        for place in range(ptr[i], ptr[i + 1]):
            out[place] = place + shift
    return out


@numba.njit(cache=True, nogil=True)
def sample(start: Array, degree: Array, ptr: Array, fanout: int, draws: Array) -> Array:
    """Floyd's algorithm for every row of more than ``fanout`` entries, the whole row for the others; [m] int64.

    ``draws`` holds one row of uniform numbers for each of the larger rows, in their order.
    """
    out = np.empty(ptr[-1], np.int64)
    row = 0
    for i in range(start.size):
        first, at = start[i], ptr[i]
        if degree[i] <= fanout:
            for j in range(degree[i]):
                out[at + j] = first + j
            continue
        for j in range(fanout):
            last = degree[i] - fanout + j
            drawn = first + np.int64(draws[row, j] * (last + 1))
            place = j
            while place > 0 and out[at + place - 1] > drawn:
                place -= 1
            if place > 0 and out[at + place - 1] == drawn:
                out[at + j] = first + last  # larger than all before: it goes to the end
                continue
            for k in range(j, place, -1):
                out[at + k] = out[at + k - 1]
            out[at + place] = drawn
        row += 1
    return out


@numba.njit(cache=True, nogil=True)
def unseen(col: Array, entries: Array, seen: Array) -> Array:
    """Columns of some entries that are not marked in ``seen``, each once, as they come, int64; marks them."""
    out = np.empty(entries.size, np.int64)
    count = 0
    for i in range(entries.size):
        node = col[entries[i]]
        if not seen[node]:
            seen[node] = True
            out[count] = node
            count += 1
    return out[:count]
