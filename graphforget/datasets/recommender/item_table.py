"""What a table of items says of the items of some interactions: attributes by the items' own names, and what did not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphforget.datasets.recommender.columns import Named, column_of, names_of
from graphforget.datasets.recommender.text_table import Rows
from graphforget.exceptions import InputError
from graphforget.interactions.content import value_text
from graphforget.registry import nearest


@dataclass(frozen=True, eq=False)
class ItemTable:
    """A table of items, matched to interactions by name.

    Attributes:
        names: Names of all items: those of the interactions, then those that only the table knows, unless the order was given.
        rows: For every item the rows of the table that are about it.
        attributes: By column one value, several, or None per item.
        notes: How much of the table matched.
        doubtful: Notes on what is likely a mistake.
    """

    names: tuple[str, ...]
    rows: Sequence[Sequence[int]]
    attributes: Mapping[str, list[Any]]
    notes: tuple[str, ...]
    doubtful: tuple[str, ...]


def match_items(
    table: Rows, column: Any, known: Named, *, fixed: bool, several: Mapping[str, str], skip: Sequence[str] = ()
) -> ItemTable:
    """Match a table of items to the items of interactions.

    Args:
        table: One row per item, or several that say more of it.
        column: Column of the items' names.
        known: The items of the interactions.
        fixed: Whether the items and their order are given, so that the table adds none.
        several: Columns that hold several values, with what stands between them.
        skip: Columns that are read otherwise.

    Raises:
        InputError: No item of the interactions is in the table, or unknown columns.
    """
    if column not in table.frame.columns and table.frame.index.name == column:
        table = Rows(table.frame.reset_index(), table.what)
    for name in several:
        if name not in table.frame.columns:
            known_columns = [str(c) for c in table.frame.columns]
            raise InputError(
                f"several names the column '{name}', which {table.what} has not: {nearest(str(name), known_columns)}"
            )
    about = names_of(table, column, "item")
    place = {name: number for number, name in enumerate(known.names)}
    cold = [name for name in about.names if name not in place]
    matched = len(about.names) - len(cold)
    if not matched:
        raise InputError(_no_match(table, column, known.names, about.names))
    notes: list[str] = list(about.notes)
    doubtful: list[str] = []
    without = len(known.names) - matched
    if without:
        share = f"{without:,} of {len(known.names):,} items of the interactions"
        sentence = f"{share} have no row in {table.what}, so nothing is known of them"
        (doubtful if without * 2 > len(known.names) else notes).append(sentence)
    names = known.names
    if cold and fixed:
        notes.append(f"{len(cold):,} items of {table.what} are not among the items given in order, and are left out")
    elif cold:
        names = (*names, *cold)
        place |= {name: len(place) + number for number, name in enumerate(cold)}
        notes.append(
            f"{len(cold):,} items of {table.what} have no interaction; they come last in the catalogue, and can be recommended"
        )
    rows: list[list[int]] = [[] for _ in names]
    for row, number in enumerate(about.numbers.tolist()):
        if (at := place.get(about.names[number])) is not None:
            rows[at].append(row)
    repeated = sum(len(one) > 1 for one in rows)
    if repeated:
        notes.append(f"{repeated:,} items have several rows in {table.what}; all of their values are kept")
    attributes = {}
    for name in table.frame.columns:
        if name == column or name in skip:
            continue
        attributes[str(name)], hint = _values(table, name, rows, several.get(name))
        notes += hint
    return ItemTable(names, rows, attributes, tuple(notes), tuple(doubtful))


def feature_rows(items: Rows, column: str, rows: Sequence[Sequence[int]]) -> Tensor:
    """A feature row per item from a column of numbers with spaces between them; NaN where an item has none."""
    cells = [str(value).split() for value in column_of(items, column)]
    width = max(map(len, cells), default=0)
    table = torch.full((len(rows), max(width, 1)), float("nan"))
    for number, places in enumerate(rows):
        for row in places[:1]:
            try:
                values = [float(one) for one in cells[row]]
            except ValueError:
                raise InputError(f"the column '{column}' holds something else than numbers ({items.place(row)}).") from None
            if values and len(values) != width:
                raise InputError(
                    f"the column '{column}' has {len(values)} numbers where others have {width} ({items.place(row)})."
                )
            if values:
                table[number] = torch.tensor(values)
    return table


def _values(table: Rows, column: Any, rows: Sequence[Sequence[int]], between: str | None) -> tuple[list[Any], list[str]]:
    """Values of a column per item, and a hint where they look like several in one."""
    cells = [_cell(value, between) for value in column_of(table, column)]
    found: list[Any] = []
    for places in rows:
        values = dict.fromkeys(value for row in places for value in cells[row])
        found.append(tuple(values) if values else None)
    joined = next((value for one in found if one for value in one if "|" in value), None) if between is None else None
    if joined is None:
        return found, []
    return found, [f"values of '{column}' such as '{joined}' are read as one: several={{'{column}': '|'}} reads them as several"]


def _cell(value: Any, between: str | None) -> tuple[str, ...]:
    parts = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    texts = [text for part in parts if (text := value_text(part)) is not None]
    if between is None:
        return tuple(texts)
    return tuple(piece.strip() for text in texts for piece in text.split(between) if piece.strip())


def _no_match(table: Rows, column: Any, items: Sequence[str], about: Sequence[str]) -> str:
    bare = {name.strip().lstrip("0").lower().removesuffix(".0"): name for name in about}
    alike = next(
        ((name, bare[key]) for name in items if (key := name.strip().lstrip("0").lower().removesuffix(".0")) in bare), None
    )
    if alike is not None:
        return (
            f"none of the {len(items):,} items of the interactions is in {table.what}, where '{alike[0]}' seems to be written "
            f"'{alike[1]}': read both columns '{column}' as text, for example pd.read_csv(..., dtype={{'{column}': str}})."
        )
    return (
        f"none of the {len(items):,} items of the interactions is in {table.what}: the interactions have '{items[0]}', the table "
        f"has '{about[0]}'; give the table of these items, or the column that names them as the interactions do."
    )
