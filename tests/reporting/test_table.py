from __future__ import annotations

import math

import pytest

from graphforget.reporting import Report, Row
from graphforget.reporting.table import flatten, format_value, primary_table


def test_summary_reads_from_before_to_gold_with_the_floor_last(report):
    columns, lines = primary_table(report)
    assert [model.role for model, _ in lines] == ["original", "original", "identity", "unlink", "unlearned", "gold", "floor"]
    assert [c.metric for c in columns] == [
        "roc_auc",
        "mean_abs_dp",
        "mean_abs_dp",
        "mean_abs_dp",
        "signed_dp",
        "js",
        "mia_auc",
        "seconds",
    ]
    unlearned = dict(lines)[lines[4][0]]
    assert unlearned[1].value == pytest.approx(0.04) and unlearned[1].ratio == pytest.approx(2.0)
    gold = lines[5][1][1]
    assert gold.count == 3 and gold.value == pytest.approx(0.022) and gold.spread == pytest.approx(0.001)


def test_unknown_roles_stand_before_the_judged_model_and_empty_columns_go():
    rows = [Row(role, "retained", "test", "accuracy", 0.5, 0) for role in ("gold", "unlearned", "noise")]
    columns, lines = primary_table(Report(rows, None, "t"))
    assert [model.role for model, _ in lines] == ["noise", "unlearned", "gold"] and len(columns) == 1
    assert primary_table(Report([], None, "t")) == ([], [])


def test_figures_are_short():
    for value in (0.1234, 12.34, 12345.6, -0.5, 1e-7, math.nan, math.inf, 0.0):
        assert len(format_value(value, signed=True)) <= 7
    assert format_value(0.00001) == "1e-05" and format_value(0.0) == "0.000"


def test_nested_facts_are_flattened():
    assert flatten({"a": {"b": [1, 2]}, "c": None, "d": [{"e": True}]}) == [("a.b", "1, 2"), ("c", "none"), ("d.1.e", "yes")]
    assert "20 in all" in flatten({"ids": list(range(20))})[0][1]
