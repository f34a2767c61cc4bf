"""``graphforget evaluate``: saved results against retrained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphforget.cli.common import (
    DataOptions,
    Force,
    Json,
    ModelClass,
    exit_code,
    key_values,
    labels,
    print_json,
    print_report,
    progress,
)
from graphforget.cli.unlearn import check_out


def evaluate(
    results: Annotated[list[Path], typer.Argument(help="Folders that `graphforget unlearn --out` wrote.")],
    data: Annotated[str, typer.Option(help="Dataset, package.module:function or data file, as given to `graphforget unlearn`.")],
    task: Annotated[str | None, typer.Option(help="Task; default: the one in the results.")] = None,
    gold: Annotated[int, typer.Option(min=1, help="Number of retrained models; three suffice for one artefact.")] = 3,
    margin: Annotated[float, typer.Option(help="Allowed multiple of the distance between gold models.")] = 1.25,
    tolerance: Annotated[float | None, typer.Option(help="Added to the margin, in probability.")] = None,
    original_seed: Annotated[int | None, typer.Option(help="Seed of the original's training; no gold model shares it.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Further metric, by name or package.module:record; may be repeated.")
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option(help="Further attack, by name or package.module:record; may be repeated.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="package.module:Class of a result's method that is not installed; its code runs; may be repeated."),
    ] = None,
    model_class: ModelClass = None,
    data_option: DataOptions = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json, report.md and report.html.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Measure how far results are from models retrained without the data."""
    from graphforget.evaluation import evaluate as measure
    from graphforget.pipeline import render
    from graphforget.pipeline.saved import load_results

    if out is not None:
        check_out(out, force)
    loaded = load_results(
        results, data, task=task, methods=method or (), model_class=model_class, data_options=key_values(data_option, "-D")
    )
    with progress() as show:
        report = measure(
            loaded,
            gold=gold,
            margin=margin,
            tolerance=tolerance,
            original_seed=original_seed,
            metrics=metric or (),
            attacks=attack or (),
            progress=lambda number, total, how: show("gold", number, total, {"": how}),
        )
    if out is not None:
        render(report, out)
    if json:
        print_json({"verdicts": labels(report), "out": None if out is None else str(out), "report": report.to_dict()})
    else:
        print_report(report)
        if out is not None:
            typer.echo(f"\nreport: {out / 'report.html'}")
    raise typer.Exit(exit_code(report))
