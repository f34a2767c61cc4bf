"""One cell: train the original, run every method on the same request, judge all of them against the same golds."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphforget import seed as seeds
from graphforget.base import Task, Unlearner, UnlearnResult
from graphforget.evaluation import Trained, evaluate, model_key, train_or_load
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.pipeline.components import load_trained, make_data, make_request, make_task
from graphforget.pipeline.config import RunConfig, UnlearnerSection
from graphforget.reporting import Report
from graphforget.requests import DeletionRequest
from graphforget.sweeps.plan import Cell
from graphforget.sweeps.provenance import provenance
from graphforget.sweeps.records import Record, finite
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS


@dataclass(frozen=True, eq=False)
class Started:
    """A cell with its original.

    Attributes:
        recipe: The recipe of the setting that was taken.
        task: The task.
        data: Its data, before any deletion.
        original: The trained model, with what its training cost (nothing, where it was given).
        scores: Validation scores of all settings, where one had to be chosen.
    """

    recipe: RunConfig
    task: Task
    data: Any
    original: Trained
    scores: tuple[float, ...] = ()


def start(cell: Cell) -> Started:
    """Data, task and original of a cell; the original comes from the cache where it is there.

    Raises:
        InputError: Data, model and task do not go together, or nothing tells which setting of the model to take.
    """
    best, scores = choose(cell)
    return _begin(cell.recipes[best], scores)


def choose(cell: Cell) -> tuple[int, tuple[float, ...]]:
    """(number of the setting with the best validation score on the first seed, scores of all); no test data is read.

    Raises:
        InputError: There are several settings, and no validation part.
    """
    scores = []
    for recipe in cell.trials:
        tried = _begin(recipe, ())
        view = tried.task.view(tried.data, "val")
        if not tried.task.can_score(view):
            raise InputError(f"'{cell.data}' has no validation part to choose a setting of '{cell.model}' by: name one.")
        scores.append(tried.task.utility(tried.original.model, view)[tried.task.monitor])
    return scores.index(max(scores)) if scores else 0, tuple(scores)


def _begin(recipe: RunConfig, scores: tuple[float, ...]) -> Started:
    data = make_data(recipe.data, TASKS[recipe.task.name].name)
    given = load_trained(recipe.model, data) if recipe.model.trained else None
    task, data = make_task(recipe.task, recipe.model, data, given)
    seed = recipe.seeds.original
    if given is not None:
        return Started(recipe, task, data, Trained(given, seed, 0.0, 0.0, 0, True), scores)
    key = model_key(task, data, recipe.evaluate.cache_key)
    return Started(recipe, task, data, train_or_load(task, data, seed=seed, key=key), scores)


# ---- the cell ---------------------------------------------------------------------------------------------------------
def run_cell(cell: Cell, labels: Sequence[str] | None = None) -> list[Record]:
    """The records of a cell: its controls, golds and floor, and one per method, or the reason why there is none.

    Args:
        cell: The cell.
        labels: Methods to run; default: all of the cell's. The others' records stay as they are.

    Raises:
        InputError: The data cannot be read, the request cannot be drawn, the model does not suit.
    """
    begun = start(cell)
    request = make_request(begun.recipe.request, begun.task, begun.data)
    warm(begun)
    # Identity costs nothing, is refused by nothing and starts from the plain original: it stands for the cell's controls.
    reference = _unlearn(begun, METHODS.resolve("identity", Unlearner), request)[0]
    results, records = {}, []
    for label in cell.methods if labels is None else labels:
        outcome = run_method(begun, cell.methods[label], request)
        if isinstance(outcome, dict):
            records.append({"entry": cell.entries[label], "label": label, **outcome})
        else:
            results[label] = outcome
    judged, failed = _judge(begun.recipe, reference, {label: result for label, (result, _) in results.items()})
    records += [{"entry": cell.entries[label], "label": label, **record} for label, record in failed.items()]
    for report in judged:
        for record in summarise(report):
            label = record["label"]
            if record["role"] != "unlearned" and report is judged[0]:
                records.append({"entry": None, **record, **_facts(begun, report)})
            elif record["role"] == "unlearned" and label in results and cell.entries[label] not in {r["entry"] for r in records}:
                result, prepared = results[label]
                more: Record = {"info": result.to_dict()["info"]} | (
                    {} if prepared is None else {"prepare_cpu_seconds": prepared}
                )
                records.append({"entry": cell.entries[label], **record, **_facts(begun, report), **more})
    stamp = {"cell": cell.labels, "provenance": provenance(begun.recipe.device)}
    return [finite({**record, **stamp}) for record in records]


def warm(begun: Started) -> None:
    """Let kernels be compiled and structures be made at first use: a cached original does not need them, and no method pays."""
    model = copy.deepcopy(begun.original.model)
    if any(parameter.requires_grad for parameter in model.parameters()):
        begun.task.fit(model, begun.data, seed=0, index=begun.task.index(begun.data, "train")[:64], epochs=1)


def run_method(
    begun: Started, section: UnlearnerSection, request: DeletionRequest
) -> tuple[UnlearnResult, float | None] | Record:
    """(result, processor seconds of preparing where it prepared something), or a record of why there is none."""
    method: Unlearner = METHODS.resolve(section.method, Unlearner, **section.params)
    try:
        return _unlearn(begun, method, request)
    except UnsupportedError as error:
        return {"role": "refused", "reasons": [str(reason) for reason in error.reasons]}
    except Exception as error:  # whatever a method raises is its row, and the others go on
        return _failure(error)


def _unlearn(begun: Started, method: Unlearner, request: DeletionRequest) -> tuple[UnlearnResult, float | None]:
    seed, model, task = begun.recipe.seeds.unlearn[0], begun.original.model, begun.task
    split = task.split(begun.data, request)  # each method pays for its own surgery
    reasons = method.supports(task, split.request, model)
    if reasons:
        raise UnsupportedError(method.tags.key, reasons)
    # What may be done before any request is timed apart: a deployer does it once, at training time.
    started = time.process_time()
    with seeds.isolated(seeds.derive(seed, "unlearn", method.tags.key)):
        prepared = method.prepare(model, task, split.data, seed=seed)
    seconds = time.process_time() - started
    result = method.unlearn(prepared.model, task, split, seed=seed, state=prepared.state, device=begun.recipe.device)
    return result, seconds if prepared.state else None


def _judge(
    recipe: RunConfig, reference: UnlearnResult, results: dict[str, UnlearnResult]
) -> tuple[list[Report], dict[str, Record]]:
    """(reports, failures by label): one report on all methods; where one of them cannot be read, one on each.

    Golds are trained once: they come from the cache for every further report.
    """
    settings = recipe.evaluate

    def judge(*some: UnlearnResult) -> Report:
        return evaluate(
            [reference, *(one for one in some if one.label != reference.label)],
            gold=settings.gold,
            margin=settings.margin,
            tolerance=settings.tolerance,
            cache_key=settings.cache_key,
            original_seed=recipe.seeds.original,
            metrics=settings.metrics,
            attacks=settings.attacks,
        )

    try:
        return [judge(*results.values())], {}
    except Exception:
        reports, failed = [judge()], {}  # what the golds themselves raise is the cell's error
    for label, result in results.items():
        try:
            reports.append(judge(result))
        except Exception as error:
            failed[label] = _failure(error)
    return reports, failed


def _failure(error: Exception) -> Record:
    """What was raised and where, without the folders of this machine."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"role": "failed", "error": " ".join(f"{type(error).__name__}: {error}".split()), "raised_in": where}


