"""Deletion experiments: (dataset, model, request, seed) cells; every method against the same golds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from graphforget import seed as seeds
from graphforget.base import Task, Unlearner, content_digest
from graphforget.datasets import load
from graphforget.evaluation import evaluate, model_key, train_or_load
from graphforget.exceptions import InputError
from graphforget.graphs import sample_requests
from graphforget.models import MODELS
from graphforget.reporting import Report
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS

Record = dict[str, Any]


def cells(config: Record, only: Record) -> list[Record]:
    """Every cell of the experiment, requests outermost so that the first ones are complete first."""
    found = []
    for request in config["requests"]:
        for dataset in config.get("datasets") or [config["dataset"]]:
            for model in config["models"]:
                for seed in config["seeds"]:
                    cell = {"dataset": dataset["name"], "model": model, **request, "seed": seed}
                    if all(cell.get(key) == value for key, value in only.items()):
                        found.append(cell)
    return found


def run_deletion(
    config: Record, records: list[Record], add: Callable[[list[Record]], None], say: Callable[[str], None], only: Record
) -> None:
    """Run every cell that has no records yet."""
    done = {(json.dumps(r["cell"], sort_keys=True), r["config"]) for r in records}
    todo = cells(config, only)
    if not todo:
        raise InputError(f"no cell matches {only}.")
    for number, cell in enumerate(todo, 1):
        digest = config_digest(config, cell)
        if (json.dumps(cell, sort_keys=True), digest) in done:
            continue
        started = time.perf_counter()
        say(f"[{number}/{len(todo)}] {cell}")
        add([{"cell": cell, "config": digest, **record} for record in run_cell(config, cell)])
        say(f"    {time.perf_counter() - started:.0f} s")


def config_digest(config: Record, cell: Record) -> str:
    """What a cell's records depend on besides the cell: a changed method or model is run anew."""
    parts = {
        "task": config["task"],
        "model": config["models"][cell["model"]],
        "gold": config["gold"],
        "methods": config["methods"],
    }
    return content_digest(json.dumps(parts, sort_keys=True))[:12]


def make_request(cell: Record, data: Any, seed: int) -> DeletionRequest:
    """The request of a cell, drawn with a seed of its own."""
    if cell["target"] == "node_class":
        return DeletionRequest.node_classes([cell["label"]])
    draw = getattr(sample_requests, f"{cell['where']}_{cell['target']}s")
    return draw(data, cell["size"], seed=seeds.derive(seed, "request"))


def run_cell(config: Record, cell: Record) -> list[Record]:
    """Train the original, run every method, evaluate all of them against the same golds."""
    seed = cell["seed"]
    params = dict(config["task"])
    name = params.pop("name")
    options = {"seed": seed} if name == "link_prediction" else {}
    data = load(cell["dataset"], task=name, **options)
    model_params = dict(config["models"][cell["model"]])
    cls = MODELS[model_params.pop("name")]
    outputs = model_params.pop("out_channels", None)
    task: Task = TASKS[name](build=lambda d: cls(d.x.size(1), out_channels=outputs or d.num_classes, **model_params), **params)
    original = train_or_load(task, data, seed=seed, key=model_key(task, data))
    split = task.split(data, make_request(cell, data, seed))
    results, refused, preparing = [], [], {}
    for entry in config["methods"]:
        entry = dict(entry)
        method: Unlearner = METHODS.resolve(entry.pop("method"), Unlearner, **entry)
        reasons = method.supports(task, split.request, original.model)
        if reasons:
            refused.append({"label": method.tags.key, "refused": reasons})
            continue
        # What may be done before any request is timed apart: a deployer does it once, at training time.
        started = time.process_time()
        prepared = method.prepare(original.model, task, data, seed=seed)
        seconds = time.process_time() - started
        results.append(method.unlearn(prepared.model, task, split, seed=seed, state=prepared.state))
        if prepared.state:
            preparing[results[-1].label] = seconds
    report = evaluate(results, gold=config["gold"], original_seed=seed)
    facts = {
        "removed": len(split.removed),
        "original_seconds": original.seconds,
        "gold_seconds": report.meta["gold"]["mean_seconds"],
        "gold_cpu_seconds": report.meta["gold"]["mean_cpu_seconds"],
        "gold_epochs": report.meta["gold"]["epochs"],
    }
    records = [record | facts for record in summarise(report)]
    return [r | ({"prepare_cpu_seconds": preparing[r["label"]]} if r["label"] in preparing else {}) for r in records] + refused


def summarise(report: Report) -> list[Record]:
    """One record per line of the report: its figures by ``metric/subset``; golds keep one record each."""
    groups: dict[tuple[str, str, str, int | None], Record] = {}
    for row in report.rows:
        key = (row.role, row.method or row.role, row.context, row.seed)
        groups.setdefault(key, {})[f"{row.metric}/{row.subset}"] = row.value
    verdicts = report.meta.get("verdicts") or {}
    labels = {label: verdict["label"] for label, verdict in verdicts.items()}
    return [
        {"role": role, "label": label, "context": context, "model_seed": seed, "figures": figures}
        | ({"verdict": labels[label]} if role == "unlearned" and label in labels else {})
        for (role, label, context, seed), figures in groups.items()
    ]
