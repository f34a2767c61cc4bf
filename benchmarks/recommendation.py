"""Recommenders: how good the backbones are, every method against the same golds, and MMRecUn's whole grid.

Four parts, each made of cells: ``quality`` (dataset, model, seed), ``methods`` (dataset, model, request, seed), ``sequence``
(dataset, model, method, seed: many small requests of items, one after the other) and ``grid`` (a cell of ``methods`` and one of
MMRecUn's settings; measured after every epoch). The seed varies the split where the data
have none, the original's weights, the request and the run of every method.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from cells import chosen, gold_facts, run_methods, run_missing, summarise
from torch import nn

from graphforget import seed as seeds
from graphforget.base import Outcome, Run, Unlearner, UnlearnResult, content_digest
from graphforget.datasets import load
from graphforget.evaluation import Trained, drift, evaluate, model_key, sequence, train_or_load
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, sample_requests
from graphforget.models import MODELS
from graphforget.requests import DeletionRequest, ForgetSplit
from graphforget.tasks import Recommendation
from graphforget.unlearners import METHODS, MMRecUn

Record = dict[str, Any]
CUTS = (5, 10, 20, 50)
DRIFT = [("recall@20", "test"), ("same_item_auc_matched", "deleted"), ("neighbourhood_overlap", "forgotten items")]
_REQUEST = ("dataset", "model", "target", "where", "size", "value", "seed")
# A grid has hundreds of models: of each only what its axes and its neighbours in the table need.
_KEPT = ("recall@", "ndcg@", "forget_recall@", "exposure@", "same_", "gap_same_", "neighbourhood_overlap", "jaccard@", "cpu_")


def cells(config: Record, only: Record) -> list[Record]:
    """Every cell: backbones, methods, sequences, the grid; requests outermost, so that the first are complete first."""
    found = [
        {"part": "quality", "dataset": entry["dataset"], "model": entry["model"], "seed": seed}
        for entry in config.get("quality", [])
        for seed in _seeds(config, entry)
    ]
    asked = [
        [{key: value for key, value in {**request, "seed": seed}.items() if key != "seeds"} for seed in _seeds(config, request)]
        for request in config.get("requests", [])
    ]
    requests = [request for group in asked for request in group]
    found += [{"part": "methods", **request} for request in requests]
    found += [
        {"part": "sequence", "dataset": entry["dataset"], "model": entry["model"], "method": method, "seed": seed}
        for entry in config.get("sequence", {}).get("at", [])
        for seed in _seeds(config, entry)
        for method in config["sequence"]["methods"]
    ]
    grid = config.get("grid", {})
    found += [
        {"part": "grid", **request, **dict(zip(block["axes"], point, strict=True))}
        for block in grid.get("blocks", [])
        for position in grid["requests"]
        for request in asked[position]
        if request["seed"] in _seeds(config, block)
        for point in itertools.product(*block["axes"].values())
    ]
    return chosen(found, only)


def _seeds(config: Record, entry: Record) -> list[int]:
    """Those of an entry that names its own, else the experiment's."""
    return list(entry.get("seeds", config["seeds"]))


def run_recommendation(
    config: Record, records: list[Record], add: Callable[[list[Record]], None], say: Callable[[str], None], only: Record
) -> None:
    """Run every cell that has no records yet."""
    parts = {"quality": run_quality, "methods": run_cell, "sequence": run_sequence, "grid": run_path}
    run_missing(
        cells(config, only),
        records,
        add,
        say,
        digest=lambda cell: config_digest(config, cell),
        run=lambda cell: parts[cell["part"]](config, cell),
    )


def config_digest(config: Record, cell: Record) -> str:
    """What a cell's records depend on besides the cell: a changed model, method or dataset is run anew."""
    uses: dict[str, tuple[Any, ...]] = {
        "quality": (),
        "methods": (config.get("gold"), config.get("methods")),
        "sequence": (config.get("gold"), *(config.get("sequence", {}).get(key) for key in ("requests", "items", "every"))),
        "grid": (config.get("gold"), config.get("grid", {}).get("epochs")),
    }
    parts = [config["datasets"][cell["dataset"]], config["models"][cell["model"]], config["seeds"][0], *uses[cell["part"]]]
    return content_digest(json.dumps(parts, sort_keys=True))[:12]


# ---- models -------------------------------------------------------------------------------------------------------
def load_data(config: Record, name: str, seed: int) -> Interactions:
    """A dataset with its parameters; ``seed`` splits it where it has no split of its own."""
    return load(name, task="recommendation", seed=seed, **config["datasets"][name])


