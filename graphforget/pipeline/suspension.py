"""``suspended.json``: what an operator took off the lists for a while, beside the model that it concerns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.home import write_json
from graphforget.pipeline.results import is_result, read_record

SIDES = ("user", "item")
FILE = "suspended.json"
_FORMAT = "graphforget.suspended/1"


def read_suspended(folder: Path) -> dict[str, Any] | None:
    """The content of ``suspended.json``, or None where there is none.

    Raises:
        InputError: The file is damaged; a list of what must not be served is never taken for empty.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError("another format")
        _check_ids({side: content["suspended"][side] for side in SIDES})
        if not isinstance(content["data"]["name"], str):
            raise ValueError("data without a name")
        _, _ = dict(content["data"]["options"]), list(content["history"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"'{file}' is no record of suspensions ({type(error).__name__}: {error}): mend it, or remove it and suspend anew."
        ) from None
    return dict(content)


def suspended_ids(folder: Path) -> dict[str, Tensor]:
    """What is suspended in a folder, by kind; where nothing was done in it, what was suspended when the result was made.

    Raises:
        InputError: The file, or the result's record, is damaged.
    """
    content = read_suspended(folder)
    if content is not None:
        found = content["suspended"]
    else:
        found = read_record(folder).get("info", {}).get("suspended", {}) if is_result(folder) else {}
        try:
            _check_ids(found)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"'{folder / 'result.json'}' is damaged: what it suspends is not readable ({type(error).__name__}: {error})."
            ) from None
    return {side: torch.tensor(ids, dtype=torch.long) for side, ids in found.items() if len(ids)}


def write_suspended(folder: Path, ids: Mapping[str, Tensor], data: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
    """Write what is suspended from now on, and add what was done to the history.

    Args:
        folder: The model's folder.
        ids: Users and items, by kind.
        data: How to find the data that the ids belong to: ``{"name": ..., "options": {...}}``.
        entry: What was done, for the history.
    """
    before = read_suspended(folder)
    suspended = {side: ids[side].tolist() if side in ids else [] for side in SIDES}
    history = [*(before["history"] if before else ()), dict(entry)]
    write_json(folder / FILE, {"format": _FORMAT, "suspended": suspended, "data": dict(data), "history": history})


def _check_ids(found: Mapping[str, Any]) -> None:
    """Refuse what is no list of ids of users or items.

    Raises:
        ValueError: Neither users nor items, or no ids.
        TypeError: No list.
    """
    for side, ids in found.items():
        if side not in SIDES or not all(type(number) is int and 0 <= number < 2**63 for number in ids):
            raise ValueError(f"{side}s that are no ids")
