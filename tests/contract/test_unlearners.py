"""The shipped contract, over every registered method on every registered task, and on every kind of recommender."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

from graphforget.base import Unlearner
from graphforget.tasks import TASKS
from graphforget.testing import TINY_CASES, TINY_TASKS, UNLEARNER_CHECKS, check_unlearner, tiny_case
from graphforget.testing.report import ContractError
from graphforget.testing.snapshots import same_weights
from graphforget.unlearners import METHODS

# What may have nothing to say for a shipped method. Everything else must run wherever the method supports the case.
MAY_NOT_APPLY = {"forgotten content unread", "exact", "declared frozen", "another method follows"}
ONCE = {"construction", "tags", "refuses unsupported"}
# Checks that run to a verdict, by case in the order of TINY_CASES; len(ONCE) where the method refuses the case. A check that no
# longer runs, or a case that a method no longer supports or supports by now, must show here. A method without a line is held to
# what every method owes for the requests that it supports.
EXECUTED = {
    "amun": (3, 3, 3, 16, 16, 16, 3, 16),
    "d2dgn": (18, 17, 16, 17, 17, 17, 3, 17),
    "ease_downdate": (3, 3, 3, 3, 3, 3, 17, 3),
    "finetune": (18, 17, 16, 17, 17, 17, 3, 17),
    "gnndelete": (18, 16, 3, 3, 3, 3, 3, 3),
    "gradient_ascent": (18, 17, 16, 17, 17, 17, 3, 17),
    "graphforget_rec": (3, 3, 3, 16, 16, 17, 3, 16),
    "ials_resolve": (3, 3, 3, 3, 3, 3, 3, 16),
    "identity": (18, 17, 16, 17, 17, 17, 16, 17),
    "ifru": (3, 3, 3, 16, 16, 16, 3, 16),
    "laser": (3, 3, 3, 17, 17, 17, 16, 17),
    "mask": (3, 3, 3, 15, 15, 15, 14, 15),
    "mmrecun": (3, 3, 3, 16, 16, 16, 3, 16),
    "receraser": (3, 3, 3, 17, 17, 17, 3, 17),
    "reset_repair": (3, 3, 3, 15, 15, 16, 3, 15),
    "retrain": (19, 18, 17, 18, 18, 18, 17, 18),
    "row_reset": (3, 3, 3, 15, 15, 16, 3, 15),
    "rrl": (3, 3, 3, 16, 16, 16, 3, 16),
    "salun": (19, 18, 17, 18, 18, 18, 3, 18),
    "scif": (3, 3, 3, 16, 16, 16, 3, 16),
    "shadow_distill": (3, 17, 3, 3, 3, 3, 3, 3),
    "sisa": (3, 3, 16, 17, 17, 17, 17, 17),
    "ultrare": (3, 3, 3, 16, 16, 16, 3, 16),
    "unlink": (18, 17, 3, 3, 17, 17, 16, 3),
}
# Models are trained many times for these methods; what LightGCN does, the case with MGCN does too.
SLOW = {(method, "recommendation/lightgcn") for method in ("laser", "receraser", "retrain", "sisa", "ultrare")}
PAIRS = [
    pytest.param(method, case, marks=pytest.mark.slow if (method, case) in SLOW else ())
    for method in METHODS
    for case in TINY_CASES
]


def made(method: str) -> Unlearner:
    cls = METHODS[method]
    return cls(**cls.test_params()[0])


@cache
def supported(method: str, case: str) -> tuple[str, ...]:
    """The requests of a case that a method supports."""
    one, instance = tiny_case(case), made(method)
    return tuple(n for n, request in one.requests.items() if not instance.supports(one.task, request, one.model(), one.history))


def owed(method: str, case: str) -> int:
    """Every check that always applies, and one per further supported request."""
    always = len(set(UNLEARNER_CHECKS) - MAY_NOT_APPLY - {"every request"})
    count = len(supported(method, case))
    return always + count - 1 if count else len(ONCE)


def test_every_registered_task_has_a_tiny_case():
    assert set(TINY_TASKS) == set(TASKS) == {case.partition("/")[0] for case in TINY_CASES}


def test_every_line_of_counts_is_a_method_with_every_case():
    assert set(EXECUTED) <= set(METHODS)
    assert {len(counts) for counts in EXECUTED.values()} == {len(TINY_CASES)}


@pytest.mark.parametrize(("method", "case"), PAIRS)
def test_contract(method, case):
    try:
        report = check_unlearner(method, tasks=[case])
    except ContractError as error:
        report = error.report
    assert not report.failed, report.summary()
    skipped = {c.name: c.reason for c in report.checks if c.outcome == "not applicable"}
    assert set(skipped) <= MAY_NOT_APPLY and all(skipped.values()), skipped
    serves = supported(method, case)
    assert {c.name for c in report.checks} == (set(UNLEARNER_CHECKS) if serves else ONCE)
    counts = dict(zip(TINY_CASES, EXECUTED.get(method, ()), strict=method in EXECUTED))
    expected = max(counts.get(case, 0), owed(method, case))
    assert len(report.executed) >= expected, "checks that used to run do not run any more"
    assert bool(serves) == (expected > len(ONCE)), "the method refuses what it used to serve, or serves it by now"
    if case.startswith("recommendation") and serves:  # what a request takes away can be spoiled there, whatever the method reads
        assert "forgotten content unread" not in skipped, skipped


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_set_for_tests_passes(method):
    """``test_params()[1:]`` are corners of a method; one case suffices for each."""
    cls = METHODS[method]
    case = next((c for c in TINY_CASES if supported(method, c)), None)
    assert case is not None, f"'{method}' serves no tiny case"
    for params in cls.test_params()[1:]:
        assert not check_unlearner(cls(**params), tasks=[case]).failed


@pytest.mark.parametrize("case", TINY_CASES)
def test_no_two_methods_agree_in_weights_and_serving(case):
    one = tiny_case(case)
    name, request = next(iter(one.requests.items()))
    split = one.task.split(one.data, request)
    results = {
        m: made(m).unlearn(one.model(), one.task, split, history=one.history, seed=0)
        for m in METHODS
        if name in supported(m, case)
    }
    assert len(results) >= 5, f"only {sorted(results)} serve the first request of '{case}'"
    same = [
        (a, b)
        for a, b in itertools.combinations(results, 2)
        if same_weights(results[a].model, results[b].model) and results[a].serving.same_as(results[b].serving)
    ]
    assert same == []


@pytest.mark.parametrize("case", TINY_CASES)
def test_some_method_serves_every_request(case):
    assert {name for method in METHODS for name in supported(method, case)} == set(tiny_case(case).requests)


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