def make_task(setting: Record) -> Recommendation:
    """The task of one setting: model, task and recipe parameters."""
    params = dict(setting["model"])
    cls = MODELS[params.pop("name")]
    reads = "modalities" in inspect.signature(cls).parameters

    def build(data: Interactions) -> nn.Module:
        return cls(data.num_users, data.num_items, *([data.modalities] if reads else []), **params)

    recipe = replace(Recommendation.default_recipe, **setting.get("recipe", {}))
    return Recommendation(build=build, recipe=recipe, **setting.get("task", {}))


def trained(task: Recommendation, data: Interactions, seed: int) -> Trained:
    """The original of a seed, from the cache where it is there."""
    return train_or_load(task, data, seed=seed, key=model_key(task, data))


def choose(config: Record, cell: Record) -> tuple[Recommendation, list[float]]:
    """The setting of a model with the best validation score on the first seed, and the scores of all; no test data is read.

    A model with one setting has nothing to choose. Further seeds take what the first one chose.
    """
    tasks = [make_task(setting) for setting in config["models"][cell["model"]]]
    if len(tasks) == 1:
        return tasks[0], []
    seed = config["seeds"][0]
    data = load_data(config, cell["dataset"], seed)
    if not len(data.part("val")):
        raise InputError(f"'{cell['dataset']}' has no validation part to choose a setting of '{cell['model']}' by: name one.")
    scores = [task.utility(trained(task, data, seed).model, task.view(data, "val"))[task.monitor] for task in tasks]
    return tasks[scores.index(max(scores))], scores


def run_quality(config: Record, cell: Record) -> list[Record]:
    """Train a backbone and rank its test interactions, training items masked."""
    task, scores = choose(config, cell)
    data = load_data(config, cell["dataset"], cell["seed"])
    original = trained(task, data, cell["seed"])
    figures = {
        f"{metric}/{part}": value
        for part in ("val", "test")
        if task.can_score(task.view(data, part))
        for metric, value in task.ranking(original.model, task.view(data, part), CUTS).items()
    }
    settings = config["models"][cell["model"]]
    facts = {
        "setting": settings[scores.index(max(scores))] if scores else settings[0],
        "validation": scores,
        "modalities": sorted(data.modalities),
        "epochs": original.epochs,
        "cpu_seconds": original.cpu_seconds,
        "parameters": sum(p.numel() for p in original.model.parameters()),
    }
    return [{"role": "original", "label": cell["model"], "figures": figures, **facts}]


# ---- deletion -----------------------------------------------------------------------------------------------------
def make_request(cell: Record, data: Interactions) -> DeletionRequest:
    """The request of a cell: a random share, or all items with a value of an attribute.

    ``where`` is ``random``, or an attribute of items such as ``publisher``.
    """
    if cell["where"] == "random":
        draw = getattr(sample_requests, f"random_{cell['target']}s")
        return draw(data, cell["size"], seed=seeds.derive(cell["seed"], "request"))
    return DeletionRequest.items(data.items_with(cell["where"], cell["value"]))


def prepare(config: Record, cell: Record) -> tuple[Recommendation, Trained, Callable[[], ForgetSplit]]:
    """(task, original, a maker of splits) of a cell; every split is new, so that each method pays for its own surgery."""
    task, data, original = begin(config, cell)
    request = make_request(cell, data)
    return task, original, lambda: task.split(data, request)


def begin(config: Record, cell: Record) -> tuple[Recommendation, Interactions, Trained]:
    """(task, data, original) of a cell."""
    task, _ = choose(config, cell)
    data = load_data(config, cell["dataset"], cell["seed"])
    original = trained(task, data, cell["seed"])
    # Kernels are compiled at their first use, which a cached original does not need: it is no method's cost.
    task.fit(copy.deepcopy(original.model), data, seed=0, index=data.part("train")[:64], epochs=1)
    return task, data, original


