"""Columns of a table of interactions as what they mean: names of users and items, ratings, times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphforget.datasets.recommender.text_table import Rows
from graphforget.exceptions import InputError
from graphforget.registry import nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_EXACT = 2**53  # whole numbers beyond it are not told apart by floats
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, eq=False)
class Named:
    """A column of names, numbered.

    Attributes:
        numbers: [n] int64.
        names: Names by number, in sorted order.
        notes: What a reader should know of them.
    """

    numbers: Tensor
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def renumbered(self, order: tuple[str, ...], column: str) -> Named:
        """The same rows, numbered by the place of their name in ``order``.

        Raises:
            InputError: A name is not in it.
        """
        place = {name: number for number, name in enumerate(order)}
        unknown = [name for name in self.names if name not in place]
        if unknown:
            raise InputError(
                f"'{unknown[0]}' of the column '{column}' is not among the names given in order ({len(unknown)} are not): they "
                f"must be all that the model has rows for."
            )
        new = torch.tensor([place[name] for name in self.names], dtype=torch.long)
        return Named(new[self.numbers], order, self.notes)


def column_of(rows: Rows, column: Any) -> pd.Series:
    """One column.

    Raises:
        InputError: There is none, or several of this name; the nearest are listed.
    """
    if column not in rows.frame.columns:
        known = [str(name) for name in rows.frame.columns]
        bare = rows.is_text and any(_numeric(name) for name in known)
        more = " If it has no header, name its columns with columns=['user_id', 'item_id', ...]." if bare else ""
        raise InputError(f"{rows.what} has no column '{column}': {nearest(str(column), known)}{more}")
    found = rows.frame[column]
    if found.ndim > 1:
        raise InputError(f"{rows.what} has {found.shape[1]} columns named '{column}': rename all but one.")
    return found


def names_of(rows: Rows, column: Any, kind: str) -> Named:
    """A column of ids as names: text as it stands, whole numbers in digits.

    Numbers are sorted as numbers, everything else as it sorts itself.

    Raises:
        InputError: Missing ids, decimals, or ids of different types that are written alike.
    """
    import numpy as np
    import pandas as pd

    found = column_of(rows, column)
    refuse_missing(rows, column, f"a {kind}" if kind == "user" else f"an {kind}")
    numbers, unique = pd.factorize(found, sort=not rows.is_text)
    values = [value.item() if isinstance(value, np.generic) else value for value in unique]
    texts = [_name(value, kind, column) for value in values]
    seen: dict[str, Any] = {}
    for value, text in zip(values, texts, strict=True):
        if text in seen:
            raise InputError(
                f"the column '{column}' of {rows.what} has the {kind} {text} as {type(seen[text]).__name__} and as "
                f"{type(value).__name__}: make them one type, for example with .astype(str)."
            )
        seen[text] = value
    if rows.is_text:
        whole = all(_WHOLE.fullmatch(text) for text in texts)
        order = sorted(range(len(texts)), key=lambda k: int(texts[k]) if whole else texts[k])  # type: ignore[arg-type,return-value]
        place = torch.empty(len(order), dtype=torch.long)
        place[torch.tensor(order, dtype=torch.long)] = torch.arange(len(order))
        numbered, names = place[torch.from_numpy(numbers).long()], tuple(texts[k] for k in order)
    else:
        numbered, names = torch.from_numpy(numbers).long(), tuple(texts)
    notes = []
    if any(isinstance(value, float) for value in values):
        notes.append(f"the {kind}s are whole numbers kept as decimals, and are named without them, as '{texts[0]}'")
    spaced = [text for text in texts if text != text.strip()]
    if spaced:
        notes.append(f"{len(spaced)} {kind}s have a space before or after their name, as '{spaced[0]}'; it belongs to the name")
    return Named(numbered, names, tuple(notes))


def _name(value: Any, kind: str, column: Any) -> str:
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= _EXACT:
            raise InputError(f"the column '{column}' names {kind}s by decimals such as {value}: give text or whole numbers.")
        return str(int(value))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"the column '{column}' names {kind}s by bytes that are no UTF-8 text: decode them first.") from None
    return str(value)


def refuse_missing(rows: Rows, column: Any, what: str) -> None:
    """Refuse rows without a value.

    Raises:
        InputError: There are some; how many, and where the first is.
    """
    import pandas as pd

    found = column_of(rows, column)
    missing = found.isna()
    if pd.api.types.is_string_dtype(found) or pd.api.types.is_object_dtype(found):
        missing |= found == ""
    if bool(missing.any()):
        first, count = int(missing.to_numpy().argmax()), int(missing.sum())
        way = (
            "mend or remove them"
            if rows.is_text
            else f"drop those rows first, with frame.dropna(subset=['{column}']), or fill them"
        )
        raise InputError(
            f"{count} of {len(found)} rows have missing values in the column '{column}', where {what} is needed; the first is "
            f"{rows.place(first)}: {way}."
        )


def numbers_of(rows: Rows, column: Any, what: str) -> np.ndarray[Any, Any]:
    """A column of numbers, int64 where all are whole, else float64.

    Raises:
        InputError: Missing values, or something else than numbers; where the first is.
    """
    import pandas as pd

    refuse_missing(rows, column, what)
    found = column_of(rows, column)
    if pd.api.types.is_bool_dtype(found):
        return found.to_numpy("int64")
    if pd.api.types.is_numeric_dtype(found):
        return found.to_numpy("int64" if pd.api.types.is_integer_dtype(found) else "float64")
    numbers = pd.to_numeric(found, errors="coerce")
    bad = numbers.isna()
    if bool(bad.any()):
        first = int(bad.to_numpy().argmax())
        raise InputError(
            f"'{found.iloc[first]}' in the column '{column}' is no number, where {what} is needed ({rows.place(first)})."
        )
    return numbers.to_numpy("int64" if pd.api.types.is_integer_dtype(numbers) else "float64")


def times_of(rows: Rows, column: Any) -> Tensor:
    """A column of times as numbers that sort as they do: numbers exactly as they stand, dates by their instant.

    Raises:
        InputError: Missing values, neither numbers nor dates written year first, or numbers whose precision is lost.
    """
    import numpy as np
    import pandas as pd

    refuse_missing(rows, column, "a time")
    found = column_of(rows, column)
    if str(found.dtype).lower() in ("float32", "float16") and float(found.abs().max()) >= 2**24:
        raise InputError(
            f"the column '{column}' keeps times such as {float(found.iloc[0]):.0f} as {found.dtype}, which does not tell seconds "
            f"apart: read it as int64 or float64."
        )
    if pd.api.types.is_numeric_dtype(found) or _numeric(found.iloc[0]):
        return torch.from_numpy(np.array(numbers_of(rows, column, "a time")))
    try:
        text = pd.api.types.is_string_dtype(found) or isinstance(found.iloc[0], str)
        dates = pd.to_datetime(found, format="ISO8601", utc=True) if text else pd.to_datetime(found, utc=True)
    except (ValueError, TypeError):
        raise InputError(
            f"the time column '{column}' holds neither numbers nor dates written year first, for example '{found.iloc[0]}': "
            f"convert it, for example with pd.to_datetime(frame['{column}'], dayfirst=True)."
        ) from None
    return torch.from_numpy(np.array(dates.astype("int64").to_numpy()))


def _numeric(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
