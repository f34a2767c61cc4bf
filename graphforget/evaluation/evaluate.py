"""evaluate: the same measurements for original, unlearned and gold models, with a verdict."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import torch

from graphforget.base import UnlearnResult, device_of, weights_digest
from graphforget.base.attack import AttackRecord
from graphforget.base.metric import MetricRecord
from graphforget.evaluation.gold import gold_models
from graphforget.evaluation.judged import Judged, Subset, make_subsets, score
from graphforget.evaluation.ranking.rows import RankingEvidence
from graphforget.evaluation.relearning import Relearning, relearning_rows
from graphforget.evaluation.requested import Requested, requested_attacks, requested_metrics
from graphforget.evaluation.rows import cost_rows, distance_rows, floor_rows, literature_rows, privacy_rows, utility_rows
from graphforget.evaluation.verdict import TOLERANCE, judge
from graphforget.exceptions import InputError
from graphforget.metrics.divergence import confidence
from graphforget.reporting import Report, Row, Verdict

_BINS = 20


def evaluate(
    results: UnlearnResult | Sequence[UnlearnResult],
    *,
    gold: int = 3,
    margin: float = 1.25,
    tolerance: float | None = None,
    cache: bool = True,
    cache_key: str | None = None,
    original_seed: int | None = None,
    relearning: Relearning | None = None,
    metrics: Sequence[str | MetricRecord] = (),
    attacks: Sequence[str | AttackRecord] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Measure how far unlearned models are from models retrained without the data.

    Args:
        results: One result (is this artefact good enough?), or several of the same request: several seeds of one method
            (is this method good?), or several methods side by side.
        gold: Number of gold models. One is inconclusive, two are weak, three suffice for an artefact.
        margin: Allowed multiple of the gold-to-gold gap; fixed before the run.
        tolerance: Added to the margin, in probability (default 0.002).
        cache: Whether gold models may come from, and go to, the cache.
        cache_key: A name for the model's code where its source cannot be read.
        original_seed: The original's training seed, so that no gold shares it.
        relearning: Also measure how fast deleted examples are learned again, by these settings.
        metrics: Further metrics, by name, path or record, on every model: those of others, and ours with ``compute``; see
            :class:`~graphforget.base.metric.MetricRecord`. They do not decide the verdict.
        attacks: Further attacks, likewise; see :class:`~graphforget.base.attack.AttackRecord`.
        progress: ``progress(number, count, "trained" | "cached")`` per gold model.

    Returns:
        A report with rows, verdict and histograms. With several methods each one's verdict stands in
        ``report.meta["verdicts"]`` and ``report.verdict`` is None.

    Raises:
        InputError: No result, results of different requests, bad numbers, or a metric or attack that is unknown or fails.

    Example:
        >>> import graphforget
        >>> from graphforget.datasets import load
        >>> from graphforget.models import GCN
        >>> from graphforget.tasks import NodeClassification
        >>> data = load("karate")
        >>> task = NodeClassification(build=lambda d: GCN(d.x.size(1), 8, d.num_classes))
        >>> model = task.new_model(data, seed=0); log = task.fit(model, data, seed=0, epochs=5)
        >>> result = graphforget.unlearn(model, data, graphforget.DeletionRequest.nodes([3]), task=task, method="unlink")
        >>> graphforget.evaluate(result, gold=2, cache=False).verdict.label in ("sufficient", "insufficient", "inconclusive")
        True
    """
    several = [results] if isinstance(results, UnlearnResult) else list(results)
    _check(several, gold, margin, tolerance)
    asked_metrics, asked_attacks = requested_metrics(metrics), requested_attacks(attacks)
    task, first = several[0].task, several[0]
    split = task.split(*first.split.root)
    subsets = make_subsets(task, split, first.model)
    golds, notes = gold_models(
        task,
        split,
        gold,
        cache=cache,
        cache_key=cache_key,
        original_seed=original_seed,
        device=device_of(first.model),
        progress=progress,
    )
    gold_seconds = sum(g.seconds for g in golds) / len(golds)
    gold_cpu = sum(g.cpu_seconds for g in golds) / len(golds)

    original = Judged("original", "original", None, first.first_original)
    controls = [original]
    if task.reads_structure(first.first_original):
        controls.append(Judged("unlink", "retained", None, first.first_original))
    judged_golds = [
        Judged("gold", "retained", g.seed, g.model, seconds=g.seconds, facts={"cpu_seconds": g.cpu_seconds}) for g in golds
    ]
    artefacts = [_artefact(r) for r in several]
    # Several seeds of a method may start from several originals; each is compared with its own.
    before = {weights_digest(original.model): original}
    starts = [before.setdefault(weights_digest(m), Judged("original", "original", None, m)) for m in map(_start, several)]
    everyone = [*before.values(), *controls[1:], *judged_golds, *artefacts]
    for one in everyone:
        score(task, split, subsets, one)
    ranked = RankingEvidence(task, split, everyone, judged_golds) if task.output_kind == "ranking" else None

    requested = Requested(task, subsets, judged_golds, asked_metrics, asked_attacks)
    rows: list[Row] = []
    for one in controls + artefacts + judged_golds:
        start = starts[artefacts.index(one)] if one in artefacts else original
        rows += utility_rows(task, split, one) if ranked is None else ranked.rows(one, start)
        rows += distance_rows(task, subsets, one, judged_golds)
        if split.forget_source == "removed":  # altered and affected examples are in gold's training data: nothing was deleted
            rows += privacy_rows(task, subsets, one, judged_golds)
            rows += literature_rows(task, subsets, one, start)
        rows += requested.rows(one, start)
        rows += cost_rows(one, gold_cpu)
    learned: list[dict[str, Any]] = []
    if relearning is not None and len(split.removed) > 1:
        models = [original, *artefacts, *judged_golds]
        more, learned = relearning_rows(task, split, original.model, models, judged_golds, relearning)
        rows += more
    rows += floor_rows(task, subsets, judged_golds) + ([] if ranked is None else ranked.floor())

    by_method: dict[str, list[Judged]] = {}
    left: dict[str, list[str]] = {}
    for artefact, result in zip(artefacts, several, strict=True):
        by_method.setdefault(artefact.method, []).append(artefact)
        left.setdefault(artefact.method, []).extend(result.audit())
    verdicts = {
        method: judge(
            task,
            subsets,
            group,
            judged_golds,
            margin=margin,
            tolerance=tolerance,
            deleted=split.forget_source,
            further=[] if ranked is None else ranked.checks(group),
            residue=left[method],
        )
        for method, group in by_method.items()
    }
    meta = _meta(several, split, gold_seconds, golds, [*split.notes, *notes, *requested.notes], margin, tolerance, verdicts)
    if records := requested.records():
        meta["requested"] = records
    meta["residue"] = {method: list(dict.fromkeys(sentences)) for method, sentences in left.items()}
    if ranked is not None:
        meta["relative_gaps"] = ranked.facts
        meta["sampled"] = ranked.sampled
        meta["asked"] |= {what.capitalize(): f"{n['asked']:,} drawn of {n['of']:,}" for what, n in ranked.sampled.items()}
    if relearning is not None:
        meta["relearning"] = learned
    return Report(
        rows,
        next(iter(verdicts.values())) if len(verdicts) == 1 else None,
        title=f"Unlearning report: {split.request.summary()} from {split.lineage.data.name}",
        meta=meta,
        histograms=_histograms(task, subsets, controls + artefacts + judged_golds),
    )


