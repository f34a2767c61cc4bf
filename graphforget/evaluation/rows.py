"""The panel: rows of the report from the scores of original, controls, unlearned and gold models."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.attacks.membership import confidence_attack, membership_figures, rmia
from graphforget.base import Task
from graphforget.evaluation.judged import Judged, Subset
from graphforget.metrics import bootstrap_interval
from graphforget.metrics.divergence import confidence, js_divergence, probabilities
from graphforget.metrics.forgetting import abs_dp, agreement, gnndelete_auc_f, mi_ratio, shift_mia, signed_dp
from graphforget.metrics.ranks import spearman
from graphforget.reporting import Row
from graphforget.requests import ForgetSplit, View

DISTANCE_SUBSETS = ("deleted", "retained", "hop1", "hop2", "far", "twins", "test", "test_forget")


def gap_per_element(task: Task, judged: Judged, golds: list[Judged], subset: str) -> Tensor:
    """|dp| to gold per element, averaged over the golds, [n]."""
    kind = task.output_kind
    return torch.stack([abs_dp(kind, judged.outputs[subset], g.outputs[subset]) for g in golds]).mean(0)


def floor_of(task: Task, golds: list[Judged], subset: str) -> float | None:
    """Mean |dp| between pairs of golds: the noise floor. None with a single gold."""
    values = [
        float(abs_dp(task.output_kind, a.outputs[subset], b.outputs[subset]).mean())
        for i, a in enumerate(golds)
        for b in golds[i + 1 :]
    ]
    return sum(values) / len(values) if values else None


def signed_gap(task: Task, judged: Judged, golds: list[Judged], subset: Subset) -> float:
    """Mean signed dp to gold; positive: surer of the label than gold, which on deleted elements is under-forgetting."""
    values = [signed_dp(task.output_kind, judged.outputs[subset.name], g.outputs[subset.name], subset.y) for g in golds]
    return float(torch.stack(values).mean())


def distance_rows(task: Task, subsets: dict[str, Subset], judged: Judged, golds: list[Judged]) -> list[Row]:
    """|dp| with its interval, signed dp, JS, agreement, Spearman, against every gold but itself."""
    others = [g for g in golds if g is not judged]
    if not others:
        return []
    kind, rows = task.output_kind, []
    for name in DISTANCE_SUBSETS:
        if name not in subsets:
            continue
        mine = judged.outputs[name]

        def add(metric: str, value: float, low: float | None = None, high: float | None = None, name: str = name) -> None:
            rows.append(
                Row(judged.role, judged.context, name, metric, value, judged.seed, method=judged.method, low=low, high=high)
            )

        gaps = gap_per_element(task, judged, others, name)
        add("mean_abs_dp", float(gaps.mean()), *bootstrap_interval(gaps))
        add("signed_dp", signed_gap(task, judged, others, subsets[name]))
        if kind != "gaussian":
            add("js", _mean([float(js_divergence(kind, mine, g.outputs[name]).mean()) for g in others]))
            add("agreement", _mean([float(agreement(kind, mine, g.outputs[name]).mean()) for g in others]))
            if len(mine) > 2:
                y = subsets[name].y
                add(
                    "spearman", _mean([spearman(confidence(kind, mine, y), confidence(kind, g.outputs[name], y)) for g in others])
                )
    return rows


def floor_rows(task: Task, subsets: dict[str, Subset], golds: list[Judged]) -> list[Row]:
    """The gold-to-gold distance per subset."""
    rows = []
    for name in DISTANCE_SUBSETS:
        if name not in subsets:
            continue
        floor = floor_of(task, golds, name)
        if floor is not None:
            rows.append(Row("floor", "retained", name, "mean_abs_dp", floor, None))
            if task.output_kind == "gaussian":
                continue
            divergences = [
                float(js_divergence(task.output_kind, a.outputs[name], b.outputs[name]).mean())
                for i, a in enumerate(golds)
                for b in golds[i + 1 :]
            ]
            rows.append(Row("floor", "retained", name, "js", _mean(divergences), None))
    return rows


def utility_rows(task: Task, split: ForgetSplit, judged: Judged) -> list[Row]:
    """Task utility on test data; for class requests also on the forgotten classes' test examples."""
    served = (judged.data or split.data) if judged.context == "original" else split.retain_data
    sides: dict[str, str | None] = {"test": None}
    if split.request.of("node_class", "class"):
        sides = {"test": "retain", "test_forget": "forget"}
    rows = []
    for name, side in sides.items():
        # The same test examples for everyone, those that are left, whatever the input on which they are read.
        view = task.view(split.retain_data, "test", side=side, request=split.request)  # type: ignore[arg-type]
        if not task.can_score(view):
            continue
        view = View(served, view.index, view.negatives)
        rows += [
            Row(judged.role, judged.context, name, metric, value, judged.seed, method=judged.method)
            for metric, value in task.utility(judged.model, view).items()
        ]
    return rows


