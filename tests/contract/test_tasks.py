"""The contract of a task, over every registered task and every kind of request."""

from __future__ import annotations

import pytest

from graphforget.testing import TASK_CHECKS, TINY_TASKS, check_task, tiny_data, tiny_requests, tiny_task
from graphforget.testing.report import ContractError

PAIRS = [(task, name) for task in TINY_TASKS for name in tiny_requests(task)]


def left_out(task, name):
    """What has nothing to say: sides of a request that names no class, dead rows where every removed example can still be read."""
    request = tiny_requests(task)[name]
    split = tiny_task(task).split(tiny_data(task), request)
    rules = {
        "sides": not {"class", "node_class"} & set(request.kinds),
        "dead rows are NaN": not len(split.removed) or split.readable("removed", "retained"),
    }
    return {check for check, applies_not in rules.items() if applies_not}


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_contract(task, name):
    try:
        report = check_task(tiny_task(task), tiny_data(task), tiny_requests(task)[name])
    except ContractError as error:
        pytest.fail(str(error))
    assert tuple(check.name for check in report.checks) == TASK_CHECKS
    assert {check.name for check in report.checks if check.outcome == "not applicable"} == left_out(task, name)


def test_every_check_applies_to_some_request():
    assert not set.intersection(*(left_out(task, name) for task, name in PAIRS))
