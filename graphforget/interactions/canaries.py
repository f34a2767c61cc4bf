"""Canaries: interactions held out before training, so that one can see later how a model treats pairs it never saw."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.requests.keys import first_of_each

CANARY = "canary"  # the part's name in ``Interactions.splits``


def with_canaries(data: Interactions, share: float = 0.01, *, seed: int = 0) -> Interactions:
    """The same data with a share of every item's training interactions in a part of their own, ``"canary"``.

    Do it before training. Canaries are to a model what validation and test pairs are: never trained on, not left out of ranked
    lists, and as likely as any other unseen pair to be drawn as a negative. Nothing selects a model by them either. A method that
    must know how far unseen pairs of an item stand out, such as ``graphforget_rec``, measures it on them. A request takes the
    canaries of forgotten users and items away, as it does in every part.

    An item with n training interactions gives ``share * n`` of them, rounded up or down at random so that the total is right.
    One interaction of every user and one of every item always stay in ``train``; where nothing else is left an item gives fewer.

    Args:
        data: Interactions of which nothing was deleted yet.
        share: Share of the training interactions, in (0, 0.5].
        seed: Seed of the draw.

    Raises:
        InputError: A share out of range, data that have canaries, data after a deletion, or too few interactions for one canary.

    Example:
        >>> data = Interactions.create({"train": [[u, i] for u in range(10) for i in range(10)]})
        >>> held = with_canaries(data, 0.1)
        >>> len(held.part("canary")), len(held.part("train")), held.part("canary")[:, 1].sort().values.tolist()
        (10, 90, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 0.5:
        raise InputError(f"the share of canaries must be above 0 and at most 0.5, got {share!r}; 0.01 is a good one.")
    if CANARY in data.splits:
        raise InputError(f"'{data.name}' has {len(data.part(CANARY))} canaries already: draw them once, from the data as loaded.")
    if data.lineage is not None:
        raise InputError(f"something was deleted from '{data.name}' already: canaries are held out before the first training.")
    train = data.part("train")
    order = torch.randperm(len(train), generator=seeds.generator(seeds.derive(seed, CANARY)))
    held = torch.zeros(len(train), dtype=torch.bool)
    held[order[_drawn(train[order], share, float(torch.rand((), generator=seeds.generator(seed))))]] = True
    if not bool(held.any()):
        raise InputError(
            f"{share:.2%} of the {len(train)} training interactions of '{data.name}' is less than one that can be spared: "
            f"give a larger share."
        )
    return replace(data, splits={**data.splits, "train": train[~held], CANARY: train[held]})


def _drawn(pairs: Tensor, share: float, offset: float) -> Tensor:
    """Rows of ``pairs`` to hold out: systematic sampling along the items, whose quotas are spread over their spare pairs."""
    spare = ~(first_of_each(pairs[:, 0]) | first_of_each(pairs[:, 1]))
    rows = spare.nonzero().view(-1)
    rows = rows[torch.argsort(pairs[rows, 1], stable=True)]
    count, free = torch.bincount(pairs[:, 1]).double(), torch.bincount(pairs[rows, 1], minlength=int(pairs[:, 1].max()) + 1)
    weight = (share * count / free.clamp(min=1)).clamp(max=1)[pairs[rows, 1]]
    # A small allowance, so that sums such as ten times 0.1 count as whole; within an item that is at most one pair.
    steps = (weight.cumsum(0) + offset + 1e-9).floor()
    return rows[steps.diff(prepend=steps.new_zeros(1)) > 0]
