"""The shipped contract, over every registered method on every registered task."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

from graphforget.base import Unlearner
from graphforget.tasks import TASKS
from graphforget.testing import TINY_TASKS, UNLEARNER_CHECKS, CheckReport, check_unlearner, tiny_case
from graphforget.testing.probe import same_weights
from graphforget.testing.report import ContractError
from graphforget.unlearners import METHODS

# Checks that ran to a verdict over all tasks. A check that no longer runs, or a task that a method no longer supports, must
# show here. A method without a line is held to what every method owes for the requests that it supports.
MINIMUM = {
    "d2dgn": 63,
    "finetune": 67,
    "gnndelete": 38,
    "gradient_ascent": 63,
    "identity": 65,
    "retrain": 71,
    "salun": 67,
    "shadow_distill": 25,
    "unlink": 41,
}
# What may have nothing to say for a shipped method. Everything else must run wherever the method supports the task.
# Methods whose models no tiny case has; tests/unlearners/recommendation run the shipped checks on cases of theirs.
OWN_CASES = {"ease_downdate", "ials_resolve"}
MAY_NOT_APPLY = {"forgotten content unread", "exact", "declared frozen", "another method follows"}
ONCE = {"construction", "tags", "refuses unsupported"}


@cache
def report_of(method: str, task: str) -> CheckReport:
    try:
        return check_unlearner(method, tasks=[task])
    except ContractError as error:
        return error.report


def supported(method: str, task: str) -> int:
    """How many of a task's requests a method supports."""
    case, cls = tiny_case(task), METHODS[method]
    instance: Unlearner = cls(**cls.test_params()[0])
    return sum(not instance.supports(case.task, request, case.model(), case.history) for request in case.requests.values())


def owed(method: str) -> int:
    """Every check that always applies, once per supported task, and one per further supported request."""
    always = len(set(UNLEARNER_CHECKS) - MAY_NOT_APPLY - {"every request"})
    counts = [supported(method, task) for task in TINY_TASKS]
    return sum(always + count - 1 if count else len(ONCE) for count in counts)


def test_every_registered_task_has_a_tiny_case():
    assert set(TINY_TASKS) == set(TASKS)


@pytest.mark.parametrize("task", TINY_TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_contract(method, task):
    report = report_of(method, task)
    assert not report.failed, report.summary()
    skipped = {c.name: c.reason for c in report.checks if c.outcome == "not applicable"}
    assert set(skipped) <= MAY_NOT_APPLY and all(skipped.values()), skipped
    expected = set(UNLEARNER_CHECKS) if supported(method, task) else ONCE
    assert {c.name for c in report.checks} == expected


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_executed_checks(method):
    executed = sum(len(report_of(method, task).executed) for task in TINY_TASKS)
    assert executed >= max(MINIMUM.get(method, 0), owed(method)), "checks that used to run do not run any more"


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_set_for_tests_passes(method):
    """``test_params()[1:]`` are corners of a method; one task suffices for each."""
    cls = METHODS[method]
    task = next((t for t in TINY_TASKS if supported(method, t)), None)
    if task is None:
        assert method in OWN_CASES, f"'{method}' serves no tiny case"
        pytest.skip("made for models in closed form: its own tests run the contract")
    for params in cls.test_params()[1:]:
        assert not check_unlearner(cls(**params), tasks=[task]).failed


@pytest.mark.parametrize("task", TINY_TASKS)
def test_no_two_methods_agree_in_weights_and_serving(task):
    results = {
        m: r
        for m in METHODS
        for (_, name), r in report_of(m, task).results.items()
        if name == next(iter(tiny_case(task).requests))
    }
    assert len(results) >= 5, f"only {sorted(results)} serve the first request of '{task}'"
    same = [
        (a, b)
        for a, b in itertools.combinations(results, 2)
        if same_weights(results[a].model, results[b].model) and results[a].serving.same_as(results[b].serving)
    ]
    assert same == []


@pytest.mark.parametrize("task", TINY_TASKS)
def test_some_method_serves_every_request(task):
    names = {name for m in METHODS for (_, name) in report_of(m, task).results}
    assert names == set(tiny_case(task).requests)
