from __future__ import annotations

import pytest

from graphforget.testing.report import Check, CheckReport, ContractError, NotApplicable, require


def test_every_outcome_is_recorded_with_its_reason():
    report = CheckReport("subject")

    def skip():
        raise NotApplicable("nothing to see")

    assert report.run("good", "t", "r", lambda: None)
    assert not report.run("bad", "t", "r", lambda: require(False, "it is wrong"))
    assert not report.run("odd", "t", "", lambda: 1 / 0)
    assert not report.run("empty", "", "", skip)
    assert [(c.name, c.outcome) for c in report.checks] == [
        ("good", "passed"),
        ("bad", "failed"),
        ("odd", "failed"),
        ("empty", "not applicable"),
    ]
    assert [c.name for c in report.failed] == ["bad", "odd"] and [c.name for c in report.executed] == ["good", "bad", "odd"]
    assert report.counts() == {"good": 1, "bad": 1, "odd": 1}
    assert "it raised ZeroDivisionError: division by zero" in str(report) and "nothing to see" in str(report)


def test_failures_are_raised_together_one_sentence_each():
    report = CheckReport("subject", [Check("a", "t", "r", "failed", "first"), Check("b", "", "", "failed", "second")])
    with pytest.raises(ContractError) as caught:
        report.raise_if_failed()
    assert str(caught.value) == "subject: 2 checks executed, 2 failed.\n  a [t/r]: failed, first\n  b: failed, second"
    assert caught.value.report is report and isinstance(caught.value, AssertionError)


def test_a_bare_assertion_is_a_failure_too():
    report = CheckReport("subject")

    def bare():
        assert False  # noqa: B011 - what a third party's check may do

    report.run("bare", "", "", bare)
    assert report.failed[0].reason


def test_a_clean_report_is_returned():
    report = CheckReport("subject", [Check("a", "", "", "passed")])
    assert report.raise_if_failed() is report
