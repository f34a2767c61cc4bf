"""Tables in text files, read as text: every field as it stands, every line checked, every fault named by its line."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphforget.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".item": "\t", ".user": "\t"}
_LIKELY = ("::", "\t", ";", "|", ",", " ")  # in the order in which a first line is searched for them
_UNIT = "\x1f"  # stands for a separator of several characters while a line is cut


@dataclass(frozen=True, eq=False)
class Rows:
    """A table and where each of its rows stands.

    Attributes:
        frame: The rows.
        what: What to call the table in a message.
        lines: Line of each row in its file, or None for a frame that came from no text file.
    """

    frame: pd.DataFrame
    what: str
    lines: Sequence[int] | None = None

    def place(self, row: int) -> str:
        """``"line 5 of 'log.csv'"``, or ``"row 3 of the interactions"``."""
        return f"row {row} of {self.what}" if self.lines is None else f"line {self.lines[row]} of {self.what}"

    @property
    def is_text(self) -> bool:
        """Whether every field is text, as it stood in a file."""
        return self.lines is not None

    def kept(self, mask: Any) -> Rows:
        """Some of the rows."""
        import numpy as np

        return Rows(self.frame[mask], self.what, None if self.lines is None else np.asarray(self.lines)[mask])


def read_rows(
    path: str | Path,
    *,
    separator: str | None = None,
    encoding: str = "utf-8",
    header: bool | None = None,
    columns: Sequence[str] | None = None,
    quote: str | None = '"',
) -> Rows:
    """The rows of a text file, all fields as text; of a ``.parquet`` file with its own types.

    Args:
        path: The file; ``.gz`` is unpacked.
        separator: Between fields, of one or more characters; by default what the ending of the file says.
        encoding: Of the text.
        header: Whether the first line names the columns; by default it does unless ``columns`` names them.
        columns: Names of the columns of a file without a header.
        quote: What encloses a field that holds the separator; None where quotation marks are text.

    Raises:
        InputError: No such file, not in this encoding, no columns, or a line with more or fewer fields than there are columns.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file '{path}'.")
    what, suffix = f"'{path.name}'", Path(path.stem if path.suffix == ".gz" else path.name).suffix
    if suffix == ".parquet":
        return Rows(_parquet(path), what)
    text = _text(path, encoding)
    first = next((line for line in text.split("\n") if line.strip(" ")), None)
    if first is None:
        raise InputError(f"{what} is empty.")
    found = next((f"{mark!r}" for mark in _LIKELY if mark in first), None)
    if separator is None and suffix not in SEPARATORS:
        hint = f"pass separator={found}, which its first line holds" if found else "pass separator="
        raise InputError(
            f"{what} ends in '{suffix}', which does not say what stands between its fields: {hint}, or give a .csv, .tsv or "
            f".parquet file."
        )
    mark = SEPARATORS[suffix] if separator is None else separator
    if mark == "" or (mark and mark not in first):
        hint = f"pass separator={found}" if found and found != repr(mark) else "give a file with at least two columns"
        raise InputError(f"the first line of {what}, '{_short(first)}', has no {mark!r} between its fields: {hint}.")
    if len(mark) > 1:
        if _UNIT in text:
            raise InputError(f"{what} holds the control character 0x1f, so that separator={mark!r} cannot be read.")
        text, quote = text.replace(mark, _UNIT), None
    named = header if header is not None else columns is None
    return _parsed(text, what, mark, named, columns, quote)


def _parsed(text: str, what: str, mark: str, named: bool, columns: Sequence[str] | None, quote: str | None) -> Rows:
    import pandas as pd

    cut = _UNIT if len(mark) > 1 else mark
    counts, lines = _fields(text, cut, quote, what)
    top = _first_fields(text, cut, quote)
    names: list[Any] = list(columns) if columns is not None else top if named else list(range(len(top)))
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{what} has two columns named '{twice[0]}': rename one.")
    begin = 1 if named else 0
    for number, line in zip(counts[begin:], lines[begin:], strict=True):
        if number != len(names):
            side = "more" if number > len(names) else "fewer"
            raise InputError(
                f"line {line} of {what} has {number} fields, but there are {len(names)} columns ({', '.join(map(str, names))}): "
                f"{side} than expected; mend the line, or name the columns with columns=[...]."
            )
    if len(counts) == begin:
        raise InputError(f"{what} has no rows below its header.")
    frame = pd.read_csv(
        io.StringIO(text),
        sep=cut,
        header=0 if named else None,
        names=names,
        dtype=str,
        keep_default_na=False,
        na_filter=False,
        quotechar=quote or '"',
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        index_col=False,
        skip_blank_lines=True,
    )
    if len(frame) != len(lines) - begin:
        raise InputError(
            f"{what} cannot be read: its quotation marks are not closed where they open; pass quote=None if they are text."
        )
    return Rows(frame, what, lines[begin:])


def _fields(text: str, cut: str, quote: str | None, what: str) -> tuple[list[int], list[int]]:
    """Number of fields of every row that is not blank, and the line where it begins."""
    if quote is None or quote not in text:
        rows = [(line.count(cut) + 1, number) for number, line in enumerate(text.split("\n"), 1) if line.strip(" ")]
        return [count for count, _ in rows], [number for _, number in rows]
    counts, lines, begin = [], [], 1
    reader = csv.reader(io.StringIO(text), delimiter=cut, quotechar=quote, strict=True)
    try:
        for row in reader:
            if row and not (len(row) == 1 and not row[0].strip(" ")):
                counts.append(len(row))
                lines.append(begin)
            if reader.line_num > begin and cut == "\t":
                raise csv.Error("a quoted field runs over the end of the line")
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"line {begin} of {what} has quotation marks that do not enclose a field ({error}): pass quote=None if they are text."
        ) from None
    return counts, lines


def _first_fields(text: str, cut: str, quote: str | None) -> list[str]:
    """Fields of the first row that is not blank."""
    lines = (line for line in io.StringIO(text) if line.strip(" \n"))
    if quote is None:
        return next(lines).rstrip("\n").split(cut)
    return next(iter(csv.reader(lines, delimiter=cut, quotechar=quote)))


def _text(path: Path, encoding: str) -> str:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"'{path}' cannot be read ({error}).") from None
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"'{path.name}' begins with the mark of UTF-16: pass encoding='utf-16'.")
        encoding = "utf-8-sig"  # the mark that Excel puts in front belongs to no name
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        other = "another encoding" if "latin" in encoding else "encoding='latin-1', or another"
        raise InputError(
            f"line {line} of '{path.name}' is no {encoding.removesuffix('-sig').upper()} text: pass {other}."
        ) from None
    except LookupError:
        raise InputError(
            f"there is no encoding '{encoding}': pass encoding='utf-8', 'latin-1' or 'utf-16', for example."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except ImportError:
        raise InputError(f"'{path}' needs pyarrow to be read: pip install pyarrow, or save it as .csv.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as a parquet file ({error}).") from None


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
