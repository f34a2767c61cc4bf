from __future__ import annotations

import pytest

from graphforget.evaluation import drift, evaluate, sequence
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.testing import tiny_case

CASE = tiny_case("recommendation")


def chain(*items: int):
    result = CASE.unlearn("row_reset", "items")  # items 2 and 9
    for item in items:
        result = result.then(DeletionRequest.items([item]))
    return result


def test_a_sequence_is_listed_from_its_start():
    last = chain(4, 5)
    found = sequence(last)
    assert [len(r.split.lineage.digests) for r in found] == [1, 2, 3] and found[-1] is last


def test_points_are_the_reports_of_the_chosen_requests():
    last = chain(4, 5, 6)
    points = drift(last, [("recall@5", "test"), ("same_item_auc_matched", "deleted")], every=2, gold=2, cache=False)
    assert [(p["request"], p["metric"]) for p in points][::2] == [(1, "recall@5"), (2, "recall@5"), (4, "recall@5")]
    report = evaluate(last, gold=2, cache=False)
    golds = report.values("gold", "recall@5", "test")
    assert points[-2]["value"] == report.values("unlearned", "recall@5", "test")[0]
    assert (points[-2]["low"], points[-2]["high"]) == (min(golds), max(golds))
    assert points[-2]["inside"] == (min(golds) <= points[-2]["value"] <= max(golds))


def test_unknown_figures_and_no_figures_are_refused():
    with pytest.raises(InputError, match="no figure 'recall@7'"):
        drift(chain(), [("recall@7", "test")], gold=1, cache=False)
    with pytest.raises(InputError, match="at least one"):
        drift(chain(), [])
