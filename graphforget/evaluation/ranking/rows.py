"""Rows of the report, relative gaps and checks of the verdict, from what recommenders answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from graphforget.evaluation.judged import Judged
from graphforget.evaluation.ranking.answers import Measured, compare, measure
from graphforget.evaluation.ranking.questions import Questions, make_questions
from graphforget.evaluation.verdict import t95
from graphforget.metrics.bootstrap import bootstrap_interval
from graphforget.metrics.recommendation import RelativeGap, mean_over_users, relative_gap_over_users, two_sample_distance
from graphforget.reporting import Check, Row
from graphforget.requests import ForgetSplit

TOLERANCE = 0.01  # on a membership AUC: a difference of no consequence to anyone


def ranking_rows(questions: Questions, one: Judged, answer: Measured, golds: Sequence[Measured]) -> list[Row]:
    """What one model answered, and how far that is from every gold but itself."""
    rows: list[Row] = []

    def add(subset: str, metric: str, value: float, low: float | None = None, high: float | None = None) -> None:
        rows.append(Row(one.role, one.context, subset, metric, value, one.seed, method=one.method, low=low, high=high))

    for (subset, metric), per_user in answer.utility.items():
        known = per_user[~per_user.isnan()]
        if len(known):
            add(subset, metric, float(known.mean()), *bootstrap_interval(known))
    for metric, (values, users) in answer.values.items():
        if bool((~values.isnan()).any()):
            add("deleted", metric, *mean_over_users(values, users))
    others = [(number, gold) for number, gold in enumerate(golds) if gold is not answer]
    for (subset, metric), per_user in answer.utility.items():
        if subset == "test" and others:  # user by user, all models asked of the same users
            away = per_user - torch.stack([gold.utility[subset, metric] for _, gold in others]).mean(0)
            if bool((~away.isnan()).any()):
                away = away[~away.isnan()]
                add(subset, f"gold_difference_{metric}", float(away.mean()), *bootstrap_interval(away))
    found: dict[tuple[str, str], list[Tensor]] = {}
    for number, gold in others:
        for key, values in compare(questions, answer, gold, number).items():
            found.setdefault(key, []).append(values.double())
    for (subset, metric), each in found.items():
        mean = torch.stack(each).mean(0)
        if not bool(mean.isnan().any()):
            add(subset, metric, float(mean.mean()), *(bootstrap_interval(mean) if len(mean) > 1 else ()))
    distance = _reingest_distance(answer, [gold for _, gold in others])
    if distance is not None:
        add("deleted", "reingest_ks", distance)
    return rows


def _reingest_distance(answer: Measured, golds: Sequence[Measured]) -> float | None:
    """Mean distance of the places of re-added items to those under the golds."""
    name = "reingest_percentile"
    if name not in answer.values or not golds or any(name not in gold.values for gold in golds):
        return None
    return sum(two_sample_distance(answer.values[name][0], gold.values[name][0]) for gold in golds) / len(golds)


def ranking_floor(questions: Questions, golds: Sequence[Measured]) -> list[Row]:
    """The same comparisons between pairs of golds."""
    found: dict[tuple[str, str], list[float]] = {}
    for position, gold in enumerate(golds):
        for other in golds[:position]:
            for key, values in compare(questions, other, gold, position).items():
                found.setdefault(key, []).append(float(values.double().mean()))
            distance = _reingest_distance(other, [gold])
            if distance is not None:
                found.setdefault(("deleted", "reingest_ks"), []).append(distance)
    return [
        Row("floor", "retained", subset, metric, sum(values) / len(values), None) for (subset, metric), values in found.items()
    ]


def relative_gaps(answer: Measured, original: Measured, golds: Sequence[Measured]) -> dict[str, RelativeGap]:
    """Relative gap per statistic of deleted data, with intervals over users."""
    gaps = {}
    for name, (values, users) in answer.values.items():
        if name not in original.values or any(name not in gold.values for gold in golds):
            continue  # e.g. the re-ingest test of a model that cannot say which rows belong to an item
        reference = torch.stack([gold.values[name][0] for gold in golds])
        if bool((~values.isnan()).any()):
            gaps[name] = relative_gap_over_users(values, original.values[name][0], reference, users)
    return gaps


def gap_rows(one: Judged, gaps: Mapping[str, RelativeGap]) -> list[Row]:
    """Relative gaps as rows; those without meaning (original and gold agree) are left out."""
    return [
        Row(one.role, one.context, "deleted", f"gap_{name}", gap.value, one.seed, 0.0, one.method, gap.low, gap.high)
        for name, gap in gaps.items()
        if not math.isnan(gap.value)
    ]


def gap_facts(one: Judged, gaps: Mapping[str, RelativeGap]) -> list[dict[str, Any]]:
    """The same for the report's meta data, with the flag of over-forgetting."""
    return [
        {
            "method": one.method,
            "seed": one.seed,
            "statistic": name,
            "relative_gap": gap.value,
            "over_forgotten": gap.over_forgotten,
        }
        for name, gap in gaps.items()
        if not math.isnan(gap.value)
    ]


