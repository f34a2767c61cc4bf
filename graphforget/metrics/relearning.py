"""How fast does forgotten knowledge come back? Fast relearning means that it was hidden, not gone."""

from __future__ import annotations

from collections.abc import Sequence

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError

__all__ = ["ain", "relearn_steps"]


def relearn_steps(losses: Sequence[float], original_loss: float, *, tolerance: float = 0.05) -> tuple[int, bool]:
    """First step whose forget loss is at most (1 + tolerance) times the original model's (Tarun et al. 2023).

    Args:
        losses: Forget loss before training and after each step.
        original_loss: Forget loss of the model that was trained on everything.

    Returns:
        (steps, censored). Censored means the level was not reached: the steps made are then only a lower bound.

    Example:
        >>> relearn_steps([1.0, 0.5, 0.1], 0.1)
        (2, False)
    """
    if not losses:
        raise InputError("relearn_steps needs the loss before training and after each step, got no values.")
    level = original_loss + tolerance * abs(original_loss)
    for step, loss in enumerate(losses):
        if loss <= level:
            return step, False
    return len(losses) - 1, True


def ain(unlearned_steps: int, gold_steps: int) -> float:
    """Anamnesis index: relearning steps of the unlearned model over those of gold (Chundawat et al. 2023).

    About 1: like gold. Far below 1: information is left. Far above 1: over-forgotten. NaN when gold needed none.
    """
    return unlearned_steps / gold_steps if gold_steps > 0 else float("nan")


RECORDS = (
    MetricRecord(
        "relearn_steps",
        "relearning",
        (0.0, float("inf")),
        "gold",
        False,
        "Tarun et al. 2023",
        "Training steps until the forgotten data is known as well as before.",
        "Depends on the learning rate and the cap; a capped value is a lower bound.",
    ),
    MetricRecord(
        "ain",
        "relearning",
        (0.0, float("inf")),
        "gold",
        True,
        "Chundawat et al. 2023",
        "Relearning steps relative to gold: near 1 is gold, below 1 information is left.",
    ),
)
