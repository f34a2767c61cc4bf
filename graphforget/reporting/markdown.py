"""The report as Markdown: readable as text, and rendered by any code host."""

from __future__ import annotations

from collections.abc import Sequence

from graphforget.reporting.records import ReportData
from graphforget.reporting.table import (
    ROLE_MEANING,
    SUBSET_NAMES,
    cells_of,
    explained,
    facts,
    format_cell,
    format_value,
    models,
    opening,
    primary_table,
    provenance,
    subsets,
)

__all__ = ["render_markdown"]

ICON = {"sufficient": "✔", "insufficient": "✖", "inconclusive": "?"}


def _escape(text: str) -> str:
    text = " ".join(text.split())
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, "\\" + mark)
    return text


def _table(header: Sequence[str], lines: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    rule = ["---" if i < left else "---:" for i in range(len(header))]
    return [
        "| " + " | ".join(cells) + " |"
        for cells in [[_escape(h) for h in header], rule, *([_escape(c) for c in line] for line in lines)]
    ]


def render_markdown(report: ReportData) -> str:
    """The whole report: verdict, request, summary, checks, details, provenance."""
    out = [f"# {_escape(report.title)}", ""]
    label, word, sentence, further = opening(report)
    icon = f"{ICON[label]} " if label in ICON else ""
    out.append(f"**{icon}{word}.** {_escape(sentence)}")
    if further:
        out += ["", *(f"- {_escape(text)}" for text in further)]
    if facts(report):
        out += ["", "## What was asked", "", *_table(["fact", "value"], facts(report), left=2)]

    columns, lines = primary_table(report)
    if lines:
        out += ["", "## Result", ""]
        body = []
        for model, cells in lines:
            texts = []
            for column, cell in zip(columns, cells, strict=True):
                text = format_value(cell.value if cell else None, signed=column.metric == "signed_dp")
                texts.append(f"{text} ({cell.ratio:.1f}× floor)" if cell and cell.ratio is not None else text)
            body.append([model.label, model.context, *texts])
        out += _table(["model", "input", *(column.long for column in columns)], body, left=2)
        roles = dict.fromkeys(model.role for model, _ in lines)
        out += ["", *(f"- **{_escape(role)}**: {ROLE_MEANING[role]}" for role in roles if role in ROLE_MEANING)]

    if report.verdict and report.verdict.checks:
        out += ["", "## Checks behind the verdict", ""]
        body = [
            [
                c.metric,
                SUBSET_NAMES.get(c.subset, c.subset),
                format_value(c.value),
                f"{format_value(c.low)} to {format_value(c.high)}",
                format_value(c.floor),
                format_value(c.margin),
                format_value(c.signed, signed=True),
                c.outcome + (f", {c.direction}" if c.direction else ""),
            ]
            for c in report.verdict.checks
        ]
        out += _table(["metric", "subset", "value", "interval", "floor", "margin", "signed", "outcome"], body, left=2)

    out += ["", "## Details"]
    for subset in subsets(report):
        shown, metrics = cells_of(report, subset)
        out += ["", f"### {_escape(SUBSET_NAMES.get(subset, subset))}", ""]
        header = ["metric", *(f"{m.label} ({m.context})" if m.context else m.label for m in shown)]
        out += _table(header, [[name, *(format_cell(cell) for cell in cells)] for name, cells in metrics])
    known = explained(report)
    if known:
        out += ["", "### How to read the metrics", ""]
        out += [
            f"- **{_escape(r.name)}**: {_escape(r.description)} {_escape(r.warning)}".rstrip() + f" ({_escape(r.source)})"
            for r in known
        ]
    if report.meta.get("notes"):
        out += ["", "## Notes", "", *(f"- {_escape(str(note))}" for note in report.meta["notes"])]
    if provenance(report):
        out += ["", "## Provenance", "", *_table(["fact", "value"], provenance(report), left=2)]
    if not models(report):
        out += ["", "Nothing was measured."]
    return "\n".join(out) + "\n"
