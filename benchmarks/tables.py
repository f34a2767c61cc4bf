"""Tables from result files: on the terminal, and between generated marks of the documentation's pages.

A page takes one part of a benchmark between ``<!-- NAME: PART -->`` and ``<!-- end NAME: PART -->``. Grids have the parts
``ranks``, ``figure``, ``compare`` (methods against data and models, per request), ``tables`` (one per question) and ``origin``.
"""

from __future__ import annotations

import importlib
import os
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas
import yaml
from run import read

from graphforget.sweeps import load_grid, read_records
from graphforget.sweeps.frames import question_tables, questions
from graphforget.sweeps.ranks import mean_ranks, rank_figure, save_figure
from graphforget.sweeps.tables import markdown, matrices, notes, overview, text_table

Record = dict[str, Any]
HERE = Path(__file__).resolve().parent
FIGURES = "FIGURES"  # stands for the folder of figures in a part; every page has its own way there


class _Form(string.Formatter):
    """``{seconds:ms}`` and ``{part:share}`` besides what every format knows; nothing for what is not known."""

    def format_field(self, value: Any, spec: str) -> str:
        """A field as text."""
        if value is None:
            return ""
        if spec == "ms":
            return f"{value * 1e3:,.1f}" if value >= 1e-3 else f"{value * 1e3:.3f}"
        if spec == "share":
            return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.2g} %"
        text = str(super().format_field(value, spec))
        return text.replace("%", " %") if spec.endswith("%") else text


def fill(form: Record, lines: Iterable[Record]) -> Iterator[Record]:
    """Lines as text: ``form`` holds the headings and their formats."""
    return ({heading: _Form().format(text, **line) for heading, text in form.items()} for line in lines)


def rows(lines: Iterable[Record]) -> str:
    """Lines as a Markdown table."""
    return markdown(pandas.DataFrame(list(lines)).fillna(""))


def pivot(lines: Iterable[Record], index: list[str], columns: str, values: Sequence[str], name: str = "{0}") -> str:
    """Lines as a Markdown table with the values of ``columns`` side by side; ``name`` is made of it and of the value's name."""
    frame = pandas.DataFrame(list(lines))
    table = frame[index].drop_duplicates().set_index(index)
    for key, group in frame.groupby(columns, sort=False):
        table = table.join(group.set_index(index)[list(values)].rename(columns=lambda value, key=key: name.format(key, value)))
    return markdown(table.fillna("").reset_index())


def origin(records: list[Record]) -> str:
    """One sentence on the machine, the versions, the commits and the dates behind some records."""
    seen = [r["provenance"] for r in records]
    one, days = seen[-1], sorted({p["time"][:10] for p in seen})
    commits = ", ".join(dict.fromkeys(f"`{p['commit']}`" for p in seen if "commit" in p))
    return (
        f"{one['processor']}, {one['cores']} cores, {one['threads']} thread{'s' * (one['threads'] != 1)}, torch {one['torch']}, "
        f"Python {one['python']}, commit {commits}, {days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'}."
    )


def parts_of(name: str, records: list[Record], figures: Path | None = None) -> dict[str, str]:
    """The Markdown of a benchmark by part; its figures are drawn into ``figures``.

    A recommenders' grid and its further parts may lie in one file.
    """
    file = HERE / "configs" / f"{name}.yaml"
    experiment = yaml.safe_load(file.read_text(encoding="utf-8")).get("experiment", "recommendation")
    module = importlib.import_module("tables_recommendation" if experiment == "recommendation" else "tables_speed")
    if figures is not None and hasattr(module, "draw"):
        module.draw(records, figures)
    found: dict[str, str] = module.parts(records)
    if "experiment" not in file.read_text(encoding="utf-8") and (results := HERE / "results" / f"{name}.jsonl").is_file():
        found |= parts_of_grid(name, load_grid(file), read_records(results), figures)
    return found


def parts_of_grid(name: str, config: Any, records: list[Record], figures: Path | None = None) -> dict[str, str]:
    """The parts of a grid's records."""
    if not records:
        return {}
    if figures is not None and (figure := rank_figure(mean_ranks(records, config.rank_by))) is not None:
        save_figure(figure, figures / f"{name}_ranks.svg")
    groups, tables = questions(records), question_tables(records, config.columns, config.rank_by)
    texts = {title: f"**{title}**\n\n{markdown(text_table(table))}" for title, table in tables.items()}
    return {
        "ranks": overview(records, config.rank_by),
        "figure": f"![Mean rank of every method]({FIGURES}/{name}_ranks.svg)",
        "compare": "\n\n".join(f"**{request}**\n\n{markdown(t)}" for request, t in matrices(records, config.rank_by).items()),
        "tables": "\n\n".join("\n\n".join([text, *notes(groups[title])]) for title, text in texts.items()),
        "origin": origin(records),
    }


def print_tables(name: str, records: list[Record]) -> None:
    """The tables on the terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    text = re.sub(r"^!\[.*\n?", "", "\n\n".join(parts_of(name, records).values()), flags=re.M)  # a terminal shows no figures
    Console(width=160).print(Markdown(text))


def write_tables(root: Path) -> None:
    """Rewrite every marked part of the pages, and draw the figures again."""
    figures = root / "docs" / "_static"
    pages = {page: page.read_text(encoding="utf-8") for page in sorted((root / "docs").rglob("*.md"))}
    for results in sorted((root / "benchmarks" / "results").glob("*.jsonl")):
        for part, content in parts_of(results.stem, read(results), figures).items():
            mark = re.escape(f"{results.stem}: {part} -->")
            for page, text in pages.items():
                here = content.replace(FIGURES, Path(os.path.relpath(figures, page.parent)).as_posix())
                block = rf"(<!-- {mark}).*?(<!-- end {mark})"
                pages[page] = re.sub(block, lambda m, here=here: f"{m[1]}\n\n{here}\n\n{m[2]}", text, flags=re.S)
    for page, text in pages.items():
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
