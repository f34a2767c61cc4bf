"""The table of recommenders' training speed."""

from __future__ import annotations

from typing import Any

from markdown_table import latest, markdown, origin


def tables(records: list[dict[str, Any]]) -> dict[str, str]:
    """Markdown by part; there is one, of the last run of every cell."""
    records = latest(records)
    head = ["data", "model", "threads", "graphforget, CPU s", "plain, CPU s", "ratio", "graphforget, s", "plain, s", "ratio"]
    lines = [head]
    for record in records:
        cell, median, ratio = record["cell"], record["median"], record["ratio"]
        line = [cell["dataset"], cell["model"], str(cell["threads"])]
        for clock in ("cpu_seconds", "seconds"):
            seconds = median[clock]
            line += [f"{seconds['graphforget']:.3f}", f"{seconds['plain']:.3f}", f"{ratio[clock]:.1f}x"]
        lines.append(line)
    return {"all": markdown(lines) + "\n\n" + origin(records)}
