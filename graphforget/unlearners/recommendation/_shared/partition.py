"""Interactions dealt to shards by how near their users and items are, as a trained model has them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base.capabilities import has_entity_rows
from graphforget.exceptions import InputError
from graphforget.unlearners.recommendation._shared.balance import balanced_groups

SIDES = ("user", "item", "interaction")


def entity_vectors(model: nn.Module, kind: str, ids: Tensor) -> Tensor:
    """The rows of users or items in the first table that ``model.entity_rows()`` names for them, [n, d], on the CPU.

    Raises:
        InputError: The model does not say which rows belong to them.
    """
    if not has_entity_rows(model):
        raise InputError(
            f"{type(model).__name__} does not say which rows belong to users and items (entity_rows()), and their vectors are "
            f"what the shards are found by: give the model that was trained on all data."
        )
    block = model.entity_rows()[kind][0]
    table = dict(model.named_parameters())[block.parameter].detach().cpu()
    return table[block.offset + block.stride * ids]


def shards_of_interactions(
    model: nn.Module, pairs: Tensor, by: str, count: int, *, slack: float, rounds: int, seed: int, transport: bool = False
) -> Tensor:
    """A shard for every interaction, [n].

    Args:
        model: Offers ``entity_rows()``.
        pairs: [n, 2] rows (user, item).
        by: ``"user"`` or ``"item"`` keeps all interactions of one together; ``"interaction"`` clusters them one by one, by the
            product of both distances.
        count: Number of shards.
        slack: The largest shard has at most ``slack`` times the mean number of users, items or interactions.
        rounds: Of clustering, at most.
        seed: Of the first centres.
        transport: By optimal transport instead of greedily.
    """
    draws = seeds.generator(seeds.derive(seed, "clusters"))
    cluster = partial(balanced_groups, count=count, slack=slack, rounds=rounds, generator=draws, transport=transport)
    if by == "interaction":
        points = [entity_vectors(model, kind, pairs[:, side]) for side, kind in enumerate(("user", "item"))]
        return cluster(points)
    ids, row = torch.unique(pairs[:, SIDES.index(by)], return_inverse=True)
    return cluster([entity_vectors(model, by, ids)])[row]
