"""What did forgetting cost, against retraining?"""

from __future__ import annotations

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError

__all__ = ["speedup"]


def speedup(retrain_seconds: float, seconds: float) -> float:
    """How many times faster than retraining to equal validation quality; all preparation counted in ``seconds``.

    Example:
        >>> speedup(10.0, 2.0)
        5.0
    """
    if not (retrain_seconds > 0 and seconds > 0):
        raise InputError(f"Both times must be positive, got {retrain_seconds} and {seconds}.")
    return retrain_seconds / seconds


_INF = float("inf")
RECORDS = (
    MetricRecord("seconds", "cost", (0.0, _INF), "min", False, "standard", "Wall-clock seconds, preparation included."),
    MetricRecord(
        "cpu_seconds",
        "cost",
        (0.0, _INF),
        "min",
        False,
        "standard",
        "Processor seconds over all threads; steadier than the clock on a shared machine.",
    ),
    MetricRecord(
        "speedup", "cost", (0.0, _INF), "max", True, "standard", "Processor seconds of retraining over those of unlearning."
    ),
    MetricRecord("peak_memory_mb", "cost", (0.0, _INF), "min", False, "standard", "Largest memory in use, in MiB."),
    MetricRecord("retain_read", "cost", (0.0, 1.0), "min", False, "standard", "Share of the retained data that the method read."),
    MetricRecord("forward_samples", "cost", (0.0, _INF), "min", False, "standard", "Examples sent forward through a model."),
    MetricRecord("backward_samples", "cost", (0.0, _INF), "min", False, "standard", "Examples sent backward through a model."),
)
