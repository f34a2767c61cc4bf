"""The shipped contract, over every registered method on every tiny case.

``matrix.py`` says what is served, what stands for the rest and what is owed. Of a method's cases in one family of tasks the fast
suite runs one; the others are marked slow.
"""

from __future__ import annotations

import difflib
import itertools

import pytest

from graphforget.base import weights_digest
from graphforget.base.tags import unmet
from graphforget.tasks import TASKS
from graphforget.testing import TINY_CASES, TINY_TASKS, check_unlearner, tiny_case
from graphforget.testing.report import ContractError
from graphforget.unlearners import METHODS

from .matrix import MAY_NOT_APPLY, REFUSALS, families, fresh, made, owed, reasons, refusals, representatives, served


def slow_unless(fast):
    return () if fast else pytest.mark.slow


CELLS = [
    pytest.param(method, case, marks=slow_unless(case in representatives(method))) for method in METHODS for case in TINY_CASES
]
CORNERS = [(method, number) for method in METHODS for number in range(1, len(METHODS[method].test_params()))]
FIRST = [cases[0] for cases in families().values()]


# ---- the matrix ---------------------------------------------------------------------------------------------------
def test_every_registered_task_has_a_tiny_case():
    assert set(TINY_TASKS) == set(TASKS) == {case.partition("/")[0] for case in TINY_CASES}


def test_every_method_serves_some_case_and_has_one_cell_in_every_family():
    assert all(any(served(method, case) for case in TINY_CASES) for method in METHODS)
    for method in METHODS:
        chosen = representatives(method)
        assert len(chosen) == len(families())
        for case, cases in zip(chosen, families().values(), strict=True):
            assert case in cases and (served(method, case) or not any(served(method, other) for other in cases))


def test_what_is_refused_is_what_is_written_down():
    """A method that silently stops serving a case, or serves one more, shows here as a difference."""
    lines = difflib.unified_diff(
        REFUSALS.read_text(encoding="utf-8").splitlines(), refusals().splitlines(), "written down", "now", lineterm="", n=1
    )
    difference = "\n".join(lines)
    assert not difference, f"{difference}\nwhere this is meant: make refusals"


@pytest.mark.parametrize("method", METHODS)
def test_refusals_follow_from_the_tags(method):
    """A refusal names a tag that the method sets, one of its parameters, or the model; and no unmet tag is passed over."""
    tags, instance = METHODS[method].tags, made(method)
    for case in TINY_CASES:
        one = fresh(case)
        for name, why in reasons(method, case).items():
            codes = [reason.code for reason in why]
            by_tags = [reason.code for reason in unmet(tags, one.task, one.requests[name], one.model(), one.history)]
            assert codes[: len(by_tags)] == by_tags
            assert set(codes[len(by_tags) :]) <= {*instance.get_params(), "model"}


@pytest.mark.parametrize("case", TINY_CASES)
def test_some_method_serves_every_request(case):
    assert {name for method in METHODS for name in served(method, case)} == set(tiny_case(case).requests)


# ---- the checks ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "case"), CELLS)
def test_contract(method, case):
    try:
        report = check_unlearner(method, tasks=[case])
    except ContractError as error:
        report = error.report
    assert not report.failed, report.summary()
    executed = {(check.name, check.request) for check in report.executed}
    expected = owed(method, case)
    assert executed == expected, f"not run: {expected - executed}; run, but not owed by the tags: {executed - expected}"
    left_out = [check for check in report.checks if check not in report.executed]
    assert all(check.name in MAY_NOT_APPLY and check.reason for check in left_out), left_out


@pytest.mark.parametrize(("method", "number"), CORNERS)
def test_every_parameter_set_for_tests_passes(method, number):
    """``test_params()[1:]`` are corners of a method; one case suffices for each."""
    cls = METHODS[method]
    case = next(c for c in TINY_CASES if served(method, c))
    report = check_unlearner(cls(**cls.test_params()[number]), tasks=[case])
    assert {"finite", "sequence", "copies and saves"} <= {check.name for check in report.executed}


@pytest.mark.parametrize("case", [pytest.param(c, marks=slow_unless(c in FIRST)) for c in TINY_CASES])
def test_no_two_methods_agree_in_weights_and_serving(case):
    name = next(iter(tiny_case(case).requests))
    alike: dict[str, list] = {}
    for method in METHODS:
        if name in served(method, case):
            result = tiny_case(case).unlearn(method, name)
            alike.setdefault(weights_digest(result.model), []).append(result)
    assert sum(map(len, alike.values())) >= 5, f"only {len(alike)} methods serve the first request of '{case}'"
    pairs = [pair for results in alike.values() for pair in itertools.combinations(results, 2)]
    assert [(a.method, b.method) for a, b in pairs if a.serving.same_as(b.serving)] == []


def test_labels_tell_apart_what_differs_in_a_parameter():
    """A label names the parameters that differ from their defaults, so that two results of one method cannot be taken for one."""
    one = tiny_case("recommendation")
    settings = [{"epochs": 1}, {"epochs": 1, "alpha": 0.25}, {"epochs": 1, "lr": None}, {"epochs": 2}, {}]
    labels = [one.unlearn("mmrecun", "interactions", **(params or {"epochs": 3})).label for params in settings]
    assert labels == [
        "mmrecun(epochs=1)",
        "mmrecun(alpha=0.25, epochs=1)",
        "mmrecun(lr=None, epochs=1)",
        "mmrecun(epochs=2)",
        "mmrecun",
    ]
