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
from graphforget.metrics.ranks import threshold_at_fpr
from graphforget.metrics.recommendation import placements
from graphforget.requests.keys import row_keys, sizes_of

__all__ = ["matched_strangers", "same_entity_attack", "taker_probe"]

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
    sizes = (max(len(activity), sizes_of(known, pairs)[0]), num_items)
    keys = torch.unique(row_keys(known, sizes))
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
        free = ~torch.isin(row_keys(tried, sizes), keys)
        found[rows[free]] = tried[free]
        open_[rows[free]] = False
    return found[~open_]


def same_entity_attack(member: Tensor, group: Tensor, other: Tensor, other_group: Tensor) -> tuple[Tensor, Tensor]:
    """Threshold attack on scores within items (or users).

    Args:
        member: [n] scores of deleted pairs, higher = more likely trained on.
        group: [n] their items (or users).
        other: [m] scores of pairs never trained on.
        other_group: [m] theirs.

    Returns:
        Per deleted pair the share of the group's non-members below it ([n]; the mean is the AUC), and whether it stands above
        all but 1 % of the non-members of all groups that have both ([n] of 0 and 1; the mean is the TPR at 1 % FPR). NaN for
        pairs of a group without a non-member.

    Example:
        >>> item = torch.tensor([1, 1])
        >>> place, found = same_entity_attack(torch.tensor([3.0, 0.0]), item, torch.tensor([1.0]), item[:1])
        >>> place.tolist(), found.tolist()
        ([1.0, 0.0], [1.0, 0.0])
    """
    place = placements(member, group, other, other_group)
    if bool(place.isnan().all()):
        return place, place.clone()
    found = member.double() > threshold_at_fpr(other[torch.isin(other_group, group)], 0.01)
    return place, found.double().masked_fill(place.isnan(), float("nan"))


def taker_probe(vectors: Tensor, taken: Tensor, member: Tensor, other: Tensor, *, ridge: float = 0.01, seed: int = 0) -> Tensor:
    """Linear probe: do users' vectors tell who took an item?

    Users are halved at random. On one half, ridge regression learns per item who took it; it then scores the other half, where
    takers are compared with users who never took the item; and the other way round. What taste alone tells is found in models
    that never saw the item too: compare with gold.

    Args:
        vectors: [num_users, d]; users with NaN are left out.
        taken: [m, 2] rows (user, item): every deleted pair, to learn from.
        member: [n, 2] deleted pairs to be found.
        other: [k, 2] pairs of the same items that never were.
        ridge: Penalty, relative to the mean variance of the vectors' columns.
        seed: Seed of the halves.

    Returns:
        [n] share of the non-members of the same item and half that score below; the mean is the AUC. NaN where there is none.

    Example:
        >>> place = taker_probe(torch.eye(4)[[0, 0, 0, 1, 1, 1]], *[torch.tensor([[0, 7], [1, 7], [2, 7]])] * 2,
        ...     torch.tensor([[3, 7], [4, 7], [5, 7]]), seed=1)
        >>> bool((place[~place.isnan()] == 1).all())
        True
    """
    half = torch.randint(2, (len(vectors),), generator=torch.Generator().manual_seed(seed))
    half[~vectors.isfinite().all(1)] = -1
    _, column = torch.unique(torch.cat([taken[:, 1], member[:, 1], other[:, 1]]), return_inverse=True)
    columns = column.split([len(taken), len(member), len(other)])
    scores = [torch.full((len(pairs),), float("nan"), dtype=torch.double) for pairs in (member, other)]
    for learned in (0, 1):
        x = vectors[half == learned].double()
        if not len(x):
            continue
        mean, size = x.mean(0), int(column.max()) + 1 if len(column) else 0
        cov = (x - mean).t() @ (x - mean) / len(x)
        cov.diagonal().add_(ridge * cov.diagonal().mean() + 1e-12)
        mine = half[taken[:, 0]] == learned
        sums = torch.zeros(size, x.size(1), dtype=torch.double)
        sums.index_add_(0, columns[0][mine], vectors[taken[mine, 0]].double() - mean)
        weight = torch.linalg.solve(cov, sums.t()).t()
        for score, pairs, where in zip(scores, (member, other), columns[1:], strict=True):
            asked = half[pairs[:, 0]] == 1 - learned
            score[asked] = ((vectors[pairs[asked, 0]].double() - mean) * weight[where[asked]]).sum(1)
    known = [~score.isnan() for score in scores]
    group = [2 * where[k] + half[pairs[k, 0]] for where, pairs, k in zip(columns[1:], (member, other), known, strict=True)]
    place = torch.full((len(member),), float("nan"), dtype=torch.double)
    place[known[0]] = placements(scores[0][known[0]], group[0], scores[1][known[1]], group[1])
    return place


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
    AttackRecord(
        "taker_probe",
        ("users' vectors", "deleted pairs", "pairs of the same items that never were"),
        "Alain and Bengio 2016, linear probes",
        "Users' vectors still tell who took a deleted item.",
        "Taste tells it too: compare with gold.",
    ),
)
