"""Requests drawn by seed: random users, items or interactions.

All are drawn from what takes part in training, never from validation or test alone. ``size`` is a count (an integer of at
least 1) or a share of all candidates (a float between 0 and 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.requests import DeletionRequest


def random_users(data: Interactions, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random users with at least one training interaction.

    Args:
        data: Interactions.
        size: Count, or share of all these users.
        seed: Seed of the draw.

    Raises:
        InputError: A size that is no size, or larger than the number of candidates.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [1, 1], [2, 0]]})
        >>> random_users(data, 2, seed=0).summary()
        '2 users'
    """
    return DeletionRequest.users(ids=_draw(torch.unique(data.splits["train"][:, 0]), size, "users", seed))


def random_items(data: Interactions, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random items with at least one training interaction; see :func:`random_users`."""
    return DeletionRequest.items(ids=_draw(torch.unique(data.splits["train"][:, 1]), size, "items", seed))


def random_interactions(data: Interactions, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random training interactions; see :func:`random_users`."""
    return DeletionRequest.interactions(ids=_draw(data.splits["train"], size, "training interactions", seed))


def _draw(rows: Tensor, size: int | float, what: str, seed: int) -> Tensor:
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise InputError(f"size must be a count (2) or a share (0.05), got {size!r}.")
    if isinstance(size, float) and not 0 < size < 1:
        raise InputError(f"a share must lie between 0 and 1 (exclusive), got {size}; give a whole number for a count.")
    count = max(1, int(size * len(rows))) if isinstance(size, float) else size
    if count < 1:
        raise InputError(f"a count must be at least 1, got {size}.")
    if count > len(rows):
        raise InputError(f"cannot draw {count:,}: there are {len(rows):,} {what}; give a size of at most {len(rows)}.")
    return rows[torch.randperm(len(rows), generator=seeds.generator(seed))[:count]]
