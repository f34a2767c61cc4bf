"""Interactions from files and frames: MMRec's and RecBole's formats, CSV, parquet, and any pandas frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from graphforget.datasets.recommender.splits import split_by_time, split_leave_one_out, split_per_user
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.registry import nearest

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["random", "leave_one_out", "time"]


def from_frame(
    frame: pd.DataFrame,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str | None = None,
    rating: str | None = None,
    min_rating: float = 0.0,
    split: Split = "random",
    seed: int = 0,
    items: pd.DataFrame | None = None,
    name: str = "interactions",
) -> Interactions:
    """Interactions from a pandas frame with one row per interaction.

    Users and items may be named by anything; they are numbered in sorted order, and ``user_names`` and ``item_names`` of the
    result hold the names by number.

    Args:
        frame: One row per interaction.
        user: Column of the user.
        item: Column of the item.
        time: Column of the time, for the splits that need it.
        rating: Column of a rating.
        min_rating: Rows with a lower rating are left out.
        split: ``"random"`` (80 / 10 / 10 per user), ``"leave_one_out"`` (in time order where there is a time) or ``"time"``.
        seed: Seed of the split.
        items: A frame about items with the column ``item``; its other columns become attributes.
        name: For reports.

    Raises:
        InputError: A missing column or value, an unknown split, or nothing left.

    Example:
        >>> import pandas as pd
        >>> log = pd.DataFrame({"user_id": ["ann", "bob", "ann"], "item_id": ["x", "x", "y"]})
        >>> data = from_frame(log)
        >>> data.num_users, data.item_names
        (2, ('x', 'y'))
    """
    import pandas as pd

    if split not in ("random", "leave_one_out", "time"):
        raise InputError(f"unknown split '{split}': {nearest(str(split), ['random', 'leave_one_out', 'time'])}")
    wanted = [column for column in (user, item, time, rating) if column is not None]
    _require_columns("the interactions", frame, wanted)
    if bool(frame[wanted].isna().any().any()):
        raise InputError(f"the interactions have missing values in the columns {', '.join(wanted)}: drop those rows first.")
    if rating is not None:
        frame = frame[frame[rating] >= min_rating]
    if not len(frame):
        raise InputError("no interaction is left: the frame is empty, or every rating is below min_rating.")
    users, user_names = pd.factorize(frame[user], sort=True)
    numbers, item_names = pd.factorize(frame[item], sort=True)
    pairs = torch.stack([torch.from_numpy(users).long(), torch.from_numpy(numbers).long()], 1)
    when = None if time is None else _times(frame[time])
    if split == "time" and when is None:
        raise InputError("split='time' needs the column of the time: pass time='timestamp', for example.")
    if split == "time":
        assert when is not None
        parts = split_by_time(pairs, when)
    elif split == "leave_one_out":
        parts = split_leave_one_out(pairs, when, seed=seed)
    else:
        parts = split_per_user(pairs, seed=seed)
    attributes: dict[str, Any] = {}
    if items is not None:
        _require_columns("the items", items, [item])
        about = items.drop_duplicates(item).set_index(item).reindex(item_names)
        attributes = {str(key): [None if pd.isna(v) else v for v in about[key]] for key in about.columns}
    return Interactions.create(
        parts,
        num_users=len(user_names),
        num_items=len(item_names),
        name=name,
        attributes=attributes,
        user_names=list(user_names),
        item_names=list(item_names),
    )


def read_interactions(path: str | Path, **options: Any) -> Interactions:
    """Interactions from a ``.csv``, ``.tsv`` or ``.parquet`` file; options as for :func:`from_frame`.

    Raises:
        InputError: No such file, another kind of file, or see :func:`from_frame`.
    """
    path = Path(path)
    frame = _read_table(path)
    return from_frame(frame, **{"name": path.stem, **options})


def read_recbole(folder: str | Path, name: str | None = None, *, min_rating: float = 0.0, **options: Any) -> Interactions:
    """RecBole's atomic files ``<name>.inter`` and, where it is there, ``<name>.item`` (columns named ``field:type``).

    Item columns become attributes; those of type ``token_seq`` have several values, separated by spaces.

    Args:
        folder: Where the files are.
        name: The dataset's name; by default the folder's.
        min_rating: Rows with a lower rating are left out, where there is a column ``rating``.
        **options: ``split`` and ``seed`` of :func:`from_frame`.

    Raises:
        InputError: No such files, or columns that are not named as RecBole names them.
    """
    folder = Path(folder)
    name = name or folder.name
    frame = _atomic(folder / f"{name}.inter")
    about = folder / f"{name}.item"
    given = {"time": "timestamp" if "timestamp" in frame.columns else None, "rating": None, "name": name}
    if "rating" in frame.columns:
        given["rating"] = "rating"
    items = _atomic(about) if about.is_file() else None
    return from_frame(frame, min_rating=min_rating, items=items, **{**given, **options})


def read_mmrec(
    folder: str | Path,
    name: str | None = None,
    *,
    features: Mapping[str, str] | None = None,
    columns: tuple[str, str, str] = ("userID", "itemID", "x_label"),
) -> Interactions:
    """MMRec's format: ``<name>.inter`` with users, items and the part (0 train, 1 val, 2 test), and ``<modality>_feat.npy``.

    Row k of a feature file belongs to item k. As MMRec does, validation and test interactions of users whom training does not
    know are dropped (Zhou, "MMRec", arXiv:2302.03497).

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
    frame = _read_table(folder / f"{name}.inter", separator="\t")
    _require_columns(f"'{name}.inter'", frame, list(columns))
    rows = torch.from_numpy(frame[list(columns)].to_numpy("int64"))
    if not bool(torch.isin(rows[:, 2], torch.tensor([0, 1, 2])).all()):
        raise InputError(f"the column '{columns[2]}' of '{name}.inter' must hold 0 (train), 1 (val) or 2 (test).")
    parts = {part: rows[rows[:, 2] == number, :2] for number, part in enumerate(("train", "val", "test"))}
    known = torch.unique(parts["train"][:, 0])
    parts = {part: pairs if part == "train" else pairs[torch.isin(pairs[:, 0], known)] for part, pairs in parts.items()}
    files = features or {path.name.removesuffix("_feat.npy"): path.name for path in sorted(folder.glob("*_feat.npy"))}
    tables: dict[str, Tensor] = {}
    for modality, file in files.items():
        try:
            tables[modality] = torch.from_numpy(np.load(folder / file, allow_pickle=False).astype("float32"))
        except (OSError, ValueError) as error:
            raise InputError(f"'{folder / file}' is not a readable array of features ({error}).") from None
    num_items = max([int(rows[:, 1].max()) + 1, *(len(table) for table in tables.values())])
    return Interactions.create(parts, num_users=int(rows[:, 0].max()) + 1, num_items=num_items, name=name, features=tables)