def _check(results: list[UnlearnResult], gold: int, margin: float, tolerance: float | None) -> None:
    if not results:
        raise InputError("evaluate needs at least one result, as returned by unlearn(...).")
    for result in results:
        if not isinstance(result, UnlearnResult):
            raise InputError(f"evaluate needs results of unlearn(...), got {type(result).__name__}.")
    digests = {(r.split.lineage.data.digest(), r.split.lineage.request.digest(), r.task.name) for r in results}
    if len(digests) > 1:
        raise InputError("the results belong to different data, requests or tasks; evaluate them one by one.")
    tasks = {id(r.task): r.task for r in results}.values()
    if len(tasks) > 1 and len({_trains(task, results[0].split.lineage.data) for task in tasks}) > 1:
        raise InputError("the results belong to different models or recipes, which need golds of their own; evaluate them apart.")
    if gold < 1:
        raise InputError(f"gold must be at least 1, got {gold}; 3 suffice for a verdict.")
    if margin <= 0 or (tolerance is not None and tolerance < 0):
        raise InputError(f"margin must be above 0 and tolerance not negative, got {margin} and {tolerance}.")


def _trains(task: Any, data: Any) -> tuple[Any, ...]:
    """What a gold of this task is: recipe, class and parameter shapes."""
    model = task.new_model(data, seed=0)
    shapes = tuple((name, tuple(p.shape)) for name, p in model.named_parameters())
    return json.dumps(task.describe(), sort_keys=True), type(task), type(model), shapes


def _start(result: UnlearnResult) -> Any:
    return result.first_original