def membership_checks(questions: Questions, artefacts: Sequence[Measured], golds: Sequence[Measured]) -> list[Check]:
    """Whether a membership attack finds deleted pairs as one more gold would let it (prediction interval over golds, 95 %).

    One model: interval over users, conditional on the golds; several seeds: over seeds. Nothing with a single gold.
    """
    checks = []
    for name in (name for side in questions.sides for name in side.judged_by):
        if len(golds) < 2 or name not in golds[0].values:
            continue
        levels = torch.stack([gold.values[name][0].nanmean() for gold in golds])
        spread, middle = float(levels.std()), float(levels.mean())
        margin = t95(len(golds) - 1) * spread * math.sqrt(1 + 1 / len(golds)) + TOLERANCE
        if len(artefacts) == 1:
            values, users = artefacts[0].values[name]
            reference = torch.stack([gold.values[name][0] for gold in golds]).mean(0)
            value, low, high = mean_over_users(values - reference, users)
        else:
            means = torch.stack([a.values[name][0].nanmean() for a in artefacts]) - middle
            half = t95(len(means) - 1) * float(means.std()) / math.sqrt(len(means))
            value = float(means.mean())
            low, high = value - half, value + half
        outside = low > margin or high < -margin
        outcome = "outside" if outside else "inside" if -margin <= low and high <= margin else "unclear"
        direction = None if outcome == "inside" else "under-forgotten" if value > 0 else "over-forgotten"
        checks.append(Check(name, "deleted", value, low, high, spread, margin, value, outcome, direction))  # type: ignore[arg-type]
    return checks


class RankingEvidence:
    """Everything measured on recommenders only; what :func:`~graphforget.evaluation.evaluate` puts into its report.

    Args:
        task: The recommendation task.
        split: The cumulative split.
        everyone: Every model to ask.
        golds: The golds among them.

    Attributes:
        facts: Relative gaps of unlearned models with the flag of over-forgetting, JSON-safe; filled by :meth:`rows`.
        sampled: What was drawn instead of asked in full: ``{what: {"asked": n, "of": N}}``; the same for all models.
    """

    def __init__(self, task: Any, split: ForgetSplit, everyone: Sequence[Judged], golds: Sequence[Judged]) -> None:
        self.questions = make_questions(task, split)
        self._answers = dict(zip(map(id, everyone), measure(task, self.questions, everyone, golds), strict=True))
        self._golds = [self._answers[id(gold)] for gold in golds]
        self.facts: list[dict[str, Any]] = []
        self.sampled = {what: {"asked": asked, "of": every} for what, (asked, every) in self.questions.sampled.items()}

    def rows(self, one: Judged, start: Judged) -> list[Row]:
        """Rows of one model; relative gaps are to the original that it started from."""
        answer = self._answers[id(one)]
        rows = ranking_rows(self.questions, one, answer, self._golds)
        if one.role == "gold":
            return rows
        gaps = relative_gaps(answer, self._answers[id(start)], self._golds)
        if one.role == "unlearned":
            self.facts += gap_facts(one, gaps)
        return rows + gap_rows(one, gaps)

    def floor(self) -> list[Row]:
        """What golds differ by."""
        return ranking_floor(self.questions, self._golds)

    def checks(self, artefacts: Sequence[Judged]) -> list[Check]:
        """Checks of the verdict for the models of one method."""
        return membership_checks(self.questions, [self._answers[id(one)] for one in artefacts], self._golds)
