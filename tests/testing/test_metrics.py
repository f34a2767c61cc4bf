from __future__ import annotations

import itertools

import pytest

from graphforget.base.metric import MetricRecord
from graphforget.testing import ContractError, check_metric

CLOCK = itertools.count()
SHARE = MetricRecord("share", "utility", (0.0, 1.0), "max", False, "example", "A share of something.")


def test_a_metric_inside_its_range_passes():
    assert len(check_metric(SHARE, lambda a, b: a / b, [(0, 2), (2, 2), (1, 3)]).executed) == 4


@pytest.mark.parametrize(
    ("fn", "samples", "sentence"),
    [
        (lambda a: a, [(1.5,)], r"1.5 lies outside the declared range \[0, 1\]"),
        (lambda a: a, [(float("nan"),)], "the value is NaN"),
        (lambda a: a, [], "nothing was checked"),
        (lambda a: next(CLOCK) / 100, [(1,)], "two different values"),
        (lambda a: "x", [(1,)], "it raised ValueError"),
    ],
)
def test_a_broken_metric_is_caught(fn, samples, sentence):
    with pytest.raises(ContractError, match=sentence):
        check_metric(SHARE, fn, samples)
