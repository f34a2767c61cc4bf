"""Verdict: is this artefact close enough to models that never saw the data?

Artefact: one unlearned model, intervals by bootstrap over elements, conditional on the golds. Method: several seeds,
intervals over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from graphforget.base import Task
from graphforget.evaluation.judged import Judged, Subset
from graphforget.evaluation.rows import floor_of, gap_per_element, signed_gap
from graphforget.metrics import bootstrap_interval
from graphforget.metrics.forgetting import signed_dp
from graphforget.reporting import Check, Verdict

PRIMARY = ("deleted", "retained", "test")
TOLERANCE = 0.002  # on |dp|: differences in probability below this are of no consequence to anyone
EXACT = 1e-6  # golds of a deterministic recipe agree to rounding
_MEMBERSHIP = {
    f"same_{side}_auc{ending}": f"same-{side} membership AUC against {others}"
    for side in ("item", "user")
    for ending, others in (("", "held-out pairs"), ("_matched", "matched strangers"))
}
_NAMES = {"retained": "retained elements", "test": "test elements"}
_DELETED = {
    "removed": "deleted elements",
    "altered": "elements whose content changed",
    "affected": "elements whose context changed",
}


def judge(
    task: Task,
    subsets: dict[str, Subset],
    artefacts: list[Judged],
    golds: list[Judged],
    *,
    margin: float,
    tolerance: float | None,
    deleted: str = "removed",
    further: Sequence[Check] = (),
    residue: Sequence[str] = (),
) -> Verdict:
    """Judge one artefact (one model) or one method (several seeds of it).

    Args:
        task: The task.
        subsets: What was measured.
        artefacts: The unlearned model, or several seeds of one method.
        golds: Gold models.
        margin: Allowed multiple of the gold-to-gold gap, fixed before the run.
        tolerance: Added to the margin, in probability; default 0.002.
        deleted: What the subset ``deleted`` holds: the split's ``forget_source``.
        further: Checks of the task's own kind of evidence, such as membership within items; two golds or more.
        residue: What the models still hold of deleted data; nothing is "sufficient" while there is any.
    """
    extra = TOLERANCE if tolerance is None else tolerance
    names = [name for name in PRIMARY if name in subsets]
    if len(golds) < 2:
        one = [
            Check(
                "mean_abs_dp",
                name,
                *_value(task, artefacts, golds, name),
                math.nan,
                math.nan,
                _signed(task, artefacts, golds, subsets[name]),
                "unclear",
            )
            for name in names
        ]
        return _with_residue(
            residue,
            Verdict(
                "inconclusive",
                ["With a single gold model there is no noise floor to compare with: evaluate with gold=3 for a decision."],
                one,
            ),
        )
    checks = []
    for name in names:
        floor = floor_of(task, golds, name) or 0.0
        allowed = extra if floor < EXACT else margin * floor + extra
        value, low, high = _value(task, artefacts, golds, name)
        outcome = "inside" if high <= allowed else "outside" if low > allowed else "unclear"
        signed = _signed(task, artefacts, golds, subsets[name])
        direction = None if outcome == "inside" else "under-forgotten" if signed > 0 else "over-forgotten"
        checks.append(Check("mean_abs_dp", name, value, low, high, floor, allowed, signed, outcome, direction))  # type: ignore[arg-type]
    if "deleted" in names:
        checks.append(_shift(task, subsets["deleted"], artefacts, golds, extra))
    checks += further
    verdict = Verdict(
        _label(checks),
        _sentences(checks, len(golds), len(artefacts), _NAMES | {"deleted": _DELETED.get(deleted, _DELETED["removed"])}),
        checks,
    )
    return _with_residue(residue, verdict)


def _with_residue(residue: Sequence[str], verdict: Verdict) -> Verdict:
    """What is still held is said first, and forbids any other verdict than "insufficient"."""
    if not residue:
        return verdict
    held = [f"The model still holds deleted data: {'; '.join(dict.fromkeys(residue))}."]
    return Verdict("insufficient", held + verdict.sentences, verdict.checks)


def _shift(task: Task, subset: Subset, artefacts: list[Judged], golds: list[Judged], tolerance: float) -> Check:
    """Whether the mean confidence in deleted elements lies where one more gold's would (prediction interval, 95 %).

    The mean |dp| of single elements is dominated by what differs between any two seeds; a small shift that all deleted
    elements share hides in it, and shows here.
    """
    kind, y = task.output_kind, subset.y
    outputs = [g.outputs[subset.name] for g in golds]
    levels = torch.stack([signed_dp(kind, o, outputs[0], y).double().mean() for o in outputs])
    spread = float(levels.std())
    allowed = t95(len(golds) - 1) * spread * math.sqrt(1 + 1 / len(golds)) + tolerance
    per_model = [
        torch.stack([signed_dp(kind, a.outputs[subset.name], o, y).double() for o in outputs]).mean(0).flatten()
        for a in artefacts
    ]
    value, low, high = _over_elements_or_seeds(per_model)
    outside = low > allowed or high < -allowed
    outcome = "outside" if outside else "inside" if -allowed <= low and high <= allowed else "unclear"
    direction = None if outcome == "inside" else "under-forgotten" if value > 0 else "over-forgotten"
    return Check("signed_dp", subset.name, value, low, high, spread, allowed, value, outcome, direction)  # type: ignore[arg-type]


def _label(checks: list[Check]) -> Literal["sufficient", "insufficient", "inconclusive"]:
    if any(c.outcome == "outside" for c in checks):
        return "insufficient"
    return "sufficient" if all(c.outcome == "inside" for c in checks) else "inconclusive"


def _value(task: Task, artefacts: list[Judged], golds: list[Judged], subset: str) -> tuple[float, float, float]:
    """(mean gap, low, high): over elements for one artefact, over seeds for several."""
    return _over_elements_or_seeds([gap_per_element(task, a, golds, subset) for a in artefacts])


def _over_elements_or_seeds(values: list[Tensor]) -> tuple[float, float, float]:
    if len(values) == 1:
        return float(values[0].mean()), *bootstrap_interval(values[0])
    means = torch.stack([v.mean() for v in values])
    half = t95(len(means) - 1) * float(means.std()) / math.sqrt(len(means))
    return float(means.mean()), float(means.mean()) - half, float(means.mean()) + half


def _signed(task: Task, artefacts: list[Judged], golds: list[Judged], subset: Subset) -> float:
    return sum(signed_gap(task, a, golds, subset) for a in artefacts) / len(artefacts)


def t95(freedom: int) -> float:
    """Student's t quantile for a two-sided 95 % interval."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def _sentences(checks: list[Check], num_golds: int, num_seeds: int, names: dict[str, str]) -> list[str]:
    subject = "The model" if num_seeds == 1 else f"The method ({num_seeds} seeds)"
    outside = [c for c in checks if c.outcome == "outside"]
    unclear = [c for c in checks if c.outcome == "unclear"]
    sentences = []
    if outside:
        worst = max(outside, key=lambda c: abs(c.value) / c.margin if c.margin else math.inf)
        kind = _direction(worst)
        sentences.append(
            f"{subject} is further from retrained models than allowed on {names[worst.subset]} ({_times(worst)}): {kind}."
        )
        sentences += [f"Also outside on {names[c.subset]} ({_times(c)}): {_direction(c)}." for c in outside if c is not worst]
    elif unclear:
        where = " and ".join(dict.fromkeys(names[c.subset] for c in unclear))
        sentences.append(
            f"{subject} may or may not be close enough to retrained models: the interval on {where} crosses the margin."
        )
    else:
        sentences.append(
            f"{subject} is as close to retrained models as they are to each other, within the margin, on "
            f"{', '.join(dict.fromkeys(names[c.subset] for c in checks))}."
        )
    inside = [c for c in checks if c.outcome == "inside"]
    if inside and (outside or unclear):
        sentences.append("Within the margin on " + " and ".join(f"{names[c.subset]} ({_times(c)})" for c in inside) + ".")
    if num_golds == 2:
        sentences.append("Two gold models make a weak noise floor; three suffice for one artefact.")
    if num_seeds > 1 and (num_golds < 5 or num_seeds < 5):
        sentences.append(f"A claim about a method needs about 5 golds and 5 seeds; there are {num_golds} and {num_seeds}.")
    return sentences


def _times(check: Check) -> str:
    if check.metric == "signed_dp":
        return f"mean shift {check.value:+.3f}, retrained models' seeds explain ±{check.margin:.3f}"
    if check.metric in _MEMBERSHIP:
        return f"{_MEMBERSHIP[check.metric]} {check.value:+.3f} from gold's, retrained models' seeds explain ±{check.margin:.3f}"
    if check.floor < EXACT:
        return f"|Δp| {check.value:.4f}, retrained models agree exactly"
    return f"|Δp| {check.value:.3f}, {check.value / check.floor:.1f} times the gap between retrained models"


def _direction(check: Check) -> str:
    if check.subset == "deleted":
        return (
            "under-forgotten, it is surer of deleted data than a model that never saw it"
            if check.signed > 0
            else "over-forgotten, it is less sure of deleted data than a model that never saw it"
        )
    return (
        "over-forgotten, confidence was lost on data that should stay"
        if check.signed < 0
        else "its answers moved on data that should stay"
    )
