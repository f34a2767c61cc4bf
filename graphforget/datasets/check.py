"""Which task a dataset is asked for."""

from __future__ import annotations

from graphforget.exceptions import InputError
from graphforget.registry import nearest


def check_task(name: str, task: str | None, allowed: tuple[str, ...]) -> str:
    """The task to prepare data for; the first allowed one where none is given.

    Raises:
        InputError: The dataset does not serve this task.
    """
    if task is None:
        return allowed[0]
    if task not in allowed:
        raise InputError(f"dataset '{name}' does not serve task '{task}': {nearest(task, list(allowed))}")
    return task
