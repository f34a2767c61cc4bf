from __future__ import annotations

from graphforget.metrics import METRICS


def test_every_record_is_found_under_its_name_and_each_group_has_one():
    assert all(name == record.name for name, record in METRICS.items())
    assert {record.group for record in METRICS.values()} == {
        "utility",
        "forgetting",
        "privacy",
        "representation",
        "relearning",
        "cost",
    }


def test_misleading_metrics_say_so_and_are_judged_against_gold():
    for name in ("shift_mia", "gnndelete_auc_f", "zrf", "ua", "mia_auc"):
        assert METRICS[name].target == "gold" and METRICS[name].warning
    assert "0.5" in METRICS["shift_mia"].warning and "0.88" in METRICS["shift_mia"].warning
