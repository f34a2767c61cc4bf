"""Tables beside the main inputs: one row per node, edge entry, user or item, under the names that models ask for."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError


def plain(tensor: Tensor) -> Tensor:
    """Outside autograd, on the CPU, a bare ``torch.Tensor`` that knows its version; shares memory where it can."""
    tensor = tensor.detach().cpu()
    if type(tensor) is not Tensor:
        tensor = tensor.as_subclass(Tensor)
    return tensor.clone() if tensor.is_inference() else tensor


def checked_tables(tables: Any, rows: int, of: str, *, reserved: Set[str], row: str | None = None) -> dict[str, Tensor]:
    """Tables with ``rows`` rows each, as plain tensors on the CPU.

    Args:
        tables: Tensors, arrays or pandas columns by name, None for none.
        rows: How many there are.
        of: Of what, e.g. ``"node"``; for messages.
        reserved: Names that mean something else.
        row: What a row stands for, where it is not ``of``.

    Raises:
        InputError: No mapping, a name that means something else, no numbers, or another number of rows.
    """
    if tables is None:
        return {}
    if not isinstance(tables, Mapping):
        raise InputError(f"{of}_data must be a mapping like {{'{of}_type': tensor}}, got {type(tables).__name__}.")
    found = {}
    for name, table in tables.items():
        if not isinstance(name, str) or not name.isidentifier() or name in reserved:
            raise InputError(
                f"{of}_data cannot have the name {name!r}: take a name that forward asks for, other than its own inputs."
            )
        if callable(getattr(table, "to_numpy", None)):  # pandas
            table = table.to_numpy()
        if isinstance(table, np.ndarray) and table.dtype.kind in "biuf":
            table = torch.from_numpy(np.array(table, order="C"))
        if not isinstance(table, Tensor) or table.layout != torch.strided:
            raise InputError(f"{of}_data '{name}' must be a dense tensor of numbers, got {type(table).__name__}.")
        if not table.dim() or table.size(0) != rows:
            raise InputError(f"{of}_data '{name}' must have one row per {row or of}, {rows}; got shape {list(table.shape)}.")
        found[name] = plain(table)
    return found


def empty_table(table: Tensor, gone: Tensor) -> Tensor:
    """The table with the rows in ``gone`` (ids, or bool [N]) emptied: NaN, or 0 where it holds no real numbers."""
    table = table.clone()
    table[gone] = float("nan") if table.is_floating_point() else 0
    return table


def take_tables(tables: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """Some rows (ids or a mask) of every table."""
    return {name: table[rows] for name, table in tables.items()}
