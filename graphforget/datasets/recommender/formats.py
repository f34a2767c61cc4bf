"""Interactions from frames and text tables with one row per interaction.

Nothing is guessed: names of users and items are text as it stands ("007" is not "7", "NA" is a name), a table that does not match
is refused, and what a format holds that interactions do not is said, with counts, in the notes of the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from graphforget.datasets.recommender.columns import Named, column_of, names_of, numbers_of, times_of
from graphforget.datasets.recommender.item_table import feature_rows, match_items
from graphforget.datasets.recommender.splits import split_by_time, split_leave_one_out, split_per_user
from graphforget.datasets.recommender.text_table import Rows, read_rows
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.registry import nearest

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["random", "leave_one_out", "time"]

_WEIGHTS = frozenset(  # names of columns that say how much, or whether, a user liked an item
    ["rating", "ratings", "label", "labels", "click", "clicks", "weight", "weights", "play", "plays", "playcount", "play_count"]
    + ["count", "counts", "score", "scores", "star", "stars", "confidence", "value", "like", "likes", "liked", "listens", "views"]
    + ["purchases", "watch_ratio"]
)


def from_frame(
    frame: pd.DataFrame,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str | None = None,
    rating: str | None = None,
    min_rating: float | None = None,
    ignore: Sequence[str] = (),
    split: Split = "random",
    seed: int = 0,
    items: pd.DataFrame | None = None,
    several: Mapping[str, str] | None = None,
    user_names: Sequence[Any] | None = None,
    item_names: Sequence[Any] | None = None,
    name: str = "interactions",
) -> Interactions:
    """Interactions from a pandas frame with one row per interaction.

    Users and items may be named by anything; they are numbered in sorted order, and ``user_names`` and ``item_names`` of the
    result hold the names by number. An interaction is a pair without a weight: what the frame says beyond that is not kept, and
    ``notes`` of the result say what was not, with counts.

    Args:
        frame: One row per interaction.
        user: Column of the user.
        item: Column of the item.
        time: Column of the time, for the splits that need it: numbers, or dates written year first.
        rating: Column of a rating, a label, or a number of plays: rows with one of 0 or below are no interaction.
        min_rating: Instead, rows with a lower rating are none. Users and items that lose all of their rows keep their numbers.
        ignore: Columns of numbers that are not to be taken for ratings, so that every row is an interaction.
        split: ``"random"`` (80 / 10 / 10 per user), ``"leave_one_out"`` (in time order where there is a time, ties in the order
            of the rows) or ``"time"``.
        seed: Seed of the split.
        items: A frame about items with the column ``item``; its other columns become attributes. Items that only it knows come
            last in the catalogue.
        several: Columns of ``items`` that hold several values, with what stands between them, e.g. ``{"genre": "|"}``.
        user_names: All users in the order of the rows of your model, where that is not the sorted one.
        item_names: All items, likewise.
        name: For reports.

    Raises:
        InputError: A missing column or value, ids that are decimals, numbers that look like a rating and are not said to be one,
            a table of items that none of the interactions' items is in, an unknown split, or nothing left.

    Example:
        >>> import pandas as pd
        >>> log = pd.DataFrame({"user_id": ["ann", "bob", "ann"], "item_id": ["x", "x", "y"]})
        >>> data = from_frame(log)
        >>> data.num_users, data.item_names
        (2, ('x', 'y'))
    """
    return interactions_of(
        Rows(frame, "the interactions"),
        user=user,
        item=item,
        time=time,
        rating=rating,
        min_rating=min_rating,
        ignore=ignore,
        split=split,
        seed=seed,
        items=None if items is None else Rows(items, "the item table"),
        several=several or {},
        order={"user": user_names, "item": item_names},
        name=name,
    )


def read_interactions(
    path: str | Path,
    *,
    separator: str | None = None,
    encoding: str = "utf-8",
    header: bool | None = None,
    columns: Sequence[str] | None = None,
    quote: str | None = '"',
    items: str | Path | pd.DataFrame | None = None,
    item_columns: Sequence[str] | None = None,
    **options: Any,
) -> Interactions:
    """Interactions from a text table (``.csv``, ``.tsv``, any other with ``separator``; also ``.gz``) or a ``.parquet`` file.

    Fields of text tables are read as text: ids are names as they stand there. A line with more or fewer fields than there are
    columns is refused.

    Args:
        path: The file.
        separator: Between fields, of one or more characters, e.g. ``"::"``; by default a comma in ``.csv``, a tab in ``.tsv``.
        encoding: Of the text, e.g. ``"latin-1"``.
        header: Whether the first line names the columns; by default it does, unless ``columns`` does.
        columns: Names of the columns of a file without a header.
        quote: What encloses a field that holds the separator; None where quotation marks are text.
        items: A frame or a file about items, read with the same separator and encoding.
        item_columns: Names of its columns, where it has no header.
        **options: As for :func:`from_frame`. With ``header=False`` and no ``columns``, columns are numbers from 0.

    Raises:
        InputError: No such file, an unreadable one, or see :func:`from_frame`.

    Example:
        >>> import tempfile
        >>> file = tempfile.mkdtemp() + "/ratings.dat"
        >>> _ = open(file, "w").write("1::1193::5\\n1::661::2\\n2::1193::4\\n")
        >>> columns = ("user_id", "item_id", "rating")
        >>> data = read_interactions(file, separator="::", columns=columns, rating="rating", min_rating=3)
        >>> data.item_names, sum(len(part) for part in data.splits.values())
        (('661', '1193'), 2)
    """
    numbered = [name for name in ("user", "item", "time", "rating") if isinstance(options.get(name), int)]
    if numbered and header is None:
        raise InputError(
            f"the column of {numbered[0]} is given by number: say header=False if the first line is an interaction already, or "
            f"header=True if it names the columns."
        )
    path = Path(path)
    how: dict[str, Any] = {"separator": separator, "encoding": encoding, "quote": quote}
    rows = read_rows(path, header=header, columns=columns, **how)
    for name in numbered if header else []:
        if not 0 <= options[name] < rows.frame.shape[1]:
            raise InputError(f"{rows.what} has columns 0 to {rows.frame.shape[1] - 1}, and none with the number {options[name]}.")
        options[name] = rows.frame.columns[options[name]]
    if isinstance(items, (str, Path)):
        table: Rows | None = read_rows(items, columns=item_columns, **how)
    else:
        table = None if items is None else Rows(items, "the item table")
    return interactions_of(rows, items=table, **all_options(options, Path(path.stem).stem if path.suffix == ".gz" else path.stem))


# ---- help -------------------------------------------------------------------------------------------------
def interactions_of(
    rows: Rows,
    *,
    user: Any,
    item: Any,
    time: Any,
    rating: Any,
    min_rating: float | None,
    ignore: Sequence[str],
    split: Split,
    seed: int,
    items: Rows | None,
    several: Mapping[str, str],
    order: Mapping[str, Sequence[Any] | None],
    name: str,
    part: Sequence[str] | None = None,
    sequences: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Interactions:
    """Interactions from rows; ``part`` says in which part each row stands, ``sequences`` are columns of item features."""
    if split not in ("random", "leave_one_out", "time"):
        raise InputError(f"unknown split '{split}': {nearest(str(split), ['random', 'leave_one_out', 'time'])}")
    for column in (user, item, *(one for one in (time, rating) if one is not None), *ignore):
        column_of(rows, column)
    if not len(rows.frame):
        raise InputError(f"{rows.what} have no rows: no interaction is left.")
    said, doubtful = list(notes), []
    users, things = _numbered(rows, user, "user", order), _numbered(rows, item, "item", order)
    said += [*users.notes, *things.notes]
    keep, sentences = _wanted(rows, rating, min_rating, [user, item, time, *ignore])
    said += sentences[0]
    doubtful += sentences[1]
    pairs = torch.stack([users.numbers, things.numbers], 1)[keep]
    if not len(pairs):
        raise InputError("no interaction is left: every rating is below min_rating, or 0 or below.")
    when = None if time is None else times_of(rows, time)[keep]
    if split == "time" and when is None and part is None:
        raise InputError("split='time' needs the column of the time: pass time='timestamp', for example.")
    distinct = len(torch.unique(pairs, dim=0))
    if distinct < len(pairs):
        doubtful.append(f"{len(pairs) - distinct:,} of {len(pairs):,} rows repeat an interaction, which counts once")
    if part is not None:
        parts, lost = _given_parts(pairs, [one for one, kept in zip(part, keep.tolist(), strict=True) if kept]), 0
    else:
        parts = _split(pairs, when, split, seed)
        lost = distinct - sum(map(len, parts.values()))
    said += dropped(lost)
    said += [
        f"{len(one.names) - len(left):,} of {len(one.names):,} {kind}s have no interaction that counts; they keep their numbers"
        for kind, one, left in (("user", users, pairs[:, 0].unique()), ("item", things, pairs[:, 1].unique()))
        if len(left) < len(one.names)
    ]
    attributes: Mapping[str, list[Any]] = {}
    features: dict[str, Tensor] = {}
    names = things.names
    if items is not None:
        match = match_items(items, item, things, fixed=order["item"] is not None, several=several, skip=sequences)
        attributes, names = match.attributes, match.names
        said += match.notes
        doubtful += match.doubtful
        features = {column: feature_rows(items, column, match.rows) for column in sequences}
    data = Interactions.create(
        parts,
        num_users=len(users.names),
        num_items=len(names),
        name=name,
        attributes=attributes,
        features=features,
        user_names=list(users.names),
        item_names=list(names),
    )
    return data.noted(*said).noted(*doubtful, warn=True)


def all_options(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Every keyword of :func:`interactions_of` but ``items``, from options of :func:`from_frame`."""
    import inspect

    known = {key: one.default for key, one in inspect.signature(from_frame).parameters.items() if one.default is not one.empty}
    for key in options:
        if key not in known or key == "items":
            raise InputError(f"there is no option '{key}': {nearest(key, sorted(set(known) - {'items'}))}")
    full: dict[str, Any] = known | {"name": name} | dict(options)
    del full["items"]
    full["several"] = full["several"] or {}
    return full | {"order": {"user": full.pop("user_names"), "item": full.pop("item_names")}}


