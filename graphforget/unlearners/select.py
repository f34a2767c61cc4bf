"""``method="auto"``: the method that our benchmarks put nearest to gold for a task and request.

The choice looks at the task, the request and the model only, never at test data, a forget score or gold.
"""

from __future__ import annotations

from torch import nn

from graphforget.base import Task
from graphforget.exceptions import Reason, UnsupportedError
from graphforget.requests import DeletionRequest
from graphforget.unlearners import METHODS

# Best first; a method is tried for the tasks that its tags name. Those for one kind of model refuse every other.
RANKED = ("ease_downdate", "ials_resolve", "shadow_distill", "graphforget_rec", "reset_repair", "finetune", "retrain")


def candidates(task: Task, request: DeletionRequest) -> list[str]:
    """Methods to try, best first.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> case = tiny_case("recommendation")
        >>> candidates(case.task, case.requests["items"])[:3]
        ['ease_downdate', 'ials_resolve', 'graphforget_rec']
    """
    tasks = {key: METHODS[key].tags.tasks for key in RANKED}
    return [key for key, served in tasks.items() if served is None or task.name in served]


def choose_method(task: Task, request: DeletionRequest, model: nn.Module) -> str:
    """The first candidate that supports the task, request and model.

    Raises:
        UnsupportedError: None does; the reasons of the last are given.
    """
    reasons: list[Reason] = []
    for key in candidates(task, request):
        reasons = METHODS[key]().supports(task, request, model)
        if not reasons:
            return key
    raise UnsupportedError("auto", reasons)
