"""Requests drawn by seed: random users, items or interactions.

All are drawn from what takes part in training, never from validation or test alone. ``size`` is a count (an integer of at
least 1) or a share of all candidates (a float between 0 and 1).
"""

from __future__ import annotations

import torch

from graphforget.interactions.data import Interactions
from graphforget.requests import DeletionRequest
from graphforget.requests.draws import draw_rows


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
    return DeletionRequest.users(ids=draw_rows(torch.unique(data.splits["train"][:, 0]), size, "users", seed))


def random_items(data: Interactions, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random items with at least one training interaction; see :func:`random_users`."""
    return DeletionRequest.items(ids=draw_rows(torch.unique(data.splits["train"][:, 1]), size, "items", seed))


def random_interactions(data: Interactions, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random training interactions; see :func:`random_users`."""
    return DeletionRequest.interactions(ids=draw_rows(data.splits["train"], size, "training interactions", seed))
