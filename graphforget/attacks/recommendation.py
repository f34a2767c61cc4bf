"""Membership of single interactions: was this (user, item) pair in the training set?

A deleted pair is compared with pairs of the same item (or the same user) that were never trained on. Who they are decides what
the figure means. *Held-out positives* were really taken, so taste cannot tell them from members. *Activity-matched strangers* are
users as active as the taker who never took the item. *Random* users are told apart by any recommender, unlearned or not: they
give high figures by construction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.base.attack import AttackRecord
from graphforget.exceptions import InputError
from graphforget.metrics.ranks import tpr_at_fpr
from graphforget.metrics.recommendation import placements

__all__ = ["matched_strangers", "same_entity_attack"]

_ROUNDS = 60


def matched_strangers(
    pairs: Tensor,
    known: Tensor,
    activity: Tensor,
    num_items: int,
    *,
    side: str = "user",
    window: int | None = 20,
    seed: int = 0,
    candidates: Tensor | None = None,
) -> Tensor:
    """For each pair the same item with another user (or the same user with another item) who never took it.

    Entities are sorted by activity, ties in random order, and the other one stands at most ``window`` places away; the window
    widens for pairs that hit a known interaction.

    Args:
        pairs: [n, 2] rows (user, item) to be matched.
        known: [m, 2] every interaction of the first data, whatever its part: none of them is returned.
        activity: [N] interactions per user (or per item), N being the number of users (or items).
        num_items: Number of items.
        side: What is replaced: ``"user"`` (same item) or ``"item"`` (same user).
        window: Places; None draws from all, which matches nothing.
        seed: Seed of the draws.
        candidates: [c] ids that may be drawn; by default all with activity.

    Returns:
        [k, 2] pairs, k <= n: one per pair for which another was found.

    Raises:
        InputError: An unknown side, or nobody can be drawn.

    Example:
        >>> pairs, known = torch.tensor([[0, 1]]), torch.tensor([[0, 1], [1, 1], [2, 0]])
        >>> matched_strangers(pairs, known, torch.tensor([1, 1, 1]), 2).tolist()
        [[2, 1]]
    """
    if side not in ("user", "item"):
        raise InputError(f"side must be 'user' or 'item', got {side!r}.")
    column = 0 if side == "user" else 1
    generator = torch.Generator().manual_seed(seed)
    drawn = (activity > 0).nonzero().view(-1) if candidates is None else candidates
    if not len(drawn):
        raise InputError(f"there is no {side} to draw from: none has an interaction.")
    order = drawn[torch.argsort(activity[drawn] + 0.5 * torch.rand(len(drawn), generator=generator))]
    # Where an entity of this activity would stand, itself being in the order or not.
    place = torch.searchsorted(activity[order].contiguous(), activity[pairs[:, column]], right=False)
    last = torch.searchsorted(activity[order].contiguous(), activity[pairs[:, column]], right=True)
    place = place + (torch.rand(len(pairs), generator=generator) * (last - place)).long()
    keys = torch.unique(known[:, 0] * num_items + known[:, 1])
    found, open_ = pairs.clone(), torch.ones(len(pairs), dtype=torch.bool)
    for round_ in range(_ROUNDS):
        rows = open_.nonzero().view(-1)
        if not len(rows):
            break
        if window is None:
            where = torch.randint(len(order), (len(rows),), generator=generator)
        else:
            reach = min(len(order), window * 2 ** (round_ // 10))
            where = place[rows] + torch.randint(-reach, reach + 1, (len(rows),), generator=generator)
        tried = pairs[rows]
        tried[:, column] = order[where.clamp(0, len(order) - 1)]
        free = ~torch.isin(tried[:, 0] * num_items + tried[:, 1], keys)
        found[rows[free]] = tried[free]
        open_[rows[free]] = False
    return found[~open_]


def same_entity_attack(member: Tensor, group: Tensor, other: Tensor, other_group: Tensor) -> tuple[Tensor, float]:
    """Threshold attack on scores within items (or users).

    Args:
        member: [n] scores of deleted pairs, higher = more likely trained on.
        group: [n] their items (or users).
        other: [m] scores of pairs never trained on.
        other_group: [m] theirs.

    Returns:
        Per deleted pair the share of the group's non-members below it ([n]; the mean is the AUC, NaN without a non-member), and
        the share of deleted pairs above all but 1 % of the non-members, over groups that have both.

    Example:
        >>> item = torch.tensor([1, 1])
        >>> place, found = same_entity_attack(torch.tensor([3.0, 0.0]), item, torch.tensor([1.0]), item[:1])
        >>> place.tolist(), found
        ([1.0, 0.0], 0.5)
    """
    place = placements(member, group, other, other_group)
    both, there = ~place.isnan(), torch.isin(other_group, group)
    if not bool(both.any()):
        return place, float("nan")
    return place, tpr_at_fpr(member[both], other[there], 0.01)


RECORDS = (
    AttackRecord(
        "same_item",
        ("scores of deleted pairs", "their items", "scores of never-trained pairs of the same items", "their items"),
        "Yeom et al. 2018, within items",
        "A deleted pair is recognised by a higher score than the item has with users it was not trained with.",
        "Compare with the same attack on gold. With random users as non-members it is high for any recommender.",
    ),
    AttackRecord(
        "same_user",
        ("scores of deleted pairs", "their users", "scores of never-trained pairs of the same users", "their users"),
        "Yeom et al. 2018, within users",
        "A deleted pair is recognised by a higher score than the user has with items that were not trained on.",
        "Compare with the same attack on gold.",
    ),
)
