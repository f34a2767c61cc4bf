"""What experiments made of cells share: skipping what is there, methods on one request, a report as records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from graphforget.base import Task, Unlearner, UnlearnResult
from graphforget.exceptions import InputError
from graphforget.reporting import Report
from graphforget.requests import ForgetSplit
from graphforget.unlearners import METHODS

Record = dict[str, Any]


def chosen(cells: Iterable[Record], only: Record) -> list[Record]:
    """The cells that ``--only`` leaves."""
    return [cell for cell in cells if all(cell.get(key) == value for key, value in only.items())]


def run_missing(
    cells: Sequence[Record],
    records: list[Record],
    add: Callable[[list[Record]], None],
    say: Callable[[str], None],
    *,
    digest: Callable[[Record], str],
    run: Callable[[Record], list[Record]],
) -> None:
    """Run every cell that has no records with the same digest yet.

    Raises:
        InputError: There is no cell at all.
    """
    if not cells:
        raise InputError("no cell of this benchmark matches --only.")
    done = {(json.dumps(r["cell"], sort_keys=True), r["config"]) for r in records}
    for number, cell in enumerate(cells, 1):
        key = digest(cell)
        if (json.dumps(cell, sort_keys=True), key) in done:
            continue
        started = time.perf_counter()
        say(f"[{number}/{len(cells)}] {cell}")
        add([{"cell": cell, "config": key, **record} for record in run(cell)])
        say(f"    {time.perf_counter() - started:.0f} s")


def run_methods(
    entries: Sequence[Mapping[str, Any]], model: Any, task: Task, split: ForgetSplit, *, seed: int
) -> tuple[list[UnlearnResult], list[Record], dict[str, float]]:
    """Every method on one request.

    Returns:
        (results, records of refusals, processor seconds of preparing by label).
    """
    results, refused, preparing = [], [], {}
    for entry in entries:
        params = dict(entry)
        method: Unlearner = METHODS.resolve(params.pop("method"), Unlearner, **params)
        reasons = method.supports(task, split.request, model)
        if reasons:
            refused.append({"label": method.tags.key, "refused": reasons})
            continue
        # What may be done before any request is timed apart: a deployer does it once, at training time.
        started = time.process_time()
        prepared = method.prepare(model, task, split.data, seed=seed)
        seconds = time.process_time() - started
        results.append(method.unlearn(prepared.model, task, split, seed=seed, state=prepared.state))
        if prepared.state:
            preparing[results[-1].label] = seconds
    return results, refused, preparing


def gold_facts(report: Report) -> Record:
    """What the golds of a report cost."""
    gold = report.meta["gold"]
    return {"gold_seconds": gold["mean_seconds"], "gold_cpu_seconds": gold["mean_cpu_seconds"], "gold_epochs": gold["epochs"]}


def summarise(report: Report, *, intervals: str | None = None) -> list[Record]:
    """One record per line of the report: its figures by ``metric/subset``; golds keep one record each.

    Args:
        report: The report.
        intervals: Also keep the intervals of metrics whose name starts so.
    """
    groups: dict[tuple[str, str, str, int | None], Record] = {}
    for row in report.rows:
        key = (row.role, row.method or row.role, row.context, row.seed)
        group = groups.setdefault(key, {"figures": {}})
        group["figures"][f"{row.metric}/{row.subset}"] = row.value
        if intervals is not None and row.metric.startswith(intervals) and row.low is not None:
            group.setdefault("intervals", {})[f"{row.metric}/{row.subset}"] = [row.low, row.high]
    verdicts = report.meta.get("verdicts") or {}
    labels = {label: verdict["label"] for label, verdict in verdicts.items()}
    return [
        {"role": role, "label": label, "context": context, "model_seed": seed, **group}
        | ({"verdict": labels[label]} if role == "unlearned" and label in labels else {})
        for (role, label, context, seed), group in groups.items()
    ]
