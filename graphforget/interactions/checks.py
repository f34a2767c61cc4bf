"""What interactions are made of, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from graphforget.base.tables import checked_tables, empty_table
from graphforget.exceptions import InputError
from graphforget.requests import as_ids, show_ids
from graphforget.requests.keys import key_rows, row_keys

RESERVED = frozenset({"user_id", "item_id", "graph", "self"})  # what tasks pass to a model


def clean_parts(splits: Any) -> tuple[dict[str, Tensor], int]:
    """Pairs by part, sorted and unique, and how many were given.

    Raises:
        InputError: No mapping with training pairs, or rows that are no pairs.
    """
    if not isinstance(splits, Mapping) or "train" not in splits:
        raise InputError(
            "splits must be a mapping with at least 'train', for example "
            "{'train': pairs, 'val': pairs, 'test': pairs} with pairs of shape [n, 2]."
        )
    clean: dict[str, Tensor] = {}
    given = 0
    for part, pairs in splits.items():
        if torch.as_tensor(pairs).numel():
            clean[part] = as_ids(pairs, "interaction")
            given += len(pairs)
        elif part == "train":
            raise InputError("split 'train' is empty: a recommender needs at least one interaction to learn from.")
        else:
            clean[part] = torch.empty((0, 2), dtype=torch.long)
    return clean, given


def sizes_of_parts(pairs: Tensor, num_users: int | None, num_items: int | None) -> tuple[int, int]:
    """Numbers of users and items: as given, else as many as the largest id asks for.

    Raises:
        InputError: An id beyond what was given.
    """
    sizes = []
    for column, (what, size) in enumerate((("user", num_users), ("item", num_items))):
        largest = int(pairs[:, column].max())
        if size is not None and largest >= size:
            raise InputError(f"the interactions name {what} {largest}, but num_{what}s is {size}: ids must lie in 0..{size - 1}.")
        sizes.append(largest + 1 if size is None else int(size))
    return sizes[0], sizes[1]


def check_disjoint(parts: Mapping[str, Tensor], sizes: tuple[int, int]) -> None:
    """Refuse a pair in two parts.

    Raises:
        InputError: There is one.
    """
    keys = row_keys(torch.cat(list(parts.values())), sizes).sort().values
    twice = torch.unique(keys[1:][keys[1:] == keys[:-1]])
    if len(twice):
        raise InputError(
            f"interactions {show_ids(key_rows(twice, sizes))} are in more than one split: keep each pair in one of "
            f"{', '.join(parts)}."
        )


def alive_marks(what: str, size: int, absent: Any, used: Tensor) -> Tensor:
    """Which ids stand for something, bool [size].

    Raises:
        InputError: Absent ids that are out of range, or that interactions name.
    """
    alive = torch.ones(size, dtype=torch.bool)
    if not isinstance(absent, Tensor) and not len(absent):
        return alive
    gone = as_ids(absent, what)
    if int(gone.max()) >= size:
        raise InputError(f"absent_{what}s names {what} {int(gone.max())}, but there are {size} {what}s.")
    alive[gone] = False
    if bool((~alive[used]).any()):
        raise InputError(f"{what}s {show_ids(torch.unique(used[~alive[used]]))} have interactions, and are said to be absent.")
    return alive


def as_own_names(what: str, names: Sequence[Any] | None, alive: Tensor) -> tuple[str, ...] | None:
    """Names by id as text, "" where nothing stands.

    Raises:
        InputError: Not one per id, or one name twice.
    """
    if names is None:
        return None
    if len(names) != len(alive):
        raise InputError(f"{what}_names has {len(names)} names, but there are {len(alive)} {what}s.")
    text = tuple(str(name) if there else "" for name, there in zip(names, alive.tolist(), strict=True))
    twice = [name for name, count in Counter(text).items() if name and count > 1]
    if twice:
        more = f" and {len(twice) - 1} more names stand twice" if len(twice) > 1 else ""
        raise InputError(f"{text.count(twice[0])} {what}s are named '{twice[0]}'{more}: give every {what} a name of its own.")
    return text


def as_side_tables(what: str, tables: Any, alive: Tensor) -> dict[str, Tensor]:
    """Tables with one row per user or item, rows of absent ones emptied; see :func:`~graphforget.base.tables.checked_tables`."""
    found = checked_tables(tables, len(alive), what, reserved=RESERVED)
    return {name: empty_table(table, ~alive) for name, table in found.items()} if not bool(alive.all()) else found


def note_gaps(what: str, alive: Tensor, known: Sequence[Tensor], named: bool) -> list[str]:
    """A note where there are ids of which nothing is known, as where raw ids were given for numbers from 0.

    Args:
        what: ``"user"`` or ``"item"``.
        alive: Which ids stand for something.
        known: Ids, or masks, of what something is known of.
        named: Whether all have names.
    """
    seen = ~alive if not named else torch.ones_like(alive)
    for ids in known:
        seen[ids] = True
    unknown = (~seen).nonzero().view(-1)
    if not len(unknown):
        return []
    role = "may be recommended" if what == "item" else "have nothing to learn from"
    return [
        f"ids of {what}s run to {len(alive) - 1}, but nothing is known of {len(unknown):,} of them ({show_ids(unknown)}), which "
        f"count as {what}s and {role}: number {what}s without gaps, as from_frame does, or pass absent_{what}s=[...]; "
        f"num_{what}s= says that they exist"
    ]
