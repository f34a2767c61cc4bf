"""Records: one JSON line per model that was measured, with its figures, what they cost and where they come from.

Every cell has a file of its own, written under a temporary name and renamed, so that a cell's records are there whole or not at
all. Records of the benchmarks' earlier form are read into the present one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from graphforget.exceptions import InputError
from graphforget.home import write_text
from graphforget.sweeps.config import request_label
from graphforget.sweeps.plan import Cell

Record = dict[str, Any]
CELLS, LOST = "cells", "lost"


def cell_file(folder: Path, cell: Cell) -> Path:
    """Where the records of a cell are."""
    return folder / CELLS / f"{cell.key}.jsonl"


def write_cell(folder: Path, cell: Cell, records: Iterable[Record]) -> None:
    """Add records to a cell's file; those of a method that are there already are replaced."""
    new = list(records)
    entries = {record["entry"] for record in new}
    kept = [record for record in _read(cell_file(folder, cell)) if record["entry"] not in entries]
    write_text(cell_file(folder, cell), "".join(json.dumps(record, allow_nan=False) + "\n" for record in [*kept, *new]))
    (folder / LOST / f"{cell.key}.json").unlink(missing_ok=True)


def missing(folder: Path, cell: Cell, *, retry: bool = False) -> list[str]:
    """Labels of the methods that a cell has no records of yet; with ``retry`` those that failed count as missing."""
    done = {r["entry"] for r in _read(cell_file(folder, cell)) if not (retry and r["role"] == "failed")}
    return [label for label in cell.methods if cell.entries[label] not in done]


def write_lost(folder: Path, cell: Cell, reason: str) -> Record:
    """Note that a cell has no records, and why; it is tried again by the next call."""
    record = {"cell": cell.labels, "role": "lost", "reason": reason}
    write_text(folder / LOST / f"{cell.key}.json", json.dumps(record))
    return record


def read_cells(folder: Path, cells: Sequence[Cell]) -> list[Record]:
    """The records of some cells, those of their methods only, under the labels that the cells have now.

    A control that the grid does not list is left out where it cannot be had, as ``unlink`` without an input graph.
    """
    found = []
    for cell in cells:
        names = {cell.entries[label]: label for label in cell.methods}
        for record in _read(cell_file(folder, cell)):
            left_out = record["role"] == "refused" and record["label"] in cell.controls
            if not left_out and (record["entry"] is None or record["entry"] in names):
                found.append(record | {"cell": cell.labels})
    return found


def read_lost(folder: Path, cells: Sequence[Cell]) -> list[Record]:
    """Which cells have no records, and why."""
    files = [folder / LOST / f"{cell.key}.json" for cell in cells]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]


def read_records(path: str | Path) -> list[Record]:
    """The records of a results file (or of a sweep's folder), in the present form whatever form they are in.

    Raises:
        InputError: No such file, or a line that is no record.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "old.jsonl"
        >>> cell = {"dataset": "cora", "model": "gcn", "target": "node", "where": "random", "size": 0.05, "seed": 0}
        >>> _ = file.write_text(json.dumps({"cell": cell, "config": "a", "role": "gold", "label": "gold", "figures": {}}))
        >>> read_records(file)[0]["cell"]
        {'data': 'cora', 'model': 'gcn', 'request': '5 % of nodes', 'seed': 0}
    """
    file = Path(path)
    if file.is_dir():
        file = file / "records.jsonl"
    if not file.is_file():
        raise InputError(f"there are no records in '{path}': expected a sweep's folder or its records.jsonl.")
    return present(_read(file))


def present(records: Sequence[Record]) -> list[Record]:
    """Records in the present form: cells named by data, model, request and seed.

    Of a question that was run under several configurations (``config``, in the earlier form) only the last one is kept: a mean
    over both would be of neither.
    """
    found, last = [], {}
    for record in records:
        cell = record["cell"]
        if "dataset" in cell:
            if cell.get("part", "methods") != "methods":
                continue  # parts of the recommenders' benchmarks that are no products of methods
            asked = cell | ({"ids": [cell["label"]]} if cell["target"] == "node_class" else {})
            labels = {"data": cell["dataset"], "model": cell["model"], "request": request_label(asked), "seed": cell["seed"]}
            refused = {"role": "refused", "reasons": record["refused"]} if "refused" in record else {}
            record = record | {"cell": labels} | refused
        last[_question(record)] = record.get("config")
        found.append(record)
    return [record for record in found if record.get("config") == last[_question(record)]]


def _question(record: Record) -> tuple[str, str, str]:
    return record["cell"]["data"], record["cell"]["model"], record["cell"]["request"]


def _read(file: Path) -> list[Record]:
    if not file.is_file():
        return []
    records = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            raise InputError(f"line {number} of '{file}' is not JSON; repair or remove it.") from None
    return records


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: a figure that is none becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, (list, tuple)) else value
