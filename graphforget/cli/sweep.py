"""``graphforget sweep``: the product of data, models, requests, methods and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphforget.cli.common import Json, print_json, show_table
from graphforget.cli.run import Overrides
from graphforget.exceptions import InputError

LOST = 1  # exit code where cells have no records

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="KEY=VALUE",
        help="Restrict the cells: data, model, request, seed, method, or a key of the request such as size; may be repeated.",
    ),
]


def sweep(
    grid: Annotated[Path, typer.Argument(help="A YAML file with task, data, models, requests, methods and seeds.")],
    only: Only = None,
    override: Overrides = None,
    folder: Annotated[Path, typer.Option(help="Where sweeps go; this one into a folder of its name.")] = Path("sweeps"),
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes of one thread each; 0 uses none.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Small sizes, which the grid names, and nothing kept.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run methods again that failed.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Run nothing: write the tables of what is there.")] = False,
    json: Json = False,
) -> None:
    """Run the missing cells of a grid, methods side by side against shared golds, and write tables."""
    raise typer.Exit(execute(grid, only, override, folder, workers, smoke, retry, tables, json))


def execute(
    grid: Path,
    only: list[str] | None,
    override: list[str] | None,
    folder: Path,
    workers: int | None,
    smoke: bool,
    retry: bool,
    tables: bool,
    json: bool,
) -> int:
    """Run a grid and say what became of it; the exit code."""
    from graphforget.sweeps import sweep as run_sweep

    done = run_sweep(
        grid,
        overrides=override or (),
        only=only_values(only),
        folder=folder,
        workers=workers,
        smoke=smoke,
        retry=retry,
        run=not tables,
        progress=None if json else _say,
    )
    if json:
        counts = {"ran": done.ran, "skipped": done.skipped, "lost": done.lost}
        print_json({"folder": None if smoke else str(done.folder), **counts, "records": done.records})
        return LOST if done.lost else 0
    from graphforget.sweeps.tables import rank_table

    if any(record["role"] == "unlearned" for record in done.records):
        table = rank_table(done.ranks(), "" if done.config.rank_by else "x")
        show_table(list(table.columns), [[str(value) for value in row] for row in table.itertuples(index=False)])
    typer.echo(
        f"\n{done.ran} cells run, {done.skipped} there before" + (f", {len(done.lost)} without records:" if done.lost else "")
    )
    for one in done.lost:
        typer.echo(f"  {', '.join(map(str, one['cell'].values()))}: {one['reason']}")
    if not smoke:
        typer.echo(f"tables: {done.folder / 'tables.md'}")
    return LOST if done.lost else 0


def only_values(texts: list[str] | None) -> dict[str, list[Any]]:
    """``["seed=0", "seed=1"]`` as ``{"seed": [0, 1]}``; values are YAML.

    Raises:
        InputError: Not KEY=VALUE.
    """
    from graphforget.pipeline.reading import read_yaml

    found: dict[str, list[Any]] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--only takes KEY=VALUE, for example --only seed=0; got '{text}'.")
        found.setdefault(key.strip(), []).append(read_yaml(value, f"--only {text}")[0])
    return found


def _say(number: int, total: int, outcome: Any) -> None:
    """One line per cell on standard error."""
    roles = [record["role"] for record in outcome.records]
    bad = ", ".join(f"{roles.count(role)} {role}" for role in ("refused", "failed") if role in roles)
    said = f"lost: {outcome.lost}" if outcome.lost else f"{outcome.seconds:.0f} s" + (f", {bad}" if bad else "")
    typer.echo(f"[{number}/{total}] {outcome.cell}: {said}", err=True)
