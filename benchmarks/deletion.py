"""Deletion experiments: (dataset, model, request, seed) cells; every method against the same golds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cells import chosen, gold_facts, run_methods, run_missing, summarise

from graphforget import seed as seeds
from graphforget.base import Task, content_digest
from graphforget.datasets import load
from graphforget.evaluation import evaluate, model_key, train_or_load
from graphforget.graphs import sample_requests
from graphforget.models import MODELS
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS

Record = dict[str, Any]


def cells(config: Record, only: Record) -> list[Record]:
    """Every cell of the experiment, requests outermost so that the first ones are complete first."""
    found = []
    for request in config["requests"]:
        for dataset in config.get("datasets") or [config["dataset"]]:
            for model in config["models"]:
                for seed in config["seeds"]:
                    found.append({"dataset": dataset["name"], "model": model, **request, "seed": seed})
    return chosen(found, only)


def run_deletion(
    config: Record, records: list[Record], add: Callable[[list[Record]], None], say: Callable[[str], None], only: Record
) -> None:
    """Run every cell that has no records yet."""
    run_missing(
        cells(config, only),
        records,
        add,
        say,
        digest=lambda cell: config_digest(config, cell),
        run=lambda cell: run_cell(config, cell),
    )


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
    results, refused, preparing = run_methods(config["methods"], original.model, task, split, seed=seed)
    report = evaluate(results, gold=config["gold"], original_seed=seed)
    facts = {"removed": len(split.removed), "original_seconds": original.seconds, **gold_facts(report)}
    records = [record | facts for record in summarise(report)]
    return [r | ({"prepare_cpu_seconds": preparing[r["label"]]} if r["label"] in preparing else {}) for r in records] + refused