def run_cell(config: Record, cell: Record) -> list[Record]:
    """Train the original, run every method, evaluate all of them against the same golds."""
    task, original, new_split = prepare(config, cell)
    results: list[UnlearnResult] = []
    refused: list[Record] = []
    preparing: dict[str, float] = {}
    for entry in config["methods"]:
        made, against, ready = run_methods([entry], original.model, task, new_split(), seed=cell["seed"])
        results, refused, preparing = results + made, refused + against, preparing | ready
    split = results[0].split
    report = evaluate(results, gold=config["gold"], original_seed=cell["seed"])
    facts = {
        "removed": len(split.removed),
        "items": int((~split.retain_data.alive_items).sum()),
        "users": int((~split.retain_data.alive_users).sum()),
        "original_cpu_seconds": original.cpu_seconds,
        "original_epochs": original.epochs,
        **gold_facts(report),
    }
    over: dict[str, list[str]] = {}
    for fact in report.meta["relative_gaps"]:
        over.setdefault(fact["method"], []).extend([fact["statistic"]] if fact["over_forgotten"] else [])
    info = {result.label: result.to_dict()["info"] for result in results}
    records = []
    for record in summarise(report, intervals="gap_"):
        label = record["label"]
        extra: Record = {"info": info[label], "over_forgotten": over.get(label, [])} if record["role"] == "unlearned" else {}
        if record["role"] == "unlearned" and label in preparing:
            extra["prepare_cpu_seconds"] = preparing[label]
        records.append({**record, **facts, **extra})
    return records + refused


def run_sequence(config: Record, cell: Record) -> list[Record]:
    """Small disjoint requests of random items, one after the other; figures beside the golds of everything deleted so far."""
    task, data, original = begin(config, cell)
    how = config["sequence"]
    drawn = sample_requests.random_items(data, how["requests"] * how["items"], seed=seeds.derive(cell["seed"], "sequence"))
    ids = drawn.targets[0].ids
    mixed = ids[torch.randperm(len(ids), generator=seeds.generator(seeds.derive(cell["seed"], "order")))]
    first, *later = (DeletionRequest.items(chunk) for chunk in mixed.split(how["items"]))
    method: Unlearner = METHODS.resolve(cell["method"], Unlearner)
    result = method.unlearn(original.model, task, task.split(data, first), seed=cell["seed"])
    for request in later:
        result = result.then(request)
    points = drift(result, DRIFT, every=how["every"], gold=config["gold"], original_seed=cell["seed"])
    cost = [one.cost.cpu_seconds for one in sequence(result)]
    return [{"role": "unlearned", "label": cell["method"], "points": points, "cpu_seconds": cost}]


def run_path(config: Record, cell: Record) -> list[Record]:
    """One of MMRecUn's settings after every epoch, against the same golds as the methods."""
    task, original, new_split = prepare(config, cell)
    params = {key: value for key, value in cell.items() if key not in (*_REQUEST, "part")}
    results = along_the_path(params, config["grid"]["epochs"], original.model, task, new_split(), cell["seed"])
    report = evaluate(results, gold=config["gold"], original_seed=cell["seed"])
    records = []
    for result, record in zip(results, (r for r in summarise(report) if r["role"] == "unlearned"), strict=True):
        if record["label"] != result.label:
            raise InputError(f"the report's '{record['label']}' is not the result '{result.label}'.")
        figures = {key: value for key, value in record["figures"].items() if key.startswith(_KEPT)}
        point = {**params, "epochs": result.params["epochs"]}
        records.append({**record, "figures": figures, "point": point, **gold_facts(report)})
    return records


def along_the_path(
    params: Record, epochs: int, model: nn.Module, task: Recommendation, split: ForgetSplit, seed: int
) -> list[UnlearnResult]:
    """The results of MMRecUn with 1, 2, ... ``epochs`` epochs, from one run: shorter runs are its beginnings, draw for draw.

    The cost of each is that of the run up to there, without the copies.
    """
    kept: list[tuple[nn.Module, float, float]] = []
    copying = [0.0, 0.0]

    class Watched(MMRecUn):
        def _unlearn(self, run: Run) -> Outcome:
            wall, cpu = time.perf_counter(), time.process_time()

            def keep(*_: Any) -> None:
                now = time.perf_counter(), time.process_time()
                kept.append((copy.deepcopy(run.model).eval(), now[0] - wall - copying[0], now[1] - cpu - copying[1]))
                copying[0] += time.perf_counter() - now[0]
                copying[1] += time.process_time() - now[1]

            run.progress = keep
            return super()._unlearn(run)

    result = Watched(**params, epochs=epochs).unlearn(model, task, split, seed=seed)
    found = []
    for number, (one, seconds, cpu_seconds) in enumerate(kept, 1):
        method = MMRecUn(**params, epochs=number)
        cost = replace(result.cost, seconds=seconds, cpu_seconds=cpu_seconds)
        found.append(replace(result, model=one, unlearner=method, cost=cost))
    return found
