"""Interactions from the files of RecBole and MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphforget.datasets.recommender.columns import numbers_of
from graphforget.datasets.recommender.formats import all_options, dropped, interactions_of
from graphforget.datasets.recommender.text_table import Rows, read_rows
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions


def read_recbole(
    folder: str | Path,
    name: str | None = None,
    *,
    min_rating: float | None = None,
    separator: str = "\t",
    encoding: str = "utf-8",
    quote: str | None = '"',
    **options: Any,
) -> Interactions:
    """RecBole's atomic files ``<name>.inter`` and, where it is there, ``<name>.item`` (columns named ``field:type``).

    Tokens are text as it stands. Columns of ``.item`` become attributes: those of type ``token_seq`` have several values,
    separated by spaces, and those of type ``float_seq`` become features. Rows whose ``rating`` or ``label`` is 0 or below are no
    interaction. Files ``<name>.train.inter``, ``<name>.valid.inter`` and ``<name>.test.inter`` are parts that are kept.

    Args:
        folder: Where the files are.
        name: The dataset's name; by default the folder's.
        min_rating: Rows with a lower rating are left out, where there is a column ``rating``.
        separator: Between fields.
        encoding: Of the text.
        quote: What encloses a field that holds the separator; None where quotation marks are text.
        **options: As for :func:`from_frame`; columns are named without their type.

    Raises:
        InputError: No such files, columns that are not named as RecBole names them, or see :func:`from_frame`.
    """
    folder = Path(folder)
    name = name or folder.name
    how: dict[str, Any] = {"separator": separator, "encoding": encoding, "quote": quote}
    rows, part = _inter(folder, name, how)
    about = folder / f"{name}.item"
    columns = list(rows.frame.columns)
    if "rating" in columns and "label" in columns and "rating" not in options:
        raise InputError(f"'{name}.inter' has a rating and a label: say rating='rating' or rating='label'.")
    found = next((column for column in ("rating", "label") if column in columns), None)
    given: dict[str, Any] = {"time": "timestamp" if "timestamp" in columns else None, "rating": found} | options
    items = _atomic(about, how) if about.is_file() else None
    notes = (
        (f"'{name}.user' is not read: interactions know no attributes of users",) if (folder / f"{name}.user").is_file() else ()
    )
    sequences: list[str] = []
    if items is not None:
        kinds = {str(c).partition(":")[0]: str(c).partition(":")[2] for c in items.frame.columns}
        items = Rows(items.frame.rename(columns=lambda c: str(c).partition(":")[0]), items.what, items.lines)
        sequences = [column for column, kind in kinds.items() if kind == "float_seq"]
        given["several"] = {column: " " for column, kind in kinds.items() if kind == "token_seq"} | dict(
            given.get("several") or {}
        )
    return interactions_of(
        rows, items=items, part=part, sequences=sequences, notes=notes, **all_options(given | {"min_rating": min_rating}, name)
    )


def read_mmrec(
    folder: str | Path,
    name: str | None = None,
    *,
    features: Mapping[str, str] | None = None,
    columns: tuple[str, str, str] = ("userID", "itemID", "x_label"),
) -> Interactions:
    """MMRec's format: ``<name>.inter`` with users, items and the part (0 train, 1 val, 2 test), and ``<modality>_feat.npy``.

    Users and items are numbers from 0: row k of a feature file belongs to item k. As MMRec does, validation and test interactions
    of users whom training does not know are dropped (Zhou, "MMRec", arXiv:2302.03497); the notes say how many.

    Args:
        folder: Where the files are.
        name: The dataset's name; by default the folder's.
        features: Modality to file name; by default every ``*_feat.npy`` of the folder.
        columns: Names of the columns of user, item and part.

    Raises:
        InputError: No such files, labels other than 0, 1 and 2, or features that do not fit the items.
    """
    import numpy as np

    folder = Path(folder)
    name = name or folder.name
    table = read_rows(folder / f"{name}.inter")
    found = [numbers_of(table, column, what) for column, what in zip(columns, ("a user", "an item", "a part"), strict=True)]
    if any(column.dtype.kind == "f" for column in found):
        raise InputError(f"the columns {', '.join(columns)} of '{name}.inter' must hold whole numbers.")
    rows = torch.from_numpy(np.stack(found, 1))
    if not bool(torch.isin(rows[:, 2], torch.tensor([0, 1, 2])).all()):
        raise InputError(f"the column '{columns[2]}' of '{name}.inter' must hold 0 (train), 1 (val) or 2 (test).")
    parts = {part: rows[rows[:, 2] == number, :2] for number, part in enumerate(("train", "val", "test"))}
    known = torch.unique(parts["train"][:, 0])
    kept = {part: pairs if part == "train" else pairs[torch.isin(pairs[:, 0], known)] for part, pairs in parts.items()}
    files = features or {path.name.removesuffix("_feat.npy"): path.name for path in sorted(folder.glob("*_feat.npy"))}
    tables: dict[str, Tensor] = {}
    for modality, file in files.items():
        try:
            tables[modality] = torch.from_numpy(np.load(folder / file, allow_pickle=False).astype("float32"))
        except (OSError, ValueError) as error:
            raise InputError(f"'{folder / file}' is not a readable array of features ({error}).") from None
    num_items = max([int(rows[:, 1].max()) + 1, *(len(table) for table in tables.values())])
    notes = dropped(sum(map(len, parts.values())) - sum(map(len, kept.values())))
    data = Interactions.create(kept, num_users=int(rows[:, 0].max()) + 1, num_items=num_items, name=name, features=tables)
    return data.noted(*notes)


# ---- help -------------------------------------------------------------------------------------------------
def _inter(folder: Path, name: str, how: Mapping[str, Any]) -> tuple[Rows, list[str] | None]:
    """Rows of ``.inter``, or of the three benchmark files with the part of every row."""
    import pandas as pd

    whole = folder / f"{name}.inter"
    parts = {part: folder / f"{name}.{file}.inter" for part, file in (("train", "train"), ("val", "valid"), ("test", "test"))}
    there = {part: path for part, path in parts.items() if path.is_file()}
    if whole.is_file() or not there:
        if not whole.is_file() and (others := sorted(path.name for path in folder.glob(f"{name}.*.inter"))):
            raise InputError(
                f"there is no file '{whole}', but {', '.join(others)}: name the parts {name}.train.inter, {name}.valid.inter and "
                f"{name}.test.inter."
            )
        rows = _atomic(whole, how)
        return replace(rows, frame=rows.frame.rename(columns=lambda c: str(c).partition(":")[0])), None
    if "train" not in there:
        raise InputError(f"there is no file '{parts['train']}': a recommender needs interactions to learn from.")
    read = {part: _atomic(path, how) for part, path in there.items()}
    frames = [rows.frame.rename(columns=lambda c: str(c).partition(":")[0]) for rows in read.values()]
    if any(list(frame.columns) != list(frames[0].columns) for frame in frames):
        raise InputError(f"the parts of '{name}' have different columns: {' and '.join(path.name for path in there.values())}.")
    part = [one for one, rows in read.items() for _ in range(len(rows.frame))]
    lines = [line for rows in read.values() for line in rows.lines or ()]
    return Rows(pd.concat(frames, ignore_index=True), f"the files of '{name}'", lines), part


def _atomic(path: Path, how: Mapping[str, Any]) -> Rows:
    """A RecBole file."""
    rows = read_rows(path, **how)
    if not all(":" in str(column) for column in rows.frame.columns):
        got = ", ".join(map(str, rows.frame.columns))
        raise InputError(f"the columns of '{path}' must be named field:type, as in user_id:token; got {got}.")
    return rows
