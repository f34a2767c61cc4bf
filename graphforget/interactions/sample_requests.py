"""Random deletion requests on interactions, seeded."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.requests import DeletionRequest


def random_users(data: Interactions, *, count: int | None = None, fraction: float | None = None,
                 seed: int = 0) -> DeletionRequest:
    """Random users, drawn from live ones with at least one training interaction.

    Args:
        data: Interactions.
        count: How many.
        fraction: Instead of ``count``: share of the candidates, at least one.
        seed: Seed of the draw.

    Raises:
        InputError: Both or neither of count and fraction, or a number out of range.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [1, 1], [2, 0]]})
        >>> random_users(data, count=2, seed=0).summary()
        '2 users'
    """
    return DeletionRequest.users(_draw(torch.unique(data.splits["train"][:, 0]), "user", count, fraction, seed))


def random_items(data: Interactions, *, count: int | None = None, fraction: float | None = None,
                 seed: int = 0) -> DeletionRequest:
    """Random items, drawn from live ones with at least one training interaction; see :func:`random_users`."""
    return DeletionRequest.items(_draw(torch.unique(data.splits["train"][:, 1]), "item", count, fraction, seed))


def random_interactions(data: Interactions, *, count: int | None = None, fraction: float | None = None,
                        seed: int = 0) -> DeletionRequest:
    """Random training interactions; see :func:`random_users`."""
    return DeletionRequest.interactions(_draw(data.splits["train"], "interaction", count, fraction, seed))


def _draw(candidates: Tensor, kind: str, count: int | None, fraction: float | None, seed: int) -> Tensor:
    if (count is None) == (fraction is None):
        raise InputError(f"give either count= or fraction= of the {kind}s to forget, for example count=10.")
    total = len(candidates)
    if fraction is not None:
        if not 0 < fraction < 1:
            raise InputError(f"fraction must lie between 0 and 1, got {fraction}; 0.05 means 5 %.")
        count = max(1, round(fraction * total))
    assert count is not None
    if not 0 < count < total:
        raise InputError(f"count must lie between 1 and {total - 1}, as there are {total} {kind}s to draw from and one must "
                         f"be left; got {count}.")
    order = torch.randperm(total, generator=seeds.generator(seeds.derive(seed, "request", kind)))
    return candidates[order[:count]]
