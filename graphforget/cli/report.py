"""``graphforget report``: render a report again from its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphforget.cli.common import Json, exit_code, print_json, print_report


def report(
    folder: Annotated[Path, typer.Argument(help="Run folder, or a folder with report.json.")],
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    json: Json = False,
) -> None:
    """Render report.md, report.html and the figures again from report.json, and print the table."""
    from graphforget.pipeline import read_report, render

    found = read_report(folder)
    target = folder if folder.is_dir() else folder.parent
    render(found, target)
    page = target / "report.html"
    if json:
        print_json({"html": str(page), "report": found.to_dict()})
    else:
        print_report(found)
        typer.echo(f"\nreport: {page}")
    if open_page:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    raise typer.Exit(exit_code(found))
