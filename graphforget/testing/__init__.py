"""Checks that any method, task or metric can be put through, and tiny data to do it with.

Nothing here needs pytest: a failed check raises :class:`ContractError`, an ``AssertionError`` with one sentence per failure.

Example:
    >>> from graphforget.testing import check_unlearner
    >>> report = check_unlearner("finetune", tasks=["image_classification"])
    >>> report.failed
    ()
"""

from __future__ import annotations

from graphforget.testing.metrics import check_metric
from graphforget.testing.report import Check, CheckReport, ContractError
from graphforget.testing.tasks import TASK_CHECKS, check_task
from graphforget.testing.tiny import TINY_CASES, TINY_TASKS, TinyCase, tiny_case, tiny_data, tiny_requests, tiny_task
from graphforget.testing.unlearners import UNLEARNER_CHECKS, check_unlearner

__all__ = [
    "TASK_CHECKS",
    "TINY_CASES",
    "TINY_TASKS",
    "UNLEARNER_CHECKS",
    "Check",
    "CheckReport",
    "ContractError",
    "TinyCase",
    "check_metric",
    "check_task",
    "check_unlearner",
    "tiny_case",
    "tiny_data",
    "tiny_requests",
    "tiny_task",
]
