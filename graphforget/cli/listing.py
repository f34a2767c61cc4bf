"""``graphforget list``: what can be named."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from graphforget.cli.common import Json, print_json, show_table

COLUMNS: dict[str, tuple[str, ...]] = {
    "methods": ("name", "guarantee", "tasks", "summary", "citation"),
    "metrics": ("name", "group", "target", "on request", "description"),
    "attacks": ("name", "on request", "description"),
    "tasks": ("name", "kinds", "output", "summary"),
    "datasets": ("name", "summary"),
    "models": ("name", "parameters", "summary"),
}


def list_(
    kind: Annotated[str, typer.Argument(help="methods, metrics, attacks, tasks, datasets or models.")], json: Json = False
) -> None:
    """List methods, metrics, attacks, tasks, datasets or models: ours, and those of installed packages."""
    from graphforget.pipeline.catalogue import list_components

    content = list_components(kind)
    if kind == "metrics":
        content.sort(key=lambda row: (row.get("group", ""), row["name"]))
    if json:
        print_json({kind: content})
        return
    columns = list(COLUMNS[kind])
    if any(row["from"] != "graphforget" for row in content):
        columns.insert(1, "from")
    show_table(columns, [[_cell(row, column) for column in columns] for row in content])


def _cell(row: dict[str, Any], column: str) -> str:
    """A cell of the table; what is wrong with a component stands where its summary would be."""
    if row["problem"] and column in ("summary", "description"):
        return str(row["problem"])
    value = row.get(column.replace(" ", "_"), "")
    if isinstance(value, bool):
        return "yes" if value else ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
