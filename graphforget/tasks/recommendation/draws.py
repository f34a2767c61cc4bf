"""The other item of each interaction: drawn at random, or a fixed function of the pair."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph

Pick = Callable[[int, Tensor, int], Tensor]

_ROUNDS = 20  # rejection rounds before the free items of a user are listed one by one
_PRIME = 2_147_483_647  # 2^31 - 1: products of two residues fit in int64


def drawn(generator: torch.Generator) -> Pick:
    """Uniform choices among ``live`` items, one per row."""
    return lambda live, rows, _round: torch.randint(live, (len(rows),), generator=generator)


def fixed(live: int, rows: Tensor, round_: int) -> Tensor:
    """Choices that are a hash of the pair and the round."""
    mixed = (rows[:, 0] * 1_000_003 + rows[:, 1] * 7_919 + round_ * 104_729 + 12_345) % _PRIME
    for factor in (48_271, 69_621):  # two multiplicative congruential steps with a shift between them
        mixed = (mixed * factor) % _PRIME
        mixed = (mixed ^ (mixed >> 15)) % _PRIME
    return mixed % live


def other_items(graph: InteractionGraph, pairs: Tensor, pick: Pick, pool: Tensor | None = None) -> Tensor:
    """For each pair a live item that its user has no training interaction with, [n]; all pairs are tried at once.

    Args:
        graph: What exists, and who took what.
        pairs: [n, 2] rows (user, item).
        pick: Chooses among the first so many items, one per row.
        pool: Items to choose from, ascending; by default all live ones. A user who took all of these gets another live one.

    Raises:
        InputError: A user has taken every item that exists.
    """
    live = graph.live_items
    pool = live if pool is None or not len(pool) else pool
    chosen = torch.full((len(pairs),), -1, dtype=torch.long)
    open_ = torch.arange(len(pairs))
    for round_ in range(_ROUNDS):
        if not len(open_):
            return chosen
        rows = pairs[open_]
        tried = pool[pick(len(pool), rows, round_)]
        # The pair's own item may be free by now: a forgotten interaction read in the retained data.
        free = ~graph.positives.contains(rows[:, 0], tried) & (tried != rows[:, 1])
        chosen[open_[free]] = tried[free]
        open_ = open_[~free]
    for position in open_.tolist():
        user, item = pairs[position]
        taken = torch.cat([graph.positives.of(user.view(1))[:, 1], item.view(1)])
        rest = pool[~torch.isin(pool, taken)]
        rest = rest if len(rest) else live[~torch.isin(live, taken)]
        if not len(rest):
            raise InputError(
                f"user {int(user)} has taken every item that exists, so no other item is left to rank below "
                f"item {int(item)}: drop that user, or give the data more items."
            )
        chosen[position] = rest[pick(len(rest), pairs[position].view(1, 2), _ROUNDS)]
    return chosen
