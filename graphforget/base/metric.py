"""What a metric says about itself, and how one that others wrote is measured.

A metric is a pure function; its :class:`MetricRecord` tells reports, the command line and the verdict which values are possible,
what to aim at, and what the number cannot show. Most of our own are rows of every report. One with ``compute`` is measured where
it is asked for, ``evaluate(result, metrics=["name"])``, on every model and every subset of the elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from graphforget.exceptions import InputError

__all__ = ["Measured", "MetricGroup", "MetricRecord", "MetricTarget", "collect_records"]

MetricGroup = Literal["utility", "forgetting", "privacy", "representation", "relearning", "cost"]
MetricTarget = Literal["max", "min", "gold"]


@dataclass(frozen=True, eq=False)
class Measured:
    """What one model says of one subset of the elements: what a metric's ``compute`` receives.

    Every model is asked about the same elements with the same draws, so values of different roles compare.

    Attributes:
        role: ``original``, ``unlink`` (the original on an input without the forgotten part), ``unlearned`` or ``gold``.
        subset: ``deleted``, ``retained``, ``hop1``, ``hop2``, ``far``, ``twins``, ``test`` or ``test_forget``.
        output_kind: What the outputs are; see :class:`~graphforget.base.Task`.
        index: [n] or [n, 2], the elements' ids.
        outputs: [n, ...], float64 on the CPU: logits [n, C] of classes, logits [n] of links, margins [n] of interactions.
        targets: [n], labels.
        gold: [k, n, ...], what gold models say, the judged one left out; None unless the metric ``needs_gold``.
    """

    role: str
    subset: str
    output_kind: str
    index: Tensor
    outputs: Tensor
    targets: Tensor
    gold: Tensor | None = None


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
        compute: From :class:`Measured` to one value per element, [n] (the report then has their mean and its interval), one
            number, or None where the metric has no meaning. It may raise :class:`~graphforget.InputError` where it cannot be
            measured; the report then says so.

    Raises:
        InputError: If a field is empty or outside the allowed values.

    Example:
        >>> MetricRecord("accuracy", "utility", (0.0, 1.0), "max", False, "standard", "Share of right labels.").target
        'max'
        >>> def largest(measured):
        ...     return measured.outputs.flatten(1).amax(1) if measured.outputs.dim() > 1 else None
        >>> inf = float("inf")
        >>> record = MetricRecord("largest", "forgetting", (-inf, inf), "gold", False, "ours", "Largest logit.", compute=largest)
    """

    name: str
    group: MetricGroup
    range: tuple[float, float]
    target: MetricTarget
    needs_gold: bool
    source: str
    description: str
    warning: str = ""
    compute: Callable[[Measured], Tensor | float | None] | None = None

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
