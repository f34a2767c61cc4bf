"""Metrics and attacks that the caller asks for, ours and those of others: rows of the report for every role.

A metric (:class:`~graphforget.base.metric.MetricRecord` with ``compute``) is handed one model's outputs on one subset, an attack
(:class:`~graphforget.base.attack.AttackRecord` with ``compute``) the statistics that it declares. Neither sees a model or data,
and neither decides the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from graphforget.attacks import ATTACKS
from graphforget.base import Task
from graphforget.base.attack import AttackRecord, received
from graphforget.base.metric import Measured, MetricRecord
from graphforget.evaluation.judged import Judged, Subset
from graphforget.exceptions import InputError
from graphforget.metrics import METRICS, bootstrap_interval
from graphforget.metrics.divergence import confidence, margin
from graphforget.registry import Registry
from graphforget.reporting import Row

# Recomputed from rounded float64 figures, a value at the end of its range may lie a little outside.
_SLACK = 1e-9
REAL = (-math.inf, math.inf)


def requested_metrics(given: Sequence[str | MetricRecord]) -> list[MetricRecord]:
    """Metrics by name, path or record.

    Raises:
        InputError: Unknown, twice the same name, a name of ours for another metric, or one that is not measured on request.
    """
    return _requested(given, METRICS, MetricRecord)


def requested_attacks(given: Sequence[str | AttackRecord]) -> list[AttackRecord]:
    """Attacks by name, path or record.

    Raises:
        InputError: As :func:`requested_metrics`.
    """
    return _requested(given, ATTACKS, AttackRecord)


def _requested(given: Sequence[Any], registry: Registry, kind: type) -> list[Any]:
    if isinstance(given, (str, kind)):
        raise InputError(f"{registry.kind}s are given as a list, for example {registry.kind}s=[{given!r}].")
    found: dict[str, Any] = {}
    for one in given:
        record = registry[one] if isinstance(one, str) else one
        if not isinstance(record, kind):
            raise InputError(f"a {registry.kind} is given by name, by path or as {kind.__name__}, got {one!r}.")
        name = record.name  # type: ignore[attr-defined]
        if name in registry.shipped and registry[name] is not record:
            raise InputError(f"the {registry.kind} '{name}' has the name of one of graphforget's own: choose another.")
        if record.compute is None:  # type: ignore[attr-defined]
            able = [key for key in registry.shipped if registry[key].compute is not None]
            raise InputError(
                f"the {registry.kind} '{name}' is not measured on request: the report has its figures where the task has them. "
                f"Of graphforget's own, {', '.join(able)} can be asked for."
            )
        if found.setdefault(name, record) is not record:
            raise InputError(f"two {registry.kind}s are called '{name}'; rename one of them.")
    return list(found.values())


@dataclass(eq=False)
class Requested:
    """Measures what was asked for, model by model, and collects what could not be measured.

    Attributes:
        task: The task.
        subsets: The elements.
        golds: The gold models.
        metrics: From :func:`requested_metrics`.
        attacks: From :func:`requested_attacks`.
        notes: Sentences for the report.
    """

    task: Task
    subsets: Mapping[str, Subset]
    golds: Sequence[Judged]
    metrics: Sequence[MetricRecord]
    attacks: Sequence[AttackRecord]
    notes: list[str] = field(default_factory=list)

    def rows(self, judged: Judged, start: Judged) -> list[Row]:
        """Rows of one model; ``start`` is the model before, with which it is compared."""
        others = [gold for gold in self.golds if gold is not judged]
        rows = [row for metric in self.metrics for row in self._metric(metric, judged, others)]
        return rows + [row for attack in self.attacks for row in self._attack(attack, judged, others, start)]

    def records(self) -> list[dict[str, Any]]:
        """What the report says of the metrics and attacks, so that it can be read where they are not installed."""
        kinds: list[tuple[str, Sequence[MetricRecord | AttackRecord]]] = [("metric", self.metrics), ("attack", self.attacks)]
        return [
            {"kind": kind, "name": one.name, "description": one.description, "warning": one.warning, "source": one.source}
            | ({"group": one.group, "target": one.target} if isinstance(one, MetricRecord) else {})
            for kind, records in kinds
            for one in records
        ]

    # ---- metrics ------------------------------------------------------------------------------------------------
    def _metric(self, metric: MetricRecord, judged: Judged, others: list[Judged]) -> list[Row]:
        if metric.needs_gold and not others:
            self._note(f"The metric '{metric.name}' needs a second gold model to be measured on gold: ask for more.")
            return []
        rows = []
        for name, subset in self.subsets.items():
            gold = torch.stack([one.outputs[name] for one in others]) if metric.needs_gold else None
            kind = self.task.output_kind
            measured = Measured(judged.role, name, kind, subset.index, judged.outputs[name].clone(), subset.y, gold)
            what = f"the metric '{metric.name}' on the '{name}' elements of a model of role '{judged.role}'"
            value = self._run(what, metric, (measured,))
            if value is None:
                continue
            interval: tuple[float | None, float | None] = (None, None)
            if isinstance(value, Tensor) and value.dim() > 0:
                if value.shape != (len(subset),):
                    raise InputError(
                        f"{what} must be one value per element, [{len(subset)}], or a number; got {list(value.shape)}."
                    )
                values = value.double()
                value, interval = float(values.mean()), bootstrap_interval(values)
            figure = _number(what, value, metric.range)
            rows.append(
                Row(
                    judged.role,
                    judged.context,
                    name,
                    metric.name,
                    figure,
                    judged.seed,
                    method=judged.method,
                    low=interval[0],
                    high=interval[1],
                )
            )
        return rows

    # ---- attacks ------------------------------------------------------------------------------------------------
    def _attack(self, attack: AttackRecord, judged: Judged, others: list[Judged], start: Judged) -> list[Row]:
        wanted = [received(text) for text in attack.receives]
        lacking = sorted({one.subset for one in wanted} - set(self.subsets))
        if lacking:
            self._note(f"The attack '{attack.name}' was not run: there are no '{lacking[0]}' elements here.")
            return []
        if not others and any(one.source == "gold" for one in wanted):
            self._note(f"The attack '{attack.name}' needs a second gold model to be run on gold: ask for more.")
            return []
        arguments = []
        for one in wanted:
            if one.source == "gold":
                arguments.append(torch.stack([self._quantity(gold, one.quantity, one.subset) for gold in others]))
            else:
                arguments.append(self._quantity(start if one.source else judged, one.quantity, one.subset))
        what = f"the attack '{attack.name}' on a model of role '{judged.role}'"
        value = self._run(what, attack, arguments)
        if value is None:
            return []
        figures = (
            {f"{attack.name}_{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {attack.name: value}
        )
        taken = [name for name in figures if name in METRICS.shipped or name in {metric.name for metric in self.metrics}]
        if taken:
            raise InputError(
                f"{what} gives a figure '{taken[0]}', which is the name of a metric: rename the attack or its figure."
            )
        return [
            Row(
                judged.role,
                judged.context,
                wanted[0].subset,
                name,
                _number(what, figure, REAL),
                judged.seed,
                method=judged.method,
            )
            for name, figure in figures.items()
        ]

    def _quantity(self, judged: Judged, quantity: str, name: str) -> Tensor:
        subset, outputs = self.subsets[name], judged.outputs[name]
        if quantity in ("targets", "elements"):
            return subset.y if quantity == "targets" else subset.index
        if quantity == "outputs":
            return outputs.clone()
        return (confidence if quantity == "confidences" else margin)(self.task.output_kind, outputs, subset.y)

    # ---- help ---------------------------------------------------------------------------------------------------
    def _run(self, what: str, record: MetricRecord | AttackRecord, arguments: Sequence[Any]) -> Any:
        """The value, or None where there is none to be had.

        Raises:
            InputError: The code of the metric or attack failed.
        """
        assert record.compute is not None
        try:
            return record.compute(*arguments)
        except InputError as error:
            self._note(f"{what[:1].upper()}{what[1:]} was not measured: {error}")
            return None
        except Exception as error:
            raise InputError(f"{what} failed ({type(error).__name__}: {error}).") from error

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _number(what: str, value: Any, within: tuple[float, float]) -> float:
    """A figure as a number.

    Raises:
        InputError: None, not a number, or outside its declared range.
    """
    try:
        figure = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} must give numbers, got {type(value).__name__}.") from None
    low, high = within
    if math.isnan(figure) or not low - _SLACK <= figure <= high + _SLACK:
        raise InputError(f"{what} gives {figure}, which is outside its range from {low} to {high}.")
    return figure
