"""What the commands share: options, one JSON document, progress on standard error, the verdict's exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from graphforget.exceptions import InputError
from graphforget.reporting import Report

INSUFFICIENT = 3

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else.")]
DataOptions = Annotated[
    list[str] | None,
    typer.Option("--data-option", "-D", metavar="KEY=VALUE", help="Option of the dataset, e.g. -D seed=1; may be repeated."),
]
ModelClass = Annotated[str | None, typer.Option(help="package.module:Class of a model outside graphforget; its code runs.")]
MadeBy = Annotated[
    str | None, typer.Option("--method", help="package.module:Class of a result's method that is not installed; its code runs.")
]
Force = Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")]
ItemIds = Annotated[str | None, typer.Option("--items", "--item", metavar="ID,ID,...", help="Items by id, e.g. 3,17.")]
UserIds = Annotated[str | None, typer.Option("--users", "--user", metavar="ID,ID,...", help="Users by id, e.g. 5,8.")]
ServedFolder = Annotated[Path, typer.Argument(help="A saved model, a result of `graphforget unlearn`, or the folder of a run.")]
ServedData = Annotated[
    str | None, typer.Option(help="Dataset or data file, as before any deletion; default: what the folder says.")
]
Show = Callable[[str, int, int, Mapping[str, Any]], None]


def key_values(options: list[str] | None, flag: str) -> dict[str, Any]:
    """``["lr=0.01"]`` as ``{"lr": 0.01}``; values are YAML.

    Raises:
        InputError: Not KEY=VALUE, or a key twice.
    """
    from graphforget.pipeline.reading import read_yaml

    found: dict[str, Any] = {}
    for option in options or []:
        key, equals, text = option.partition("=")
        if not equals or not key.strip().isidentifier():
            raise InputError(f"{flag} takes KEY=VALUE, for example {flag} lr=0.01; got '{option}'.")
        if key.strip() in found:
            raise InputError(f"{flag} {key.strip()} is given twice; keep one.")
        found[key.strip()] = read_yaml(text, f"{flag} {option}")[0]
    return found


def id_list(flag: str, text: str) -> list[int]:
    """``"3, 17"`` as ``[3, 17]``.

    Raises:
        InputError: Not ids with commas between them.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and len(word) <= 18 for word in words):
        raise InputError(f"{flag} takes ids with commas between them, for example {flag} 3,17; got '{text}'.")
    return [int(word) for word in words]


def print_json(content: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False, default=str))


def print_report(report: Report) -> None:
    """The report, coloured on a terminal and plain elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(report)
    else:
        typer.echo(str(report))
    for method, verdict in (report.meta.get("verdicts") or {}).items():
        typer.echo(f"{method}: {verdict['label']}. {verdict['sentences'][0] if verdict['sentences'] else ''}")


def labels(report: Report) -> dict[str, str]:
    """The verdict of the judged method, or of every method where several were judged side by side."""
    if report.verdict is not None:
        return {"verdict": report.verdict.label}
    return {method: verdict["label"] for method, verdict in (report.meta.get("verdicts") or {}).items()}


def exit_code(report: Report) -> int:
    """3 when a verdict is "insufficient", else 0."""
    return INSUFFICIENT if "insufficient" in labels(report).values() else 0


def show_table(header: list[str], rows: list[list[str]]) -> None:
    """A table, fitted to the terminal; plain columns elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*header, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress() -> Iterator[Show]:
    """A progress display on standard error; silent where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda stage, step, total, values: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<9}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, step: int, total: int, values: Mapping[str, Any]) -> None:
            note = "done before" if values.get("skipped") else " ".join(f"{k} {_short(v)}" for k, v in values.items())
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note=note)
            bars.update(tasks[stage], completed=step, total=total, note=note)

        yield show


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
