"""Reset and repair: row reset, then training on what is retained."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from graphforget.base import FitLog, Outcome, Run, Tags, Task, Unlearner
from graphforget.exceptions import Reason
from graphforget.requests import DeletionRequest
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.steps import descend, epoch_batches, full_loss, make_adam, retain_view
from graphforget.unlearners.recommendation._shared.rows import SCOPES, row_reasons, surgery


class ResetRepair(Unlearner):
    """``row_reset``, then a few epochs of the task's own training on the retained interactions.

    The repair lets the neighbourhood of what is gone settle; it teaches the model nothing about forgetting: what the rows
    of others remember of the forgotten is nowhere in its loss. Optimiser moments start at zero. With ``reset="requested"`` and
    ``epochs=0`` this is ``row_reset``.

    Args:
        epochs: Passes over the retained interactions.
        lr: Adam's learning rate; None is the recipe's.
        reset: As in ``row_reset``.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> ResetRepair(epochs=2).get_params()
        {'epochs': 2, 'lr': None, 'reset': 'requested'}
    """

    tags: ClassVar[Tags] = Tags(
        key="reset_repair",
        summary="Fresh rows, then epochs on the retained interactions.",
        citation="graphforget",
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"retained"}),
        reads_forget=False,
        needs_entity_rows=True,
        needs_modality_rows=True,
        forgotten_rows="reset",
    )

    def __init__(self, *, epochs: int = 1, lr: float | None = None, reset: str = "requested") -> None:
        check_count("epochs", epochs)
        check_number("lr", lr, low=0, open_low=True, none="the recipe's")
        check_choice("reset", reset, SCOPES)
        self.epochs, self.lr, self.reset = epochs, lr, reset

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """One epoch, and the wider reset."""
        return [{"epochs": 1}, {"epochs": 1, "reset": "touched"}]

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons against; an interaction has no row of its own."""
        return super().supports(task, request, model, history) + row_reasons(request, self.reset)

    def _unlearn(self, run: Run) -> Outcome:
        info = surgery(run, self.reset)
        task, view = run.task, retain_view(run)
        optimizer = make_adam(task, run.model, self.lr, weight_decay=None)
        for epoch in range(1, self.epochs + 1):
            total, seen = 0.0, 0
            for batch in epoch_batches(task, view, run.generator):
                total += descend(optimizer, full_loss(task, run.model, batch)) * len(batch)
                seen += len(batch)
            run.record(epoch, self.epochs, loss=total / max(seen, 1))
        return Outcome(info={"epochs": self.epochs, "lr": optimizer.param_groups[0]["lr"], **info})
