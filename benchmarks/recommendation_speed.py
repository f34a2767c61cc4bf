"""Training speed of recommenders as a ratio within one run: ours against the same models written plainly.

Ours is ``Recommendation.fit`` itself. Its callback, which ends an epoch, runs one epoch of the plain model, so that the two
take turns in one process. An epoch is everything but evaluation: drawing negatives, batches, forward, loss, backward, Adam.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from plain_lightgcn import PlainLightGCN
from plain_mgcn import PlainMGCN
from plain_training import PlainTraining

from graphforget import seed as seeds
from graphforget.base import content_digest
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.pipeline.components import make_data, make_task
from graphforget.pipeline.config import load_config
from graphforget.tasks import Recommendation

Record = dict[str, Any]
PLAIN: dict[str, Any] = {"mgcn": PlainMGCN, "lightgcn": PlainLightGCN}
TOLERANCE = 1e-4  # of the loss of one batch, relative: single precision summed in another order
WARMUPS = 2


def cells(config: Record) -> list[Record]:
    """A cell is one model on one number of threads."""
    axes = {"dataset": config["datasets"], "model": config["models"], "threads": config["threads"]}
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def digest(config: Record, cell: Record) -> str:
    """What a cell's record depends on besides the cell."""
    parts = [config["datasets"][cell["dataset"]], config["models"][cell["model"]], config["repeats"]]
    return content_digest(json.dumps(parts, sort_keys=True))[:12]


def run_cell(config: Record, cell: Record, say: Callable[[str], None]) -> list[Record]:
    """Medians of wall and processor seconds per epoch of both, and their ratios.

    Raises:
        InputError: The two models differ.
    """
    torch.set_num_threads(cell["threads"])
    task, data = prepare(config, cell)
    model = task.new_model(data, seed=0)
    plain = PLAIN[cell["model"]](model, data, l2=task.l2)
    difference = loss_difference(task, model, plain, data)
    if difference > TOLERANCE:
        raise InputError(f"the plain {cell['model']} has another loss on the same batch ({difference:.1e} apart, relative).")
    batch_size = task.recipe.batch_size
    assert batch_size is not None
    training = PlainTraining(plain, data.splits["train"], lr=task.recipe.lr, batch_size=batch_size, seed=0)
    clocks = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}
    taken: dict[str, dict[str, list[float]]] = {clock: {"graphforget": [], "plain": []} for clock in clocks}
    started: dict[str, float] = {}

    def lap(name: str) -> None:
        for clock, read in clocks.items():
            now = read()
            if name:
                taken[clock][name].append(now - started[clock])
            started[clock] = now

    def after_our_epoch(epoch: int, loss: float) -> None:
        if epoch > 1:  # the first one also holds what `fit` does once
            lap("graphforget")
        lap("")
        training.epoch()
        if epoch > 1:
            lap("plain")
        lap("")

    task.fit(model, data, seed=0, epochs=WARMUPS + config["repeats"], callback=after_our_epoch)
    medians = {
        clock: {name: statistics.median(values[WARMUPS - 1 :]) for name, values in by_name.items()}
        for clock, by_name in taken.items()
    }
    ratios = {clock: by_name["plain"] / by_name["graphforget"] for clock, by_name in medians.items()}
    say(f"    {ratios['cpu_seconds']:.2f} times fewer processor seconds, {ratios['seconds']:.2f} times faster")
    record = {
        "median": medians,
        "ratio": ratios,
        "all": taken,
        "repeats": config["repeats"],
        "steps": -(-len(data.splits["train"]) // batch_size),
        "loss_difference": difference,
    }
    return [record]


def prepare(config: Record, cell: Record) -> tuple[Recommendation, Interactions]:
    """Task and data of a cell, as its recipe makes them."""
    setting = config["models"][cell["model"]]
    content = {"data": {"name": cell["dataset"], **config["datasets"][cell["dataset"]]}, "model": setting["model"]}
    task = {"name": "recommendation", **setting.get("task", {}), "recipe": setting.get("recipe", {})}
    recipe = load_config({**content, "task": task, "request": {"target": "item", "ids": [0]}})
    made: Any = make_task(recipe.task, recipe.model, make_data(recipe.data, "recommendation"), None)
    return made


def loss_difference(task: Recommendation, model: Any, plain: Any, data: Interactions) -> float:
    """How far the two objectives of one batch are apart, relative to ours."""
    draws, view = seeds.generator(0), task.view(data, "train")
    batch = next(iter(task.batches(view, batch_size=task.recipe.batch_size, shuffle=True, generator=draws)))
    with torch.no_grad():
        forward = task.forward(model, batch)[0]
        ours = task.loss(forward, batch) + task.penalty(model, forward, batch)
        theirs = plain.loss(batch.index[:, 0], batch.index[:, 1], batch.extra["negatives"])
    return abs(float(theirs - ours) / float(ours))
