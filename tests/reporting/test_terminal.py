from __future__ import annotations

import io

from rich.console import Console

from graphforget.reporting import Report
from graphforget.reporting.terminal import WIDTH


def test_text_starts_with_the_verdict_and_fits(report, hostile_report):
    for one in (report, hostile_report):
        lines = str(one).splitlines()
        assert lines[0].startswith("INSUFFICIENT: On deleted elements")
        assert max(map(len, lines)) <= WIDTH
    assert "unlearned: d2dgn" in str(report) and "gold: retrain (n=3)" in str(report) and "noise floor" in str(report)


def test_rich_shows_every_header_and_row_in_100_columns(report):
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, color_system=None).print(report)
    text = stream.getvalue()
    assert text.lstrip().startswith("INSUFFICIENT")
    assert "…" not in text
    for word in ("|dp| test", "seconds", "retained", "unlearned: d2dgn", "noise floor"):
        assert word in text


def test_rich_markup_in_data_is_shown_not_obeyed():
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, color_system=None).print(
        Report([], None, "[red]title[/red]", {"notes": ["[bold]note[/bold]"]})
    )
    assert "[bold]note[/bold]" in stream.getvalue()


def test_no_verdict_is_said():
    assert str(Report([], None, "t")).startswith("NO VERDICT")
