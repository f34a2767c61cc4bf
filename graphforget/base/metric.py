"""What a metric says about itself: a record beside the function, no registry and no decorator.

A metric is a pure function in ``graphforget.metrics``; its :class:`MetricRecord` tells reports, the command line and
the verdict which values are possible, what to aim at, and what the number cannot show.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from graphforget.exceptions import InputError

__all__ = ["MetricGroup", "MetricRecord", "MetricTarget", "collect_records"]

MetricGroup = Literal["utility", "forgetting", "privacy", "representation", "relearning", "cost"]
MetricTarget = Literal["max", "min", "gold"]


@dataclass(frozen=True)
class MetricRecord:
    """Declaration of one metric.

    Attributes:
        name: Key in tables and files, for example ``"mean_abs_dp"``.
        group: One of ``utility, forgetting, privacy, representation, relearning, cost``.
        range: Smallest and largest possible value (``float("inf")`` where unbounded).
        target: ``"max"``, ``"min"``, or ``"gold"`` when the value of a model that never saw the data is the aim.
        needs_gold: True if the metric cannot be computed without a gold model.
        source: Paper or project that defined it.
        description: One sentence for a person who meets the number for the first time.
        warning: What the number is known to get wrong, or ``""``.

    Raises:
        InputError: If a field is empty or outside the allowed values.

    Example:
        >>> MetricRecord("accuracy", "utility", (0.0, 1.0), "max", False, "standard", "Share of right labels.").target
        'max'
    """

    name: str
    group: MetricGroup
    range: tuple[float, float]
    target: MetricTarget
    needs_gold: bool
    source: str
    description: str
    warning: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "source", "description"):
            if not getattr(self, field):
                raise InputError(f"A metric record needs a non-empty {field}; write one sentence or a reference there.")
        if self.group not in get_args(MetricGroup):
            raise InputError(
                f"Metric {self.name!r} has the group {self.group!r}; choose one of {', '.join(get_args(MetricGroup))}."
            )
        if self.target not in get_args(MetricTarget):
            raise InputError(
                f"Metric {self.name!r} has the target {self.target!r}; choose one of {', '.join(get_args(MetricTarget))}."
            )
        low, high = self.range
        if not low < high:
            raise InputError(f"Metric {self.name!r} has the range {self.range}; give (lowest, highest) with lowest < highest.")


def collect_records(*groups: Iterable[MetricRecord]) -> dict[str, MetricRecord]:
    """Join the records of several modules into one dictionary, keyed by name.

    Raises:
        InputError: If two records share a name.
    """
    records: dict[str, MetricRecord] = {}
    for group in groups:
        for record in group:
            if record.name in records:
                raise InputError(f"Two metrics are called {record.name!r}; rename one of them.")
            records[record.name] = record
    return records
