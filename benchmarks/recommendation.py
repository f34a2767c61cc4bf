"""What is no product of methods in the recommenders' benchmarks: backbones, sequences of requests, MMRecUn's whole grid.

Data, models, seeds and golds are those of a grid (``grid: rec_tiktok``). Three parts, each made of cells: ``quality``
(dataset, model, seed), ``sequence`` (dataset, model, method, seed: many small requests of items, one after the other) and
``grid`` (dataset, model, request, seed and one of MMRecUn's settings; measured after every epoch).
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphforget import seed as seeds
from graphforget.base import Outcome, Run, Task, Unlearner, UnlearnResult, content_digest
from graphforget.base.aftercare import clean_up
from graphforget.evaluation import drift, evaluate, sequence
from graphforget.exceptions import InputError
from graphforget.interactions import sample_requests
from graphforget.pipeline.components import make_request
from graphforget.requests import DeletionRequest, ForgetSplit
from graphforget.sweeps.cell import Started, start, summarise, warm
from graphforget.sweeps.config import RequestEntry, SweepConfig, load_grid
from graphforget.sweeps.plan import Cell, plan
from graphforget.unlearners import METHODS, MMRecUn

Record = dict[str, Any]
CUTS = (5, 10, 20, 50)
DRIFT = [("recall@20", "test"), ("same_item_auc_matched", "deleted"), ("neighbourhood_overlap", "forgotten items")]
_REQUEST = ("target", "where", "size", "value")
# A grid has hundreds of models: of each only what its axes and its neighbours in the table need.
_KEPT = ("recall@", "ndcg@", "forget_recall@", "exposure@", "same_", "gap_same_", "neighbourhood_overlap", "jaccard@", "cpu_")


def cells(config: Record) -> Iterator[Record]:
    """Every cell: backbones, sequences, MMRecUn's grid. An entry without seeds has the grid's."""
    every = grid_of(config).seeds
    for entry in config.get("quality", ()):
        for seed in entry.get("seeds", every):
            yield {"part": "quality", "dataset": entry["dataset"], "model": entry["model"], "seed": seed}
    for entry in config.get("sequence", {}).get("at", ()):
        for seed, method in itertools.product(entry.get("seeds", every), config["sequence"]["methods"]):
            yield {"part": "sequence", "dataset": entry["dataset"], "model": entry["model"], "method": method, "seed": seed}
    for block in config.get("grid_of_mmrecun", {}).get("blocks", ()):
        for seed, point in itertools.product(block.get("seeds", every), itertools.product(*block["axes"].values())):
            axes = dict(zip(block["axes"], point, strict=True))
            yield {"part": "grid", **config["grid_of_mmrecun"]["request"], "seed": seed, **axes}


def digest(config: Record, cell: Record) -> str:
    """What a cell's records depend on besides the cell."""
    uses = {"quality": (), "sequence": ("requests", "items", "every"), "grid": ("epochs",)}[cell["part"]]
    section = config.get({"grid": "grid_of_mmrecun"}.get(cell["part"], cell["part"]))
    return content_digest(cell_of(config, cell).key, [section[key] for key in uses])[:12]


def run_cell(config: Record, cell: Record, say: Callable[[str], None]) -> list[Record]:
    """The records of a cell."""
    return {"quality": run_quality, "sequence": run_sequence, "grid": run_path}[cell["part"]](config, cell)


def grid_of(config: Record) -> SweepConfig:
    """The grid that a configuration names, small where the configuration is."""
    file = Path(__file__).parent / "configs" / f"{config['grid']}.yaml"
    return load_grid(file, smoke=config.get("small", False))


def cell_of(config: Record, cell: Record) -> Cell:
    """The cell of the grid that has the same data, model and seed, with the cell's request, or one that is not read."""
    asked = {key: cell[key] for key in _REQUEST if key in cell} or {"target": "item", "where": "random", "size": 1}
    place = {"data": (cell["dataset"],), "models": (cell["model"],), "seeds": (cell["seed"],)}
    return plan(grid_of(config).model_copy(update={"requests": (RequestEntry(**asked, **place),)}))[0]


