from __future__ import annotations

import json
import math
import os

import pytest

from graphforget.exceptions import InputError
from graphforget.reporting import Check, Report, Row, Verdict


def test_json_round_trip_is_exact_and_standard(report):
    text = report.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not standard JSON"))
    assert Report.from_json(text) == report
    assert Report.from_json(text).to_json() == text


def test_numbers_that_json_lacks_survive():
    rows = [
        Row("unlearned", "retained", "deleted", "z_gap", math.inf, 0, low=-math.inf),
        Row("gold", "retained", "test", "spearman", math.nan, 1),
    ]
    back = Report.from_json(Report(rows, None, "t", curves={"c": [1.0, math.inf]}).to_json())
    assert back.rows[0] == rows[0] and math.isnan(back.rows[1].value) and back.curves == {"c": [1.0, math.inf]}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": "graphforget.report/1", "rows": [{}]}'])
def test_other_documents_are_refused(text):
    with pytest.raises(InputError):
        Report.from_json(text)


def test_words_are_checked():
    with pytest.raises(InputError, match="sufficient"):
        Verdict("good")
    with pytest.raises(InputError, match="inside"):
        Check("m", "s", 0, 0, 0, 0, 0, 0, "passed")
    with pytest.raises(InputError, match="meta"):
        Report([], None, "t", {"x": object()})
    assert Verdict("inconclusive").headline


def test_frame_has_one_line_per_row(report):
    frame = report.to_frame()
    assert len(frame) == len(report.rows) and list(frame.columns) == list(Row.__dataclass_fields__)


def test_values_selects(report):
    assert len(report.values("gold", "mean_abs_dp", "deleted")) == 3
    assert report.values("unlearned", "seconds", method="d2dgn") == [2.5]


def test_save_writes_whole_files_and_leaves_nothing_else(report, tmp_path):
    folder = report.save(tmp_path / "new" / "run")
    assert sorted(p.name for p in folder.iterdir()) == ["figures", "report.html", "report.json", "report.md"]
    assert {p.name for p in (folder / "figures").iterdir()} == {"distance_to_gold.png", "score_histograms.png", "curves.png"}
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in (folder / "figures").iterdir())
    assert Report.from_json((folder / "report.json").read_text("utf-8")) == report


def test_a_failed_write_keeps_the_old_file(report, tmp_path, monkeypatch):
    report.save(tmp_path, figures=False)
    before = (tmp_path / "report.json").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Report([], None, "other").save(tmp_path, figures=False)
    assert (tmp_path / "report.json").read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
