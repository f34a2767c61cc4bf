"""Removing users, items and single interactions. Ids stay: a forgotten user or item keeps its slot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.requests import as_ids, show_ids


def check_entities(data: Interactions, ids: Tensor, kind: str) -> None:
    """Refuse users or items that do not exist.

    Raises:
        InputError: Unknown or already forgotten ids, named.
    """
    alive = data.alive_users if kind == "user" else data.alive_items
    if len(ids) and int(ids.max()) >= len(alive):
        raise InputError(f"unknown {kind}s {show_ids(ids[ids >= len(alive)])}: '{data.name}' has {kind}s 0 to {len(alive) - 1}.")
    if bool((~alive[ids]).any()):
        raise InputError(f"{kind}s {show_ids(ids[~alive[ids]])} are already forgotten.")


def remove_users(data: Interactions, ids: Any) -> Interactions:
    """The same slots without these users and all of their interactions, in every part.

    Args:
        data: Interactions.
        ids: User ids, [n].

    Raises:
        InputError: Unknown or already forgotten users.
    """
    rows = as_ids(ids, "user")
    check_entities(data, rows, "user")
    alive = data.alive_users.clone()
    alive[rows] = False
    return replace(
        data,
        alive_users=alive,
        splits={part: pairs[alive[pairs[:, 0]]] for part, pairs in data.splits.items()},
        user_names=_without_names(data.user_names, rows),
    )


def remove_items(data: Interactions, ids: Any) -> Interactions:
    """The same slots without these items and every interaction with them, in every part.

    Their features become NaN and their attributes unknown; their own names go.

    Raises:
        InputError: Unknown or already forgotten items.
    """
    rows = as_ids(ids, "item")
    check_entities(data, rows, "item")
    alive = data.alive_items.clone()
    alive[rows] = False
    gone = torch.zeros_like(alive)
    gone[rows] = True
    return replace(
        data,
        alive_items=alive,
        splits={part: pairs[alive[pairs[:, 1]]] for part, pairs in data.splits.items()},
        features={name: table.masked_fill(gone.view(-1, 1), float("nan")) for name, table in data.features.items()},
        attributes={name: one.without(gone) for name, one in data.attributes.items()},
        item_names=_without_names(data.item_names, rows),
    )


def remove_pairs(data: Interactions, pairs: Any) -> Interactions:
    """The same users and items without these interactions, wherever they stand.

    Args:
        data: Interactions.
        pairs: (user, item) rows, [n, 2].

    Raises:
        InputError: Interactions that are not there.
    """
    rows = as_ids(pairs, "interaction")
    outside = (rows[:, 0] >= data.num_users) | (rows[:, 1] >= data.num_items)
    if bool(outside.any()):
        raise InputError(
            f"unknown interactions {show_ids(rows[outside])}: '{data.name}' has users 0 to {data.num_users - 1} "
            f"and items 0 to {data.num_items - 1}."
        )
    keys = data.keys(rows)
    missing = ~torch.isin(keys, torch.cat([data.keys(p) for p in data.splits.values()]))
    if bool(missing.any()):
        raise InputError(f"unknown interactions {show_ids(rows[missing])}: they are in no part of '{data.name}'.")
    return replace(data, splits={part: p[~torch.isin(data.keys(p), keys)] for part, p in data.splits.items()})


def _without_names(names: tuple[str, ...] | None, rows: Tensor) -> tuple[str, ...] | None:
    if names is None:
        return None
    gone = set(rows.tolist())
    return tuple("" if number in gone else name for number, name in enumerate(names))
