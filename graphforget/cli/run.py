"""``graphforget run``: a recipe from data to report."""

from __future__ import annotations

from typing import Annotated

import typer

from graphforget.cli.common import Json, exit_code, print_json, print_report, progress

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override", "-o", metavar="PATH=VALUE", help="Set a key of the recipe, e.g. -o unlearner.lr=0.01; may be repeated."
    ),
]
Folder = Annotated[str, typer.Option("--folder", help="Where run folders go.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew instead of continuing the newest run of this configuration.")]


Recipe = Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one: demo, cora_nodes, dblp_edges.")]


def run(recipe: Recipe, override: Overrides = None, folder: Folder = "runs", fresh: Fresh = False, json: Json = False) -> None:
    """Run a recipe: train or load a model, delete, retrain gold models, evaluate, report."""
    raise typer.Exit(execute(recipe, override, folder, fresh, json))


def execute(recipe: str, override: list[str] | None, folder: str, fresh: bool, json: bool) -> int:
    """Run a recipe and print its report; the exit code."""
    from graphforget.pipeline import run as run_recipe

    with progress() as show:
        done = run_recipe(recipe, overrides=override or (), folder=folder, resume=not fresh, progress=show)
    if json:
        print_json(
            {
                "folder": str(done.path),
                "html": str(done.html),
                "skipped": list(done.skipped),
                "verdict": done.report.verdict.label if done.report.verdict else None,
                "report": done.report.to_dict(),
            }
        )
    else:
        print_report(done.report)
        typer.echo(f"\nrun folder: {done.path}\nreport:     {done.html}")
    return exit_code(done.report)