# ---- help -------------------------------------------------------------------------------------------------
def _read_table(path: Path, separator: str | None = None) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise InputError(f"there is no file '{path}'.")
    if path.suffix == ".parquet":
        try:
            return pd.read_parquet(path)
        except ImportError:
            raise InputError(f"'{path}' needs pyarrow to be read: pip install pyarrow, or save it as .csv.") from None
        except (OSError, ValueError) as error:
            raise InputError(f"'{path}' cannot be read as a parquet file ({error}).") from None
    separators = {".csv": ",", ".tsv": "\t"}
    if separator is None and path.suffix not in separators:
        raise InputError(f"'{path}' has the ending '{path.suffix}': give a .csv, .tsv or .parquet file.")
    try:
        return pd.read_csv(path, sep=separator or separators[path.suffix])
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as a table ({error}).") from None


def _atomic(path: Path) -> pd.DataFrame:
    """A RecBole file with plain column names and every ``token_seq`` as a list."""
    frame = _read_table(path, separator="\t")
    if not all(":" in str(column) for column in frame.columns):
        raise InputError(f"the columns of '{path}' must be named field:type, as in user_id:token; got {list(frame.columns)}.")
    for column in frame.columns:
        if str(column).endswith(":token_seq"):
            frame[column] = [None if value != value else tuple(str(value).split()) for value in frame[column]]
    return frame.rename(columns=lambda column: str(column).split(":")[0])


def _require_columns(what: str, frame: pd.DataFrame, wanted: list[str]) -> None:
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise InputError(f"{what} have no column '{missing[0]}': {nearest(missing[0], [str(c) for c in frame.columns])}")


def _times(column: Any) -> Tensor:
    """Times as numbers; dates, also ISO 8601 text, become nanoseconds."""
    import numpy as np
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column):
        try:
            column = pd.to_datetime(column, format="ISO8601").astype("int64")
        except (ValueError, TypeError) as error:
            raise InputError(f"the time column holds neither numbers nor dates ({error}).") from None
    values = torch.from_numpy(np.array(column.to_numpy()))  # a copy: pandas hands out arrays that must not be written to
    return values if values.is_floating_point() else values.long()
