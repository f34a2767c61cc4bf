"""Lines as a Markdown table, and where the figures of a benchmark come from."""

from __future__ import annotations

from typing import Any


def markdown(table: list[list[str]]) -> str:
    """Lines as a Markdown table; a last line without a label becomes a note under it."""
    header, *body = table
    note = body.pop()[1] if body and not body[-1][0] else ""
    rows = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    rows += ["| " + " | ".join(line) + " |" for line in body]
    return "\n".join(rows) + (f"\n\n{note}." if note else "")


def origin(records: list[dict[str, Any]]) -> str:
    """One sentence on the machine, the versions, the commits and the dates behind some records."""
    seen = [r["provenance"] for r in records]
    one = seen[-1]
    commits = ", ".join(dict.fromkeys(f"`{p['commit']}`" for p in seen))
    days = sorted({p["time"][:10] for p in seen})
    return (
        f"{one['processor']}, {one['cores']} cores, {one['threads']} threads, torch {one['torch']}, Python {one['python']}, "
        f"commit {commits}, {days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'}."
    )


def latest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last record of every cell, in the order in which the cells first appeared."""
    return list({repr(sorted(r["cell"].items())): r for r in records}.values())
