from __future__ import annotations

import pytest

from graphforget.reporting import Check, Report, Row, Verdict

HOSTILE = "<script>alert('x')</script> | `rm` http://example.org"


def build(label: str = "insufficient", *, hostile: str = "") -> Report:
    rows: list[Row] = []

    def add(role, context, scale, *, method="", seeds=(0,), seconds=10.0):
        for seed in seeds:
            drift = 0.001 * seed
            rows.append(Row(role, context, "test", "roc_auc", 0.9 + drift, seed, method=method))
            for subset, gap in (("deleted", 0.02), ("retained", 0.01), ("test", 0.01), ("hop1", 0.015)):
                value = gap * scale + drift
                interval = {"low": value * 0.9, "high": value * 1.1} if len(seeds) == 1 else {}
                rows.append(Row(role, context, subset, "mean_abs_dp", value, seed, target=gap, method=method, **interval))
            rows.append(Row(role, context, "deleted", "signed_dp", 0.02 * (scale - 1), seed, method=method))
            rows.append(Row(role, context, "deleted", "js", 0.01 * scale, seed, method=method))
            rows.append(Row(role, context, "deleted", "mia_auc", 0.5 + 0.05 * scale, seed, method=method))
            rows.append(Row(role, context, "all", "seconds", seconds, seed, method=method))

    add("original", "original", 8)
    add("original", "retained", 4)
    add("identity", "original", 8, method="identity", seconds=0.0)
    add("unlink", "retained", 4, method="unlink", seconds=0.1)
    add("unlearned", "retained", 2, method="d2dgn", seconds=2.5)
    add("gold", "retained", 1, method="retrain", seeds=(1, 2, 3), seconds=12.0)
    for subset, gap in (("deleted", 0.02), ("retained", 0.01), ("test", 0.01), ("hop1", 0.015)):
        rows.append(Row("floor", "retained", subset, "mean_abs_dp", gap, None))
    rows.append(Row("floor", "retained", "deleted", "js", 0.01, None))
    outcome = {"sufficient": "inside", "insufficient": "outside", "inconclusive": "unclear"}[label]
    direction = None if label == "sufficient" else "under-forgotten"
    check = Check("mean_abs_dp", "deleted", 0.04, 0.036, 0.044, 0.02, 0.03, 0.02, outcome, direction)
    sentences = [
        f"On deleted elements the model is 2.0 times as far from gold as golds are from each other.{hostile}",
        "Three golds.",
    ]
    return Report(
        rows,
        Verdict(label, sentences, [check]),
        f"Forgetting 100 edges{hostile}",
        {
            "request": {"kind": "edge", "elements": 100},
            "method": "d2dgn",
            "params": {"lr": 0.01},
            "notes": [f"A note.{hostile}"],
            "provenance": {"data": f"sha256:00{hostile}"},
        },
        {"distance to teacher": [1.0, 0.5, 0.25]},
        {"deleted": {"original": [0, 0, 1, 9], "unlearned": [1, 2, 4, 3], "gold": [1, 3, 4, 2]}},
    )


@pytest.fixture
def report() -> Report:
    return build()


@pytest.fixture
def hostile_report() -> Report:
    return build(hostile=HOSTILE)