def _artefact(result: UnlearnResult) -> Judged:
    """The model to judge; in a sequence, with the cost of every request that led to it."""
    chain = [result]
    while chain[0].previous is not None:
        chain.insert(0, chain[0].previous)
    facts = {
        "cpu_seconds": sum(r.cost.cpu_seconds for r in chain),
        "forward_samples": float(sum(r.cost.forward_examples for r in chain)),
    }
    peaks = [r.cost.peak_bytes for r in chain if r.cost.peak_bytes is not None]
    if peaks:
        facts["peak_memory_mb"] = max(peaks) / 2**20
    return Judged(
        "unlearned",
        result.serving.context,
        result.seed,
        result.model,
        ", then ".join(dict.fromkeys(r.label for r in chain)),
        seconds=sum(r.cost.seconds for r in chain),
        facts=facts,
        data=result.split.data,
        deny=result.serving.deny,
    )


def _histograms(task: Any, subsets: dict[str, Subset], everyone: list[Judged]) -> dict[str, dict[str, list[float]]]:
    """Confidence in the label on deleted, retained and test elements, by role; golds are pooled."""
    if task.output_kind == "gaussian":
        return {}
    found: dict[str, dict[str, list[float]]] = {}
    for name in ("deleted", "retained", "test"):
        if name not in subsets:
            continue
        counts: dict[str, torch.Tensor] = {}
        for one in everyone:
            values = confidence(task.output_kind, one.outputs[name], subsets[name].y)
            role = f"unlearned: {one.method}" if one.role == "unlearned" else one.role
            counts[role] = counts.get(role, torch.zeros(_BINS)) + torch.histc(values, bins=_BINS, min=0.0, max=1.0)
        found[name] = {role: [float(v) for v in c] for role, c in counts.items()}
    return found


_FORGET_PART = {
    "removed": "the deleted training examples",
    "altered": "training examples whose content changed (none was removed)",
    "affected": "training examples whose context changed (none was removed or altered)",
    "none": "empty: the request touches no training example",
}


def _asked(results: list[UnlearnResult], split: Any, golds: list[Any], margin: float, tolerance: float | None) -> dict[str, str]:
    """The few facts a reader needs first, in words."""
    first = results[0]
    cached = sum(g.cached for g in golds)
    asked = {
        "Request": split.request.summary(),
        "Data": f"{split.lineage.data.name}, {first.task.name.replace('_', ' ')}",
        "Model": type(first.model).__name__,
        "Method": ", ".join(dict.fromkeys(r.label for r in results)),
        "Training examples": f"{len(split.removed):,} removed, {len(split.altered):,} altered, "
        f"{len(split.affected):,} in a changed context; {len(split.retain):,} retained",
        "Measured as deleted": _FORGET_PART[split.forget_source],
        "Gold": f"{len(golds)} models retrained without the data, {sum(g.seconds for g in golds) / len(golds):.1f} s each"
        + (f", {cached} from the cache" if cached else ""),
        "Margin": f"{margin:g} times the gold-to-gold gap, plus {TOLERANCE if tolerance is None else tolerance:g}",
        "Request digest": split.lineage.request.digest()[:16],
    }
    if len(first.split.lineage.digests) > 1:
        asked["Sequence"] = f"request {len(first.split.lineage.digests)} of this data; judged on everything deleted so far"
    return asked


def _meta(
    results: list[UnlearnResult],
    split: Any,
    gold_seconds: float,
    golds: list[Any],
    notes: list[str],
    margin: float,
    tolerance: float | None,
    verdicts: dict[str, Verdict],
) -> dict[str, Any]:
    from graphforget.version import __version__

    first = results[0]
    meta: dict[str, Any] = {
        "asked": _asked(results, split, golds, margin, tolerance),
        "request": split.request.summary(),
        "request_digest": split.lineage.request.digest(),
        "requests_in_sequence": len(first.split.lineage.digests),
        "data": split.lineage.data.name,
        "data_digest": split.lineage.data.digest(),
        "task": first.task.describe(),
        "forget_part": split.forget_source,
        "counts": {
            "removed": len(split.removed),
            "altered": len(split.altered),
            "affected": len(split.affected),
            "retained": len(split.retain),
        },
        "model": type(first.model).__name__,
        "methods": [
            {
                "method": r.method,
                "params": r.to_dict()["params"],
                "seed": r.seed,
                "served_on": r.serving.context,
                "info": r.to_dict()["info"],
            }
            for r in results
        ],
        "gold": {
            "count": len(golds),
            "seeds": [g.seed for g in golds],
            "mean_seconds": gold_seconds,
            "mean_cpu_seconds": sum(g.cpu_seconds for g in golds) / len(golds),
            "epochs": [g.epochs for g in golds],
            "from_cache": sum(g.cached for g in golds),
        },
        "margin": margin,
        "tolerance": tolerance,
        "notes": notes,
        "provenance": {
            "graphforget": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    }
    if len(verdicts) > 1:
        meta["verdicts"] = {method: {"label": v.label, "sentences": v.sentences} for method, v in verdicts.items()}
    return meta
