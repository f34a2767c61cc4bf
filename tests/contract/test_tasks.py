"""The contract of a task, over every registered task and every kind of request."""

from __future__ import annotations

import pytest

from graphforget.testing import TASK_CHECKS, TINY_TASKS, check_task, tiny_data, tiny_requests, tiny_task
from graphforget.testing.report import ContractError

PAIRS = [(task, name) for task in TINY_TASKS for name in tiny_requests(task)]
MAY_NOT_APPLY = {"sides", "dead rows are NaN"}


@pytest.mark.parametrize(("task", "request_name"), PAIRS)
def test_contract(task, request_name):
    try:
        report = check_task(tiny_task(task), tiny_data(task), tiny_requests(task)[request_name])
    except ContractError as error:
        pytest.fail(str(error))
    assert tuple(c.name for c in report.checks) == TASK_CHECKS
    assert {c.name for c in report.checks if c.outcome == "not applicable"} <= MAY_NOT_APPLY


def test_checks_that_may_not_apply_do_apply_somewhere():
    executed = set()
    for task in TINY_TASKS:
        for request in list(tiny_requests(task).values())[:2]:
            executed |= {c.name for c in check_task(tiny_task(task), tiny_data(task), request).executed}
    assert executed >= MAY_NOT_APPLY
