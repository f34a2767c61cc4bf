"""Training speed of recommenders as a ratio within one run: ours against the same models written plainly.

Ours is ``Recommendation.fit`` itself. Its callback, which ends an epoch, runs one epoch of the plain model, so that the two
take turns in one process. An epoch is everything but evaluation: drawing negatives, batches, forward, loss, backward, Adam.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from cells import chosen, run_missing
from plain_lightgcn import PlainLightGCN
from plain_mgcn import PlainMGCN
from plain_training import PlainTraining
from recommendation import load_data, make_task

from graphforget import seed as seeds
from graphforget.base import content_digest
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.tasks import Recommendation

Record = dict[str, Any]
PLAIN: dict[str, Any] = {"mgcn": PlainMGCN, "lightgcn": PlainLightGCN}
TOLERANCE = 1e-4  # of the loss of one batch, relative: single precision summed in another order
WARMUPS = 2


def run_recommendation_speed(
    config: Record, records: list[Record], add: Callable[[list[Record]], None], say: Callable[[str], None], only: Record
) -> None:
    """Run every cell that has no record yet; a cell is one model on one number of threads."""
    every = [
        {"dataset": name, "model": model, "threads": threads}
        for name in config["datasets"]
        for model in config["models"]
        for threads in config["threads"]
    ]
    run_missing(
        chosen(every, only),
        records,
        add,
        say,
        digest=lambda cell: content_digest(
            json.dumps([config["datasets"][cell["dataset"]], config["models"][cell["model"]], config["repeats"]], sort_keys=True)
        )[:12],
        run=lambda cell: [run_cell(config, cell, say)],
    )


def run_cell(config: Record, cell: Record, say: Callable[[str], None]) -> Record:
    """Medians of wall and processor seconds per epoch of both, and their ratios.

    Raises:
        InputError: The two models differ.
    """
    torch.set_num_threads(cell["threads"])
    data = load_data(config, cell["dataset"], 0)
    task = make_task(config["models"][cell["model"]])
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
    return {
        "median": medians,
        "ratio": ratios,
        "all": taken,
        "repeats": config["repeats"],
        "steps": -(-len(data.splits["train"]) // batch_size),
        "loss_difference": difference,
    }


def loss_difference(task: Recommendation, model: Any, plain: Any, data: Interactions) -> float:
    """How far the two objectives of one batch are apart, relative to ours."""
    draws, view = seeds.generator(0), task.view(data, "train")
    batch = next(iter(task.batches(view, batch_size=task.recipe.batch_size, shuffle=True, generator=draws)))
    with torch.no_grad():
        forward = task.forward(model, batch)[0]
        ours = task.loss(forward, batch) + task.penalty(model, forward, batch)
        theirs = plain.loss(batch.index[:, 0], batch.index[:, 1], batch.extra["negatives"])
    return abs(float(theirs - ours) / float(ours))