def privacy_rows(task: Task, subsets: dict[str, Subset], judged: Judged, golds: list[Judged]) -> list[Row]:
    """Membership of deleted elements: RMIA with the golds as reference models, and the plain confidence threshold.

    Half of the test elements are the non-members, the other half RMIA's population. Golds never saw the deleted elements, so
    they are "out" models for both; a gold is attacked with the other golds as references. gamma is 1 here: with few reference
    models the paper's 2 leaves most scores tied at zero.
    """
    if task.output_kind == "gaussian" or "deleted" not in subsets or "test" not in subsets:
        return []
    references = [g for g in golds if g is not judged]
    if not references or len(subsets["test"]) < 4:
        return []
    even = torch.arange(len(subsets["test"])) % 2 == 0

    def conf(one: Judged, name: str) -> Tensor:
        return confidence(task.output_kind, one.outputs[name], subsets[name].y)

    deleted, test = conf(judged, "deleted"), conf(judged, "test")
    ref_deleted = torch.stack([conf(g, "deleted") for g in references])
    ref_test = torch.stack([conf(g, "test") for g in references])
    member = rmia(deleted, test[~even], ref_deleted, ref_test[:, ~even], gamma=1.0)
    nonmember = rmia(test[even], test[~even], ref_test[:, even], ref_test[:, ~even], gamma=1.0)
    figures = membership_figures(member, nonmember)
    threshold = confidence_attack(deleted, test[even])["mia_auc"]

    def row(metric: str, value: float) -> Row:
        return Row(judged.role, judged.context, "deleted", metric, value, judged.seed, method=judged.method)

    return [row(metric, value) for metric, value in figures.items()] + [row("confidence_mia_auc", threshold)]


def literature_rows(task: Task, subsets: dict[str, Subset], judged: Judged, original: Judged) -> list[Row]:
    """The papers' own metrics under their own names, and the memorisation diagnosis; their records say what each misses."""
    rows = []

    def add(metric: str, value: float) -> None:
        rows.append(Row(judged.role, judged.context, "deleted", metric, value, judged.seed, method=judged.method))

    if "deleted" not in subsets:
        return rows
    kind = task.output_kind
    now, before = judged.outputs["deleted"], original.outputs["deleted"]
    if kind == "bernoulli" and now.dim() == 1:
        add("gnndelete_auc_f", gnndelete_auc_f(judged.outputs["retained"], now))
        tiny = torch.finfo(torch.float64).tiny
        add("mi_ratio", mi_ratio(probabilities(kind, before).clamp_min(tiny), probabilities(kind, now).clamp_min(tiny)))
    if kind in ("categorical", "bernoulli") and "test" in subsets:
        add("shift_mia", shift_mia(kind, before, now, original.outputs["test"], judged.outputs["test"]))
    if "twins" in subsets:
        y = [subsets[name].y for name in ("deleted", "twins")]
        sure = [float(confidence(kind, judged.outputs[n], t).mean()) for n, t in zip(("deleted", "twins"), y, strict=True)]
        add("twin_gap", sure[0] - sure[1])
    if kind == "categorical":
        add("ua", 1.0 - float((now.argmax(-1) == subsets["deleted"].y).double().mean()))
    return rows


def cost_rows(judged: Judged, gold_cpu_seconds: float) -> list[Row]:
    """Seconds, processor seconds, how many times cheaper than a gold model (in processor seconds), forward examples."""
    facts = dict(judged.facts)
    if judged.seconds is not None:
        facts["seconds"] = judged.seconds
    if judged.role == "unlearned" and gold_cpu_seconds and facts.get("cpu_seconds", 0.0) > 0:
        facts["speedup"] = gold_cpu_seconds / facts["cpu_seconds"]
    return [
        Row(judged.role, judged.context, "all", metric, value, judged.seed, method=judged.method)
        for metric, value in facts.items()
    ]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
