"""Tables beside the features and the edges: one row per node or per edge entry, under the names that models ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.features import plain

# What a graph has under fields of its own, and what tasks pass to a model.
RESERVED = frozenset({"x", "y", "edge_index", "adj_t", "n_id", "data", "batch", "num_nodes", "alive", "edge_label_index"})


def checked_tables(tables: Any, rows: int, of: str) -> dict[str, Tensor]:
    """Tables with ``rows`` rows each, as plain tensors on the CPU.

    Args:
        tables: Tensors or arrays by name, None for none.
        rows: Nodes or edge entries.
        of: ``"node"`` or ``"edge"``.

    Raises:
        InputError: No mapping, a name that means something else, no numbers, or another number of rows.
    """
    if tables is None:
        return {}
    if not isinstance(tables, Mapping):
        raise InputError(f"{of}_data must be a mapping like {{'{of}_type': tensor}}, got {type(tables).__name__}.")
    found = {}
    for name, table in tables.items():
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            raise InputError(f"{of}_data cannot have the name {name!r}: take a name that forward asks for, other than x and y.")
        if isinstance(table, np.ndarray) and table.dtype.kind in "biuf":
            table = torch.from_numpy(np.ascontiguousarray(table))
        if not isinstance(table, Tensor) or table.layout != torch.strided:
            raise InputError(f"{of}_data '{name}' must be a dense tensor of numbers, got {type(table).__name__}.")
        if not table.dim() or table.size(0) != rows:
            what = "edge entry (column of edge_index)" if of == "edge" else "node"
            raise InputError(f"{of}_data '{name}' must have one row per {what}, {rows}; got shape {list(table.shape)}.")
        found[name] = plain(table)
    return found


def empty_table(table: Tensor, gone: Tensor) -> Tensor:
    """The table with the rows in ``gone`` [N] bool emptied: NaN, or 0 where it holds no real numbers."""
    table = table.clone()
    table[gone] = float("nan") if table.is_floating_point() else 0
    return table


def take_tables(tables: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """Some rows (ids or a mask) of every table."""
    return {name: table[rows] for name, table in tables.items()}