def _facts(begun: Started, report: Report) -> Record:
    gold = report.meta["gold"]
    facts = {
        **report.meta["counts"],
        "original_seconds": begun.original.seconds,
        "original_cpu_seconds": begun.original.cpu_seconds,
        "original_epochs": begun.original.epochs,
        "gold_seconds": gold["mean_seconds"],
        "gold_cpu_seconds": gold["mean_cpu_seconds"],
        "gold_epochs": gold["epochs"],
    }
    return facts | ({"validation": list(begun.scores)} if begun.scores else {})


def summarise(report: Report) -> list[Record]:
    """One record per line of the report: its figures by ``metric/subset``, their intervals, its verdict."""
    groups: dict[tuple[str, str, str, int | None], Record] = {}
    for row in report.rows:
        group = groups.setdefault((row.role, row.method or row.role, row.context, row.seed), {"figures": {}})
        group["figures"][f"{row.metric}/{row.subset}"] = row.value
        if row.low is not None:
            group.setdefault("intervals", {})[f"{row.metric}/{row.subset}"] = [row.low, row.high]
    verdicts = dict(report.meta.get("verdicts") or {})
    if report.verdict is not None:
        name = next(row.method for row in report.rows if row.role == "unlearned")
        verdicts[name] = {"label": report.verdict.label, "sentences": report.verdict.sentences}
    over: dict[str, list[str]] = {}
    for fact in report.meta.get("relative_gaps", ()):
        over.setdefault(fact["method"], []).extend([fact["statistic"]] if fact["over_forgotten"] else [])
    found = []
    for (role, label, context, seed), group in groups.items():
        record = {"role": role, "label": label, "context": context, "model_seed": seed, **group}
        if role == "unlearned" and label in verdicts:
            record |= {"verdict": verdicts[label]["label"], "why": verdicts[label]["sentences"][:1]}
        if role == "unlearned" and label in over:
            record["over_forgotten"] = over[label]
        found.append(record)
    return found
