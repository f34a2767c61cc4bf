"""Removing users, items, single interactions and content. Ids stay: a forgotten user or item keeps its slot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from graphforget.base.tables import empty_table
from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.registry import nearest
from graphforget.requests import DeletionRequest, show_ids


def check_entities(data: Interactions, ids: Tensor, kind: str) -> None:
    """Refuse users or items that do not exist.

    Raises:
        InputError: Unknown or already forgotten ids, named.
    """
    alive = data.alive_users if kind == "user" else data.alive_items
    if len(ids) and int(ids.max()) >= len(alive):
        raise InputError(f"unknown {kind}s {show_ids(ids[ids >= len(alive)])}: '{data.name}' has {kind}s 0 to {len(alive) - 1}.")
    gone = ids[~alive[ids]]
    if len(gone):
        never = "" if data.lineage is not None else f", or never were in '{data.name}'"
        raise InputError(f"{kind}s {show_ids(gone)} are already forgotten{never}.")


def remove_users(data: Interactions, ids: Any) -> Interactions:
    """The same slots without these users and all of their interactions, in every part; their rows of ``user_data`` are emptied.

    Args:
        data: Interactions.
        ids: User ids, [n].

    Raises:
        InputError: Unknown or already forgotten users.
    """
    rows = data.plain_ids("user", ids)
    check_entities(data, rows, "user")
    alive = data.alive_users.clone()
    alive[rows] = False
    return replace(
        data,
        alive_users=alive,
        splits={part: pairs[alive[pairs[:, 0]]] for part, pairs in data.splits.items()},
        user_names=_without_names(data.user_names, rows),
        user_data={name: empty_table(table, rows) for name, table in data.user_data.items()},
    )


def remove_items(data: Interactions, ids: Any) -> Interactions:
    """The same slots without these items and every interaction with them, in every part.

    Their features become NaN, their rows of ``item_data`` empty, their attributes unknown; their own names go.

    Raises:
        InputError: Unknown or already forgotten items.
    """
    rows = data.plain_ids("item", ids)
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
        item_data={name: empty_table(table, rows) for name, table in data.item_data.items()},
    )


def remove_pairs(data: Interactions, pairs: Any) -> Interactions:
    """The same users and items without these interactions, wherever they stand.

    Args:
        data: Interactions.
        pairs: (user, item) rows, [n, 2].

    Raises:
        InputError: Interactions that are not there.
    """
    rows = data.resolved(DeletionRequest.interactions(pairs)).ids("interaction")
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


def having(data: Interactions, name: str) -> Tensor:
    """Which items exist and have content in a modality, bool [num_items].

    Raises:
        InputError: The data has no such modality; the nearest are listed.
    """
    if name not in data.features:
        known = nearest(name, list(data.features)) if data.features else "it has none."
        raise InputError(f"'{data.name}' has no item features '{name}': {known}")
    return data.alive_items & data.features[name].isfinite().all(1)


def check_modality(data: Interactions, name: str, ids: Tensor) -> None:
    """Refuse to forget content that is not there.

    Raises:
        InputError: An unknown modality, unknown or forgotten items, or items without this content, named.
    """
    content = having(data, name)
    check_entities(data, ids, "item")
    missing = ids[~content[ids]]
    if not len(missing):
        return
    earlier = data.lineage.request.modalities.get(name, ids[:0]) if data.lineage is not None else ids[:0]
    done = missing[torch.isin(missing, earlier)]
    if len(done):
        raise InputError(f"the features '{name}' of items {show_ids(done)} are already forgotten.")
    raise InputError(f"items {show_ids(missing)} have no features '{name}' in '{data.name}': there is nothing to forget of them.")


def remove_modality(data: Interactions, name: str, ids: Any) -> Interactions:
    """The same items and interactions without one modality of some items: their feature rows become NaN.

    Args:
        data: Interactions.
        name: Name of the feature table.
        ids: Item ids, [n].

    Raises:
        InputError: An unknown modality, unknown or forgotten items, or items that lack it already.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [0, 1]]}, features={"image": [[1.0], [2.0]]})
        >>> remove_modality(data, "image", [1]).features["image"].view(-1).tolist()
        [1.0, nan]
    """
    rows = data.plain_ids("item", ids)
    check_modality(data, name, rows)
    gone = torch.zeros_like(data.alive_items)
    gone[rows] = True
    table = data.features[name].masked_fill(gone.view(-1, 1), float("nan"))
    return replace(data, features={**data.features, name: table})


def _without_names(names: tuple[str, ...] | None, rows: Tensor) -> tuple[str, ...] | None:
    if names is None:
        return None
    gone = set(rows.tolist())
    return tuple("" if number in gone else name for number, name in enumerate(names))
