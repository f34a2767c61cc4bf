"""What a report holds: one long table of measurements and a verdict, from and to JSON.

Rows that the summary table, the figures and the verdict look for:

- utility: any metric of group ``utility`` on subset ``test`` (``meta["utility_metric"]`` chooses one);
- ``mean_abs_dp`` on ``deleted``, ``retained``, ``test``; ``signed_dp``, ``js`` and ``mia_auc`` on ``deleted``; ``seconds``;
- role ``floor``: the same distances between one gold and the others, printed beside every value.

``meta`` is shown as "what was asked"; its keys ``provenance`` (a mapping) and ``notes`` (a list of sentences) get
sections of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from graphforget.exceptions import InputError

__all__ = ["Check", "ReportData", "Row", "Verdict"]

FORMAT = "graphforget.report/1"
Label = Literal["sufficient", "insufficient", "inconclusive"]
_Data = TypeVar("_Data", bound="ReportData")
_DEFAULT_SENTENCE = {
    "sufficient": "On every primary metric the model is as close to models that never saw the data as was asked.",
    "insufficient": "On at least one primary metric the model is further from models that never saw the data than allowed.",
    "inconclusive": "The measurements do not decide whether the model is close enough to models that never saw the data.",
}


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        role: ``original, unlearned, gold, identity, unlink, floor`` or another control.
        context: Input it was served on: ``original, unlinked, retained``.
        subset: Elements it was measured on: ``deleted, retained, hop1, hop2, test, ...`` (``all`` for cost).
        metric: A name from ``graphforget.metrics.METRICS``.
        value: The figure.
        seed: Seed of the measured model.
        target: Value aimed at, where there is one.
        method: Registry name of the method, for unlearned models.
        low: Lower end of the interval over elements.
        high: Upper end.
    """

    role: str
    context: str
    subset: str
    metric: str
    value: float
    seed: int | None
    target: float | None = None
    method: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Check:
    """One primary metric against its margin: ``inside``, ``outside`` or ``unclear``, and in which direction it misses."""

    metric: str
    subset: str
    value: float
    low: float
    high: float
    floor: float
    margin: float
    signed: float
    outcome: Literal["inside", "outside", "unclear"]
    direction: Literal["under-forgotten", "over-forgotten"] | None = None

    def __post_init__(self) -> None:
        if self.outcome not in ("inside", "outside", "unclear"):
            raise InputError(f"A check's outcome is inside, outside or unclear, got {self.outcome!r}.")
        if self.direction not in (None, "under-forgotten", "over-forgotten"):
            raise InputError(f"A check's direction is under-forgotten, over-forgotten or None, got {self.direction!r}.")


@dataclass(frozen=True)
class Verdict:
    """The answer, in words first.

    Attributes:
        label: ``sufficient``, ``insufficient`` or ``inconclusive``.
        sentences: Plain sentences; the first one alone must answer the reader's question.
        checks: What it rests on.
    """

    label: Label
    sentences: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.label not in _DEFAULT_SENTENCE:
            raise InputError(f"A verdict is one of {', '.join(_DEFAULT_SENTENCE)}, got {self.label!r}.")

    @property
    def headline(self) -> str:
        """The first sentence, or the label's general meaning."""
        return self.sentences[0] if self.sentences else _DEFAULT_SENTENCE[self.label]


@dataclass(frozen=True)
class ReportData:
    """Everything measured, and the verdict: what the tables and figures of a report are made of.

    Attributes:
        rows: The measurements.
        verdict: The verdict; None when nothing was judged (no gold models).
        title: One line.
        meta: JSON-safe facts: request, task, data, method, params, seed, ``provenance``, ``notes``.
        curves: Named series, numbers or ``[x, y]`` pairs.
        histograms: ``{subset: {role: counts}}`` of scores over equal bins of [0, 1], or of ``"edges"`` if given there.
    """

    rows: list[Row]
    verdict: Verdict | None
    title: str
    meta: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[Any]] = field(default_factory=dict)
    histograms: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            json.dumps(self.meta, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"meta must hold plain JSON values (finite numbers, strings, lists, dicts): {error}.") from error

    def values(self, role: str, metric: str, subset: str | None = None, *, method: str | None = None) -> list[float]:
        """Measured values of one role and metric, in row order."""
        return [
            row.value
            for row in self.rows
            if row.role == role and row.metric == metric and subset in (None, row.subset) and method in (None, row.method)
        ]

    # ---- JSON -------------------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe dictionaries; infinite and missing numbers become the strings ``"inf"``, ``"-inf"``, ``"nan"``."""
        verdict = None if self.verdict is None else asdict(self.verdict)
        content = {
            "rows": [asdict(row) for row in self.rows],
            "verdict": verdict,
            "curves": self.curves,
            "histograms": self.histograms,
        }
        return {"format": FORMAT, "title": self.title, "meta": self.meta, **_encode(content)}

    def to_json(self, *, indent: int | None = 1) -> str:
        """The report as one JSON document; :meth:`from_json` gives an equal report back."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls: type[_Data], text: str) -> _Data:
        """Read :meth:`to_json`'s document.

        Raises:
            InputError: If it is not one.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise InputError(f"This is a {content['format']!r} document; expected {FORMAT!r}.")
            verdict = content["verdict"]
            if verdict is not None:
                checks = [
                    Check(**_numbers(check, ("value", "low", "high", "floor", "margin", "signed"))) for check in verdict["checks"]
                ]
                verdict = Verdict(verdict["label"], list(verdict["sentences"]), checks)
            rows = [Row(**_numbers(row, ("value", "target", "low", "high"))) for row in content["rows"]]
            curves = {name: _decode(values) for name, values in content["curves"].items()}
            histograms = {
                subset: {role: _decode(counts) for role, counts in roles.items()}
                for subset, roles in content["histograms"].items()
            }
            return cls(rows, verdict, content["title"], content["meta"], curves, histograms)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"This is not a report written by Report.to_json ({type(error).__name__}: {error}).") from error


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    return [_encode(item) for item in value] if isinstance(value, list | tuple) else value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return float(value) if isinstance(value, str) else value


def _numbers(record: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: _decode(value) if key in names else value for key, value in record.items()}
