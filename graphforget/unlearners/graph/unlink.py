"""Unlink: forget on the input only."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from graphforget.base import FitLog, Outcome, Run, Tags, Task, Unlearner
from graphforget.requests import DeletionRequest


class Unlink(Unlearner):
    """Serve the original weights on the retained input: h' = M(G_r; theta_0).

    "UtU" of Tan, Sun, Qiu, Su and Shen, "Unlink to Unlearn: Simplifying Edge Unlearning in GNNs" (WWW 2024 companion).
    It costs nothing and removes the forgotten structure from every later prediction, but nothing of what the weights
    learnt from it. On a task without an input graph it would be the identity, so it refuses there.

    Example:
        >>> Unlink().tags.changes_weights
        False
    """

    tags: ClassVar[Tags] = Tags(
        key="unlink",
        summary="Serves the original weights on the retained graph.",
        citation="Tan et al., WWW 2024 (UtU)",
        contexts=frozenset({"retained"}),
        reads_forget=False,
        reads_retain=False,
        changes_weights=False,
        state_after="exact",
    )

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[str]:
        """Reasons against; a task without an input graph is one."""
        reasons = super().supports(task, request, model, history)
        return reasons if task.has_input_graph else [*reasons, "this task has no input graph"]

    def _unlearn(self, run: Run) -> Outcome | None:
        return None
