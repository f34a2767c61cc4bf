"""Requests drawn at random: how many of some candidates, and which."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError


def count_of(size: int | float, total: int, candidates: int, what: str) -> int:
    """How many a size means.

    Args:
        size: Count, an integer of at least 1; or share of ``total``, a float between 0 and 1, rounded down, but 1 at least.
        total: Of how many a share is taken.
        candidates: How many can be drawn.
        what: What they are, for messages.

    Raises:
        InputError: A size that is no size, or larger than the number of candidates.

    Example:
        >>> count_of(0.25, 10, 10, "edges"), count_of(3, 10, 10, "edges")
        (2, 3)
    """
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise InputError(f"size must be a count (2) or a share (0.05), got {size!r}.")
    if isinstance(size, float) and not 0 < size < 1:
        raise InputError(f"a share must lie between 0 and 1 (exclusive), got {size}; give a whole number for a count.")
    count = max(1, int(size * total)) if isinstance(size, float) else size
    if count < 1:
        raise InputError(f"a count must be at least 1, got {size}.")
    if count > candidates:
        raise InputError(f"cannot draw {count:,}: there are {candidates:,} {what}; give a size of at most {candidates}.")
    return count


def draw_rows(rows: Tensor, size: int | float, what: str, seed: int, *, total: int | None = None) -> Tensor:
    """So many random rows, each once; ``size``, ``what`` and ``total`` (by default the number of rows) as in :func:`count_of`."""
    count = count_of(size, len(rows) if total is None else total, len(rows), what)
    return rows[torch.randperm(len(rows), generator=seeds.generator(seed))[:count]]
