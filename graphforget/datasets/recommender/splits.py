"""Splits of interactions into train, val and test: at random per user, the last ones left out, or by time across all users."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError


def split_per_user(pairs: Tensor, *, seed: int = 0, train: float = 0.8, val: float = 0.1) -> dict[str, Tensor]:
    """Every user's interactions shared out at random to ``train``, ``val`` and ``test``; each user keeps one in ``train``.

    Args:
        pairs: [n, 2] rows (user, item).
        seed: Seed of the shuffle.
        train: Share of training interactions.
        val: Share of validation interactions; the rest is for test.

    Raises:
        InputError: Bad shares.

    Example:
        >>> parts = split_per_user(torch.tensor([[0, i] for i in range(10)] + [[1, 3]]))
        >>> {part: len(rows) for part, rows in parts.items()}
        {'train': 9, 'val': 1, 'test': 1}
    """
    _check_shares(train, val)
    # Sorted first, so that the split depends on the interactions and not on the order of the file.
    pairs = torch.unique(pairs, dim=0)
    pairs = pairs[torch.randperm(len(pairs), generator=seeds.generator(seed))]
    pairs = pairs[torch.argsort(pairs[:, 0], stable=True)]
    place, count = _places(pairs[:, 0])
    share = place.double() / count
    first, second = (place == 0) | (share < train), share < train + val - 1e-9
    return {"train": pairs[first], "val": pairs[~first & second], "test": pairs[~first & ~second]}


def split_leave_one_out(pairs: Tensor, time: Tensor | None = None, *, seed: int = 0) -> dict[str, Tensor]:
    """Each user's last interaction is for ``test``, the one before for ``val``; users with fewer than three only train.

    Args:
        pairs: [n, 2] rows (user, item); of repeated pairs the earliest counts.
        time: [n] time or position of each interaction; ties by item id. Without it the order is random.
        seed: Seed of the order where there is no time.

    Raises:
        InputError: ``time`` has another length than ``pairs``.

    Example:
        >>> parts = split_leave_one_out(torch.tensor([[0, 5], [0, 6], [0, 7], [1, 5]]), torch.tensor([3, 1, 2, 0]))
        >>> [parts[part].tolist() for part in ("train", "val", "test")]
        [[[0, 6], [1, 5]], [[0, 7]], [[0, 5]]]
    """
    if time is None:
        pairs = torch.unique(pairs, dim=0)
        time = torch.randperm(len(pairs), generator=seeds.generator(seed))
    pairs, time = _earliest(pairs, time)
    order = torch.argsort(time, stable=True)
    pairs = pairs[order[torch.argsort(pairs[order, 0], stable=True)]]
    place, count = _places(pairs[:, 0])
    enough = count >= 3
    test, val = enough & (place == count - 1), enough & (place == count - 2)
    return {"train": pairs[~test & ~val], "val": pairs[val], "test": pairs[test]}


def split_by_time(pairs: Tensor, time: Tensor, *, train: float = 0.8, val: float = 0.1) -> dict[str, Tensor]:
    """Two points in time, the same for everybody, cut the interactions; simultaneous ones stay together.

    This is the honest setting: no model sees anything that came after what it is tested on. Validation and test
    interactions of users that training does not know are dropped, as nothing can be said of them.

    Args:
        pairs: [n, 2] rows (user, item); of repeated pairs the earliest counts.
        time: [n].
        train: Share of training interactions.
        val: Share of validation interactions; the rest is for test.

    Raises:
        InputError: Bad shares, or ``time`` has another length than ``pairs``.

    Example:
        >>> pairs, time = torch.tensor([[0, i] for i in range(10)]), torch.arange(10)
        >>> {part: rows[:, 1].tolist() for part, rows in split_by_time(pairs, time).items()}
        {'train': [0, 1, 2, 3, 4, 5, 6, 7], 'val': [8], 'test': [9]}
    """
    _check_shares(train, val)
    pairs, time = _earliest(pairs, time)
    ordered = time.sort().values
    ends = [ordered[max(round(share * len(ordered)) - 1, 0)] for share in (train, train + val)]
    parts = {"train": pairs[time <= ends[0]], "val": pairs[(time > ends[0]) & (time <= ends[1])], "test": pairs[time > ends[1]]}
    known = torch.unique(parts["train"][:, 0])
    return {part: rows if part == "train" else rows[torch.isin(rows[:, 0], known)] for part, rows in parts.items()}


def hold_out(train: Tensor, share: float, *, seed: int = 0) -> dict[str, Tensor]:
    """Validation interactions taken from ``train`` at random, for published splits that have none; users keep one in ``train``.

    Args:
        train: [n, 2] rows (user, item).
        share: Share of all interactions; 0 takes none.
        seed: Seed of the draw.

    Raises:
        InputError: A share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise InputError(f"val must be a share of the training interactions in [0, 1), got {share}.")
    if share == 0:
        return {"train": train}
    pairs = torch.unique(train, dim=0)
    pairs = pairs[torch.randperm(len(pairs), generator=seeds.generator(seed))]
    order = torch.argsort(pairs[:, 0], stable=True)
    first = torch.zeros(len(pairs), dtype=torch.bool)
    first[order] = _places(pairs[order, 0])[0] == 0
    free = (~first).nonzero().view(-1)[: round(share * len(pairs))]
    held = torch.zeros_like(first)
    held[free] = True
    return {"train": pairs[~held], "val": pairs[held]}


def _check_shares(train: float, val: float) -> None:
    if not (0 < train < 1 and 0 <= val < 1 and train + val <= 1):
        raise InputError(f"train and val must be shares with a sum of at most 1, got train={train} and val={val}.")


def _places(users: Tensor) -> tuple[Tensor, Tensor]:
    """Place of each row among those of its user (rows of a user stand together), and how many the user has; both [n]."""
    count = torch.bincount(users)
    place = torch.arange(len(users)) - (count.cumsum(0) - count)[users]
    return place, count[users]


def _earliest(pairs: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Every pair once, sorted, at its earliest time."""
    if len(time) != len(pairs):
        raise InputError(f"time has {len(time)} values for {len(pairs)} interactions: give one per interaction.")
    unique, which = torch.unique(pairs, dim=0, return_inverse=True)
    first = time.new_zeros(len(unique)).scatter_reduce(0, which, time, "amin", include_self=False)
    return unique, first
