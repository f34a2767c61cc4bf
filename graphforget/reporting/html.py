"""The report as one HTML page for people: no script, no external resource, light and dark, everything escaped."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from graphforget.exceptions import InputError
from graphforget.reporting.markdown import ICON
from graphforget.reporting.page import TEMPLATE
from graphforget.reporting.plots import draw_figures, png_bytes
from graphforget.reporting.records import ReportData
from graphforget.reporting.table import (
    ROLE_MEANING,
    SUBSET_NAMES,
    Cell,
    Column,
    cells_of,
    explained,
    facts,
    format_value,
    of_cost,
    opening,
    primary_table,
    provenance,
    subsets,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render_html"]

_CAPTIONS = {
    "distance_to_gold": "How far each model's probabilities are from those of models that never saw the deleted data. "
    "The dashed line is the distance between two such models: at or near it, nothing more can be asked.",
    "score_histograms": "Scores before (original), after (unlearned) and without the data (gold). "
    "The aim is to match gold, not to be low.",
    "curves": "Progress during unlearning.",
}


def _plain(cell: Cell | None, *, signed: bool = False) -> dict[str, Any]:
    if cell is None:
        return {"text": "–", "sub": ""}
    sub = ""
    if cell.spread is not None:
        sub = f"± {format_value(cell.spread)}"
    elif cell.low is not None and cell.high is not None:
        sub = f"{format_value(cell.low)} to {format_value(cell.high)}"
    return {"text": format_value(cell.value, signed=signed), "sub": sub}


def _cell(cell: Cell | None, column: Column, largest: float, role: str) -> dict[str, Any]:
    shown = _plain(cell, signed=column.metric == "signed_dp")
    if role not in ("unlearned", "gold"):
        # Intervals of the controls stand in the details; here they would only hide the figures that matter.
        shown["sub"] = ""
    bar = None
    if cell is not None and cell.ratio is not None:
        bar = {
            "ratio": f"{cell.ratio:.1f}× floor",
            "width": round(100 * min(cell.ratio / largest, 1.0), 1),
            "tick": round(100 / largest, 1),
        }
    return {**shown, "bar": bar}


def _main_table(report: ReportData) -> dict[str, Any]:
    columns, lines = primary_table(report)
    largest = max([2.0, *(cell.ratio for _, cells in lines for cell in cells if cell and cell.ratio is not None)])
    return {
        "columns": [column.long for column in columns],
        "lines": [
            {
                "role": model.role,
                "label": model.label,
                "context": model.context,
                "count": max(cell.count for cell in cells if cell),
                "cells": [_cell(cell, column, largest, model.role) for cell, column in zip(cells, columns, strict=True)],
            }
            for model, cells in lines
        ],
        "legend": [(role, ROLE_MEANING[role]) for role in dict.fromkeys(m.role for m, _ in lines) if role in ROLE_MEANING],
    }


def _details(report: ReportData, *, cost: bool) -> list[dict[str, Any]]:
    sections = []
    for subset in subsets(report):
        shown, metrics = cells_of(report, subset)
        metrics = [(name, cells) for name, cells in metrics if of_cost(report, name) == cost]
        keep = [i for i in range(len(shown)) if any(cells[i] is not None for _, cells in metrics)]
        if metrics:
            sections.append(
                {
                    "name": SUBSET_NAMES.get(subset, subset),
                    "models": [(shown[i].label, shown[i].context) for i in keep],
                    "lines": [(name, [_plain(cells[i], signed=name == "signed_dp") for i in keep]) for name, cells in metrics],
                }
            )
    return sections


def _figures(report: ReportData) -> list[dict[str, str]]:
    light, dark = draw_figures(report, theme="light"), draw_figures(report, theme="dark")

    def encode(figure: Figure) -> str:
        return base64.b64encode(png_bytes(figure, transparent=True)).decode()

    return [
        {"name": name, "light": encode(light[name]), "dark": encode(dark[name]), "caption": _CAPTIONS[name]} for name in light
    ]


def render_html(report: ReportData, *, figures: bool = True) -> str:
    """The page.

    Args:
        figures: Draw figures (needs matplotlib) and embed them as data.

    Raises:
        InputError: If jinja2, or matplotlib with ``figures=True``, is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise InputError("The HTML report needs jinja2: pip install jinja2.") from error
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    verdict = report.verdict
    label, word, sentence, further = opening(report)
    return environment.from_string(TEMPLATE).render(
        title=report.title,
        label=label,
        icon=ICON.get(label, "–"),
        word=word,
        headline=sentence,
        sentences=further,
        checks=[
            {
                "name": c.metric,
                "subset": SUBSET_NAMES.get(c.subset, c.subset),
                "value": format_value(c.value),
                "interval": f"{format_value(c.low)} to {format_value(c.high)}",
                "floor": format_value(c.floor),
                "margin": format_value(c.margin),
                "signed": format_value(c.signed, signed=True),
                "outcome": c.outcome,
                "direction": c.direction or "",
            }
            for c in (verdict.checks if verdict else [])
        ],
        facts=facts(report),
        main=_main_table(report),
        figures=_figures(report) if figures else [],
        details=_details(report, cost=False),
        cost=_details(report, cost=True),
        metrics=sorted(explained(report), key=lambda one: one.name),
        notes=[str(note) for note in report.meta.get("notes", [])],
        provenance=provenance(report),
    )
