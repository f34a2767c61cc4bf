"""Forgotten users and items come back under new ids, as what they are and without what they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.interactions.resize import Slots, add_items, add_users
from graphforget.requests import show_ids


@dataclass(frozen=True, eq=False)
class Returned:
    """Data with restored users and items.

    Attributes:
        data: The grown data.
        slots: One entry per step of growth, in order; a model follows them one by one.
        new_items: The new id of every restored item by its old one.
        new_users: The new id of every restored user by their old one.
    """

    data: Interactions
    slots: tuple[Slots, ...]
    new_items: Mapping[int, int]
    new_users: Mapping[int, int]


def bring_back(
    first: Interactions, data: Interactions, modalities: Mapping[str, Tensor], *, items: Tensor, users: Tensor
) -> Returned:
    """``data`` with users and items that were forgotten since ``first``, under new ids.

    An item has its name and content again, save a modality that was forgotten by a request of its own; a user their name, and
    nothing that was known of them. Nobody's interactions come back.

    Args:
        first: The data before any deletion.
        data: What is left of them.
        modalities: Items by the modality that they lost by a request of its own.
        items: [n] old ids.
        users: [m] old ids.

    Raises:
        InputError: Users or items that were not forgotten, or that the first data do not hold any more.

    Example:
        >>> from graphforget.interactions import remove_users
        >>> first = Interactions.create({"train": [[0, 0], [1, 0]]}, user_names=["ann", "bob"])
        >>> none = torch.empty(0, dtype=torch.long)
        >>> back = bring_back(first, remove_users(first, [1]), {}, items=none, users=torch.tensor([1]))
        >>> back.new_users, back.data.user_names, back.data.alive_users.tolist()
        ({1: 2}, ('ann', '', 'bob'), [True, False, True])
    """
    _check(first, data, items, "item", what="nothing says what they were")
    _check(first, data, users, "user", what="nothing says who they were")
    slots: list[Slots] = []
    new_items, new_users = range(data.num_items, data.num_items + len(items)), range(data.num_users, data.num_users + len(users))
    grown = data
    if len(items):
        features = {
            name: table[items].masked_fill(torch.isin(items, modalities.get(name, items[:0])).view(-1, 1), float("nan"))
            for name, table in first.features.items()
        }
        attributes = {
            name: [[one.values[v] for v in one.pairs[one.pairs[:, 0] == item, 1].tolist()] for item in items.tolist()]
            for name, one in first.attributes.items()
            if name in data.attributes
        }
        grown, grew = add_items(
            grown,
            len(items),
            features=features,
            attributes=attributes,
            item_names=None if first.item_names is None else [first.item_names[item] for item in items.tolist()],
            item_data={name: table[items] for name, table in first.item_data.items()},
        )
        slots.append(grew)
    if len(users):
        names = None if first.user_names is None else [first.user_names[user] for user in users.tolist()]
        grown, grew = add_users(grown, len(users), user_names=names)
        slots.append(grew)
    return Returned(
        grown, tuple(slots), dict(zip(items.tolist(), new_items, strict=True)), dict(zip(users.tolist(), new_users, strict=True))
    )


def _check(first: Interactions, data: Interactions, ids: Tensor, kind: str, *, what: str) -> None:
    alive, before = (data.alive_users, first.alive_users) if kind == "user" else (data.alive_items, first.alive_items)
    unknown = ids[ids >= len(alive)]
    there = unknown if len(unknown) else ids[alive[ids]]
    if len(there):
        raise InputError(f"{kind}s {show_ids(there)} were not forgotten.")
    lost = ids[~before[ids]]
    if len(lost):
        raise InputError(f"{kind}s {show_ids(lost)} were forgotten before '{first.name}' as the result knows them: {what}.")