def run_quality(config: Record, cell: Record) -> list[Record]:
    """Train a backbone and rank its test interactions, training items masked."""
    begun = start(cell_of(config, cell))
    task, original = begun.task, begun.original
    views = {part: task.view(begun.data, part) for part in ("val", "test")}
    figures = {
        f"{metric}/{part}": value
        for part, view in views.items()
        if task.can_score(view)
        for metric, value in task.ranking(original.model, view, CUTS).items()  # type: ignore[attr-defined]
    }
    facts = {
        "setting": {"model": begun.recipe.to_dict()["model"], "task": begun.recipe.to_dict()["task"]},
        "validation": list(begun.scores),
        "modalities": sorted(begun.data.modalities),
        "epochs": original.epochs,
        "cpu_seconds": original.cpu_seconds,
        "parameters": sum(p.numel() for p in original.model.parameters()),
    }
    return [{"role": "original", "label": cell["model"], "figures": figures, **facts}]


def begin(config: Record, cell: Record) -> tuple[Started, Record]:
    """(data, task and original of a cell, how it is judged)."""
    begun = start(cell_of(config, cell))
    warm(begun)
    return begun, {"gold": begun.recipe.evaluate.gold, "original_seed": cell["seed"]}


def run_sequence(config: Record, cell: Record) -> list[Record]:
    """Small disjoint requests of random items, one after the other; figures beside the golds of everything deleted so far."""
    begun, judged = begin(config, cell)
    how, task = config["sequence"], begun.task
    drawn = sample_requests.random_items(begun.data, how["requests"] * how["items"], seed=seeds.derive(cell["seed"], "sequence"))
    ids = drawn.targets[0].ids
    mixed = ids[torch.randperm(len(ids), generator=seeds.generator(seeds.derive(cell["seed"], "order")))]
    first, *later = (DeletionRequest.items(chunk) for chunk in mixed.split(how["items"]))
    method: Unlearner = METHODS.resolve(cell["method"], Unlearner)
    result = method.unlearn(begun.original.model, task, task.split(begun.data, first), seed=cell["seed"])
    for request in later:
        result = result.then(request)
    points = drift(result, DRIFT, every=how["every"], **judged)
    cost = [one.cost.cpu_seconds for one in sequence(result)]
    return [{"role": "unlearned", "label": cell["method"], "points": points, "cpu_seconds": cost}]


def run_path(config: Record, cell: Record) -> list[Record]:
    """One of MMRecUn's settings after every epoch, against the same golds as the methods."""
    begun, judged = begin(config, cell)
    params = {key: value for key, value in cell.items() if key not in (*_REQUEST, "part", "dataset", "model", "seed")}
    split = begun.task.split(begun.data, make_request(begun.recipe.request, begun.task, begun.data))
    epochs = config["grid_of_mmrecun"]["epochs"]
    results = along_the_path(params, epochs, begun.original.model, begun.task, split, cell["seed"])
    report = evaluate(results, **judged)
    facts = {
        f"gold_{key}": report.meta["gold"][name]
        for key, name in (("seconds", "mean_seconds"), ("cpu_seconds", "mean_cpu_seconds"))
    }
    records = []
    for result, record in zip(results, (r for r in summarise(report) if r["role"] == "unlearned"), strict=True):
        if record["label"] != result.label:
            raise InputError(f"the report's '{record['label']}' is not the result '{result.label}'.")
        figures = {key: value for key, value in record["figures"].items() if key.startswith(_KEPT)}
        del record["intervals"]
        records.append({**record, "figures": figures, "point": {**params, "epochs": result.params["epochs"]}, **facts})
    return records


def along_the_path(
    params: Record, epochs: int, model: nn.Module, task: Task, split: ForgetSplit, seed: int
) -> list[UnlearnResult]:
    """The results of MMRecUn with 1, 2, ... ``epochs`` epochs, from one run: shorter runs are its beginnings, draw for draw.

    The cost of each is that of the run up to there, without the copies, and of what follows every run.
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
    for number, (one, wall, cpu) in enumerate(kept, 1):
        # As after every run: rows of forgotten items that the method left are put back, which is part of what it costs.
        started = time.perf_counter(), time.process_time()
        clean_up(one, model, task, split, MMRecUn.tags, seed=seed)
        seconds, cpu_seconds = wall + time.perf_counter() - started[0], cpu + time.process_time() - started[1]
        cost = replace(result.cost, seconds=seconds, cpu_seconds=cpu_seconds)
        found.append(replace(result, model=one, unlearner=MMRecUn(**params, epochs=number), cost=cost))
    return found
