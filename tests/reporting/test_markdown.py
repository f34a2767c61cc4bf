from __future__ import annotations

from graphforget.reporting import Report


def test_all_sections_and_roles_are_there(report):
    text = report.to_markdown()
    for word in (
        "# Forgetting 100 edges",
        "**✖ Insufficient.**",
        "## What was asked",
        "## Result",
        "## Checks behind the verdict",
        "## Details",
        "## Provenance",
        "original",
        "identity",
        "unlink",
        "unlearned",
        "gold",
        "noise floor",
        "2.0× floor",
        "under-forgotten",
    ):
        assert word in text, word


def test_tables_keep_their_shape_whatever_the_data_says(hostile_report):
    width = None
    for line in hostile_report.to_markdown().splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert width in (None, cells)
            width = cells
        else:
            width = None
    assert "<script>" not in hostile_report.to_markdown()


def test_an_empty_report_says_so():
    text = Report([], None, "t").to_markdown()
    assert "No verdict" in text and "Nothing was measured." in text
