"""Tables beside the features and the edges: one row per node or per edge entry, under the names that models ask for."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from graphforget.base import tables as beside

# What a graph has under fields of its own, and what tasks pass to a model.
RESERVED = frozenset({"x", "y", "edge_index", "adj_t", "n_id", "data", "batch", "num_nodes", "alive", "edge_label_index"})


def checked_tables(tables: Any, rows: int, of: str) -> dict[str, Tensor]:
    """Tables with ``rows`` rows each, of ``"node"`` or ``"edge"``; see :func:`graphforget.base.tables.checked_tables`."""
    row = "edge entry (column of edge_index)" if of == "edge" else None
    return beside.checked_tables(tables, rows, of, reserved=RESERVED, row=row)
