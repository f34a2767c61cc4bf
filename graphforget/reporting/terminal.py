"""The report in a terminal: verdict first, then one table that fits 100 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from graphforget.reporting.records import ReportData
from graphforget.reporting.table import Cell, Column, Model, format_value, opening, primary_table

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["WIDTH", "render_rich", "render_text"]

WIDTH = 100
_LABEL_WIDTH = 26
_STYLE = {"sufficient": "bold white on green", "insufficient": "bold white on red", "inconclusive": "bold black on yellow"}


def headline(report: ReportData) -> str:
    """The verdict as one plain sentence."""
    _, word, sentence, _ = opening(report)
    return f"{word.upper()}: {sentence}"


def _grid(report: ReportData) -> tuple[list[str], list[tuple[Model, list[str]]]]:
    columns, lines = primary_table(report)
    header = ["model", "input", *(column.short for column in columns)]
    body = []
    for model, cells in lines:
        counts = {cell.count for cell in cells if cell}
        label = f"{model.label} (n={max(counts)})" if max(counts) > 1 else model.label
        if len(label) > _LABEL_WIDTH:
            label = label[: _LABEL_WIDTH - 3] + "..."
        body.append((model, [label, model.context, *(_text(cell, column) for cell, column in zip(cells, columns, strict=True))]))
    return header, body


def _text(cell: Cell | None, column: Column) -> str:
    return format_value(None if cell is None else cell.value, signed=column.metric == "signed_dp")


def _footer(report: ReportData) -> list[str]:
    lines = []
    if any(row.role == "floor" for row in report.rows):
        lines.append("noise floor: distance between gold models; |dp|, JS and signed are distances to gold.")
    return lines + opening(report)[3] + [str(note) for note in report.meta.get("notes", [])]


def render_text(report: ReportData) -> str:
    """Plain text, at most :data:`WIDTH` columns wide."""
    out = [*textwrap.wrap(headline(report), WIDTH), "", *textwrap.wrap(report.title, WIDTH)]
    header, body = _grid(report)
    if body:
        grid = [header, *(cells for _, cells in body)]
        widths = [max(len(cells[i]) for cells in grid) for i in range(len(header))]
        for number, cells in enumerate(grid):
            text = [
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            out.append(" ".join(text).rstrip())
            if number == 0:
                out.append("-" * (sum(widths) + len(widths) - 1))
    for sentence in _footer(report):
        out += textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
    return "\n".join(out)


def render_rich(report: ReportData) -> RenderableType:
    """The same content for ``rich``: a coloured verdict and a table that shrinks with the terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    label, sentence = headline(report).split(": ", 1)
    style = _STYLE[report.verdict.label] if report.verdict else "bold"
    parts.append(Text.assemble((f" {label} ", style), " ", sentence))
    header, body = _grid(report)
    if body:
        table = Table(
            title=Text(report.title), box=box.SIMPLE_HEAD, title_justify="left", show_edge=False, pad_edge=False, padding=0
        )
        for number, name in enumerate(header):
            table.add_column(Text(name), justify="left" if number < 2 else "right", no_wrap=True)
        emphasis = {"unlearned": "bold", "floor": "dim", "gold": "green"}
        for model, cells in body:
            table.add_row(*(Text(cell) for cell in cells), style=emphasis.get(model.role))
        parts.append(table)
    parts += [Text(sentence) for sentence in _footer(report)]
    return Group(*parts)
