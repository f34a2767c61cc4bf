"""Changing the number of slots: a copy without dead ones, and room for new items and users. All else keeps ids where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphforget.base.tables import empty_table, take_tables
from graphforget.exceptions import InputError
from graphforget.interactions.checks import as_own_names, as_side_tables
from graphforget.interactions.content import ItemAttribute, as_attributes, as_item_features
from graphforget.interactions.data import Interactions
from graphforget.requests.keys import unique_rows


@dataclass(frozen=True, eq=False)
class Slots:
    """Which old user or item stands in every slot after a resize; what a model needs to follow its data.

    Attributes:
        users: [new num_users] int64 old ids, -1 for a new user.
        items: [new num_items] int64 old ids, -1 for a new item.
        num_users: Number of old user slots.
        num_items: Number of old item slots.

    Example:
        >>> Slots(torch.tensor([0, 1]), torch.tensor([0, 2]), 2, 3).position("item").tolist()
        [0, -1, 1]
    """

    users: Tensor
    items: Tensor
    num_users: int
    num_items: int

    def position(self, kind: str) -> Tensor:
        """The new id of every old ``"user"`` or ``"item"``, -1 for one that is gone."""
        of, size = (self.users, self.num_users) if kind == "user" else (self.items, self.num_items)
        known = (of >= 0).nonzero().view(-1)
        return torch.full((size,), -1).index_copy(0, of[known], known)


def compact(data: Interactions) -> tuple[Interactions, Slots]:
    """A re-indexed copy with live users and items only, and the map.

    The order of what is left stays, so that ties are broken as before. Published lists, logs and features that name old ids must
    be translated by the map: this is why ids stay where they are unless this is called.

    Returns:
        The compact data (without lineage, whose ids are the old ones), and the slots.

    Raises:
        InputError: No user or no item is left.

    Example:
        >>> from graphforget.interactions import remove_items
        >>> data = remove_items(Interactions.create({"train": [[0, 0], [0, 1], [1, 2]]}), [1])
        >>> small, slots = compact(data)
        >>> small.splits["train"].tolist(), slots.position("item").tolist()
        ([[0, 0], [1, 1]], [0, -1, 1])
    """
    slots = Slots(data.alive_users.nonzero().view(-1), data.alive_items.nonzero().view(-1), data.num_users, data.num_items)
    if not len(slots.users) or not len(slots.items):
        raise InputError(f"'{data.name}' has no live user or no live item, so nothing would be left.")
    user, item = slots.position("user"), slots.position("item")
    attributes = {
        name: ItemAttribute(torch.stack([item[one.pairs[:, 0]], one.pairs[:, 1]], 1), one.values)
        for name, one in data.attributes.items()
    }
    small = replace(
        data,
        splits={part: torch.stack([user[p[:, 0]], item[p[:, 1]]], 1) for part, p in data.splits.items()},
        num_users=len(slots.users),
        num_items=len(slots.items),
        alive_users=torch.ones(len(slots.users), dtype=torch.bool),
        alive_items=torch.ones(len(slots.items), dtype=torch.bool),
        features={name: table[slots.items] for name, table in data.features.items()},
        attributes=attributes,
        lineage=None,
        user_names=_chosen(data.user_names, slots.users),
        item_names=_chosen(data.item_names, slots.items),
        user_data=take_tables(data.user_data, slots.users),
        item_data=take_tables(data.item_data, slots.items),
    )
    return small, slots


def add_items(
    data: Interactions,
    count: int,
    *,
    features: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Sequence[Any]] | None = None,
    item_names: Sequence[Any] | None = None,
    item_data: Mapping[str, Any] | None = None,
) -> tuple[Interactions, Slots]:
    """The same data with new items at the end, which nobody has taken: content is all that is known of them.

    Args:
        data: Interactions.
        count: Number of new items; their ids are ``data.num_items`` and up.
        features: By modality, [count, F]; a modality that is left out, or a row of NaN, is missing.
        attributes: By name, one value (or a list of values, or None) per new item.
        item_names: Their names.
        item_data: Their rows of the further tables, [count, ...]; what is left out is empty.

    Returns:
        The data (a new beginning: without lineage), and the slots.

    Raises:
        InputError: No item, or content of a kind or shape that the data does not have.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [1, 1]]}, attributes={"publisher": ["Plume", "Pocket"]})
        >>> more, slots = add_items(data, 1, attributes={"publisher": ["Plume"]})
        >>> more.num_items, more.items_with("publisher", "Plume").tolist(), slots.items.tolist()
        (3, [0, 2], [0, 1, -1])
    """
    _check_count(count)
    for what, given, known in (("features", features, data.features), ("attributes", attributes, data.attributes)):
        for name in given or {}:
            if name not in known:
                raise InputError(f"{what}['{name}'] is unknown: '{data.name}' has {', '.join(sorted(known)) or 'none'}.")
    alive = torch.ones(count, dtype=torch.bool)
    new = as_item_features(features or {}, count, alive)
    tables = {}
    for name, table in data.features.items():
        rows = new.get(name, torch.full((count, table.size(1)), float("nan")))
        if rows.size(1) != table.size(1):
            raise InputError(f"features['{name}'] must have {table.size(1)} columns, as the data's; got {rows.size(1)}.")
        tables[name] = torch.cat([table, rows])
    added = as_attributes(attributes or {}, count)
    joined = {name: _joined(one, added.get(name), data.num_items) for name, one in data.attributes.items()}
    size = data.num_items + count
    grown = replace(
        data,
        num_items=size,
        alive_items=torch.cat([data.alive_items, alive]),
        features=tables,
        attributes=joined,
        item_names=_with_names(data.item_names, item_names, count, "item"),
        item_data=_with_rows(data.item_data, item_data, count, "item"),
        lineage=None,
    )
    items = torch.cat([torch.arange(data.num_items), torch.full((count,), -1)])
    return grown, Slots(torch.arange(data.num_users), items, data.num_users, data.num_items)


def add_users(
    data: Interactions, count: int, *, user_names: Sequence[Any] | None = None, user_data: Mapping[str, Any] | None = None
) -> tuple[Interactions, Slots]:
    """The same data with new users at the end, who have taken nothing yet.

    Args:
        data: Interactions.
        count: Number of new users; their ids are ``data.num_users`` and up.
        user_names: Their names.
        user_data: Their rows of the further tables, [count, ...]; what is left out is empty.

    Returns:
        The data (a new beginning: without lineage), and the slots.

    Raises:
        InputError: No user, names of others, or rows of a kind or shape that the data does not have.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [1, 1]]}, user_names=["ann", "bob"])
        >>> more, slots = add_users(data, 1, user_names=["cas"])
        >>> more.num_users, more.user_ids("cas").tolist(), slots.users.tolist()
        (3, [2], [0, 1, -1])
    """
    _check_count(count)
    grown = replace(
        data,
        num_users=data.num_users + count,
        alive_users=torch.cat([data.alive_users, torch.ones(count, dtype=torch.bool)]),
        user_names=_with_names(data.user_names, user_names, count, "user"),
        user_data=_with_rows(data.user_data, user_data, count, "user"),
        lineage=None,
    )
    users = torch.cat([torch.arange(data.num_users), torch.full((count,), -1)])
    return grown, Slots(users, torch.arange(data.num_items), data.num_users, data.num_items)


def _check_count(count: Any) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(f"count must be a whole number of at least 1, got {count!r}.")


def _with_names(names: tuple[str, ...] | None, new: Sequence[Any] | None, count: int, kind: str) -> tuple[str, ...] | None:
    """The names with those of new users or items behind them, "" where they have none."""
    if names is None:
        return None
    added = [""] * count if new is None else [str(name) for name in new]
    if len(added) != count:
        raise InputError(f"{kind}_names has {len(added)} names, but there are {count} new {kind}s.")
    return as_own_names(kind, [*names, *added], torch.ones(len(names) + count, dtype=torch.bool))


def _with_rows(tables: Mapping[str, Tensor], new: Mapping[str, Any] | None, count: int, kind: str) -> dict[str, Tensor]:
    """The tables with rows of new users or items below them, empty where none is given."""
    rows = as_side_tables(kind, new or {}, torch.ones(count, dtype=torch.bool))
    for name, given in rows.items():
        if name not in tables:
            raise InputError(f"{kind}_data['{name}'] is unknown: the data have {', '.join(sorted(tables)) or 'none'}.")
        if given.shape[1:] != tables[name].shape[1:]:
            raise InputError(
                f"{kind}_data['{name}'] must have rows of shape {list(tables[name].shape[1:])}, as the data's; got "
                f"{list(given.shape[1:])}."
            )
    empty = {name: empty_table(table.new_zeros(count, *table.shape[1:]), torch.arange(count)) for name, table in tables.items()}
    return {name: torch.cat([table, rows.get(name, empty[name]).to(table.dtype)]) for name, table in tables.items()}


def _joined(old: ItemAttribute, new: ItemAttribute | None, start: int) -> ItemAttribute:
    """Values of the items from ``start`` on, after those of the items before."""
    if new is None:
        return old
    numbers = {value: number for number, value in enumerate(old.values)}
    for value in new.values:
        numbers.setdefault(value, len(numbers))
    number = torch.tensor([numbers[value] for value in new.values], dtype=torch.long)
    pairs = torch.stack([new.pairs[:, 0] + start, number[new.pairs[:, 1]]], 1)
    return ItemAttribute(unique_rows(torch.cat([old.pairs, pairs])), tuple(numbers))


def _chosen(names: tuple[str, ...] | None, ids: Tensor) -> tuple[str, ...] | None:
    return None if names is None else tuple(names[number] for number in ids.tolist())
