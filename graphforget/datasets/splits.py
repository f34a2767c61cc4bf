"""Splits that any data can take."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError


def stratified(y: Tensor, *, seed: int = 0, train: float = 0.6, val: float = 0.2) -> dict[str, Tensor]:
    """Ids of ``train``, ``val`` and ``test`` with the same shares of every class; unlabelled ones (-1) are in none.

    Of a class of n, ``train`` gets the share rounded (at least one), ``val`` and ``test`` what is left.

    Args:
        y: [N] int64 labels.
        seed: Seed of the shuffle.
        train: Share of training ids.
        val: Share of validation ids; the rest is for test.

    Raises:
        InputError: Bad shares.

    Example:
        >>> parts = stratified(torch.tensor([0] * 10 + [1] * 5))
        >>> [len(parts[part]) for part in ("train", "val", "test")]
        [9, 3, 3]
    """
    if not (0 < train < 1 and 0 <= val < 1 and train + val <= 1):
        raise InputError(f"train and val must be shares with a sum of at most 1, got train={train} and val={val}.")
    g = seeds.generator(seed)
    parts: dict[str, list[Tensor]] = {"train": [], "val": [], "test": []}
    for label in torch.unique(y[y >= 0]).tolist():
        members = (y == label).nonzero().view(-1)
        members = members[torch.randperm(len(members), generator=g)]
        first = max(1, round(train * len(members)))
        second = min(first + round(val * len(members)), len(members))
        for part, rows in zip(parts, (members[:first], members[first:second], members[second:])):
            parts[part].append(rows)
    return {part: torch.cat([*rows, y.new_empty(0)]).sort().values for part, rows in parts.items()}
