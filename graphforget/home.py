"""Where graphforget keeps its cache and finds data, and how it writes files: under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphforget.exceptions import InputError


def home() -> Path:
    """The cache folder: ``GRAPHFORGET_HOME``, else ``~/.cache/graphforget``."""
    return Path(os.environ.get("GRAPHFORGET_HOME") or Path.home() / ".cache" / "graphforget").expanduser()


def data_root() -> Path | None:
    """The read-only folder with raw datasets, ``GRAPHFORGET_DATA``, or None when it is not set.

    Raises:
        InputError: The variable names a folder that does not exist.
    """
    value = os.environ.get("GRAPHFORGET_DATA")
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise InputError(f"GRAPHFORGET_DATA is '{value}', which is no folder: set it to a folder with raw data or unset it.")
    return root


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it over ``path`` when the block succeeds, else remove it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files; results are ordinary ones
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write bytes atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text atomically."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, content: Any) -> Path:
    """Write JSON atomically."""
    return write_text(path, json.dumps(content, indent=1))