def _numbered(rows: Rows, column: Any, kind: str, order: Mapping[str, Sequence[Any] | None]) -> Named:
    found, given = names_of(rows, column, kind), order[kind]
    return found if given is None else found.renumbered(tuple(str(name) for name in given), str(column))


def _wanted(rows: Rows, rating: Any, min_rating: float | None, used: list[Any]) -> tuple[Tensor, tuple[list[str], list[str]]]:
    """Which rows are interactions, bool [n]; what was asked for and is noted, and what should be looked at."""
    unread = [str(column) for column in rows.frame.columns if column not in used and column != rating]
    numbers = [c for c in unread if rating is None and c.lower() in _WEIGHTS and _is_numeric(rows, c)]
    other = [column for column in unread if column not in numbers]
    said, doubtful = [f"not read of {rows.what}: {', '.join(other)}"] if other else [], []
    if rating is None:
        if min_rating is not None:
            raise InputError("min_rating needs the column of the rating: pass rating='rating', for example.")
        for column in numbers:
            values = numbers_of(rows, column, "a number")
            low = int((values <= 0).sum())
            if low:
                raise InputError(
                    f"the column '{column}' has {low:,} of {len(values):,} rows with 0 or below: pass rating='{column}', and "
                    f"they are no interaction, or ignore=['{column}'], and every row is one."
                )
            doubtful.append(
                f"the column '{column}' ({values.min():g} to {values.max():g}) is not read: every row counts as one interaction, "
                f"without a weight"
            )
        return torch.ones(len(rows.frame), dtype=torch.bool), (said, doubtful)
    values = numbers_of(rows, rating, "a rating")
    keep = values > 0 if min_rating is None else values >= min_rating
    gone = int((~keep).sum())
    if gone and min_rating is None:
        doubtful.append(f"{gone:,} of {len(keep):,} rows have a '{rating}' of 0 or below, and are no interaction")
    elif gone:
        said.append(f"{gone:,} of {len(keep):,} rows have a '{rating}' below {min_rating:g}, and are left out")
    if len(set(values[keep].tolist()[:10_000])) > 1:
        most = f"{values[keep].min():g} to {values[keep].max():g}"
        said.append(f"values of '{rating}' ({most}) are not kept: an interaction has no weight")
    return torch.from_numpy(keep), (said, doubtful)


def _is_numeric(rows: Rows, column: str) -> bool:
    import pandas as pd

    return bool(pd.to_numeric(rows.frame[column], errors="coerce").notna().all())


def _split(pairs: Tensor, when: Tensor | None, split: Split, seed: int) -> dict[str, Tensor]:
    if split == "time":
        assert when is not None
        return split_by_time(pairs, when)
    if split == "random":
        return split_per_user(pairs, seed=seed)
    if when is not None:  # the place in time order, so that ties keep the order of the rows
        place = torch.empty(len(when), dtype=torch.long)
        place[torch.argsort(when, stable=True)] = torch.arange(len(when))
        when = place
    return split_leave_one_out(pairs, when, seed=seed)


def _given_parts(pairs: Tensor, part: Sequence[str]) -> dict[str, Tensor]:
    names = list(dict.fromkeys(part))
    number = torch.tensor([names.index(one) for one in part])
    return {one: pairs[number == k] for k, one in enumerate(names)}


def dropped(count: int) -> list[str]:
    return [f"{count:,} held-out interactions of users without a training interaction are dropped"] if count else []
