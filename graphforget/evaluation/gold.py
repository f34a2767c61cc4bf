"""Gold: models retrained on what is left, several seeds, cached by content digest.

The key of a cached model is a digest of the data it was trained on, recipe, seed, versions and the model: its class and
``config`` for ours; qualified name, ``repr``, source and a behavioural fingerprint for a user's class. A class without
readable source and without ``cache_key=`` is not cached, and the report says so.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphforget import seed as seeds
from graphforget.base import Task, content_digest, load_weights, weights_digest
from graphforget.base.capabilities import config_of
from graphforget.base.checkpoint import load_tensors, save_tensors
from graphforget.exceptions import InputError
from graphforget.home import home, write_json
from graphforget.requests import ForgetSplit

GoldProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Trained:
    """A model trained by the task's recipe.

    Attributes:
        model: In evaluation mode.
        seed: Its seed.
        seconds: Training time to the kept epoch: the cost of equal validation quality.
        cpu_seconds: The same in processor seconds.
        epochs: Epochs to the kept one.
        cached: Whether it came from the cache.
    """

    model: nn.Module
    seed: int
    seconds: float
    cpu_seconds: float
    epochs: int
    cached: bool


def gold_seeds(count: int, *, original: int | None = None) -> list[int]:
    """``count`` fixed seeds, different from the original's."""
    chosen: list[int] = []
    number = 0
    while len(chosen) < count:
        candidate = seeds.derive(number, "gold")
        if candidate != original:
            chosen.append(candidate)
        number += 1
    return chosen


def train_or_load(task: Task, data: Any, *, seed: int, key: str | None, device: torch.device | str = "cpu") -> Trained:
    """Train a model by the task's recipe, or read it from the cache under ``GRAPHFORGET_HOME``.

    Args:
        task: The task, with its recipe.
        data: What to train on.
        seed: Seed of weights and draws.
        key: From :func:`model_key`; None neither reads nor writes the cache.
        device: Where to train.
    """
    folder, code = None, _task_code(task)
    if key is not None and code is not None:
        recipe = json.dumps(task.describe(), sort_keys=True)
        folder = home() / "trained" / content_digest(data.digest(), recipe + code, key, seed, _versions())
        found = _read(task, data, folder, seed)
        if found is not None:
            found.model.to(device)
            return found
    model = task.new_model(data, seed=seed).to(device)
    log = task.fit(model, data, seed=seed)
    if folder is not None:
        save_tensors(model.state_dict(), folder / "model.safetensors")
        write_json(folder / "log.json", log.facts())
    return Trained(model.eval(), seed, log.seconds_to_best, log.cpu_seconds_to_best, log.best_epoch, False)


def gold_models(
    task: Task,
    split: ForgetSplit,
    count: int,
    *,
    cache: bool = True,
    cache_key: str | None = None,
    original_seed: int | None = None,
    device: torch.device | str = "cpu",
    progress: GoldProgress | None = None,
) -> tuple[list[Trained], list[str]]:
    """Train (or read from the cache) ``count`` gold models of everything deleted so far.

    Args:
        task: The task, with its recipe.
        split: The split of the cumulative request on the first data.
        count: How many.
        cache: Whether to use the cache.
        cache_key: A name for the model's code, for classes whose source cannot be read.
        original_seed: The original's seed, which gold must not share.
        device: Where to train: where the judged models are, so that times compare.
        progress: ``progress(number, count, "trained" | "cached")``.

    Returns:
        (golds, notes): the notes are sentences for the report.

    Raises:
        InputError: ``count`` is below 1.
    """
    if count < 1:
        raise InputError(f"at least one gold model is needed, got gold={count}; three suffice for a verdict.")
    data, notes = split.retain_data, []
    key = model_key(task, data, cache_key) if cache else None
    if cache and key is None:
        notes.append("Gold models were not cached: the model's source cannot be read; pass cache_key= to name it.")
    elif cache and _task_code(task) is None:
        notes.append("Gold models were not cached: the task's source cannot be read.")
    golds = []
    for number, seed in enumerate(gold_seeds(count, original=original_seed)):
        golds.append(train_or_load(task, data, seed=seed, key=key, device=device))
        if progress is not None:
            progress(number + 1, count, "cached" if golds[-1].cached else "trained")
    return golds, notes


def model_key(task: Task, data: Any, cache_key: str | None = None) -> str | None:
    """What identifies the model's code and configuration, or None when that cannot be told."""
    model = task.new_model(data, seed=0)
    cls, made_with = type(model), config_of(model)
    if cls.__module__.startswith("graphforget.") and made_with is not None:
        # The fresh weights and what of them trains, too: `build` may load some, or freeze some.
        trains = [name for name, p in model.named_parameters() if p.requires_grad]
        config = json.dumps(made_with, sort_keys=True, default=repr)
        return content_digest(cls.__module__, cls.__qualname__, config, weights_digest(model), trains)
    if cache_key is None:
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):
            return None
    else:
        source = cache_key
    return content_digest(cls.__module__, cls.__qualname__, repr(model), source, fingerprint(task, model, data))


def fingerprint(task: Task, model: nn.Module, data: Any) -> str:
    """Outputs and gradient norm of a fresh model on 8 fixed examples, training mode, fixed randomness, 4 digits.

    Two classes of one name, or one class with different constants, behave differently and so get different keys.
    """
    view = task.view(data, "train")
    view = view.select(torch.arange(min(8, len(view))))
    with seeds.isolated(0):
        batch = next(iter(task.batches(view, generator=seeds.generator(0))))
        model.train()
        forward = task.forward(model, batch)[0]
        loss = task.loss(forward, batch) + task.penalty(model, forward, batch)
        grads = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
    norm = sum(float(g.square().sum()) for g in grads if g is not None) ** 0.5
    values = [float(v) for v in forward.outputs.detach().reshape(-1)[:64]] + [norm]
    return " ".join(f"{v:.3e}" for v in values)


def _task_code(task: Task) -> str | None:
    """What identifies a user's own task, which may change loss or batches; "" for ours, None when it cannot be told."""
    parts = []
    for cls in type(task).__mro__:
        if cls.__module__.startswith("graphforget."):
            break
        try:
            parts.append(f"{cls.__module__}.{cls.__qualname__} {inspect.getsource(cls)}")
        except (OSError, TypeError):
            return None
    return "".join(parts)


def _versions() -> str:
    from graphforget.version import __version__

    return f"torch {torch.__version__}, graphforget {__version__}"


def _read(task: Task, data: Any, folder: Path, seed: int) -> Trained | None:
    weights, record = folder / "model.safetensors", folder / "log.json"
    if not (weights.is_file() and record.is_file()):
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        model = task.new_model(data, seed=seed)
        load_weights(model, load_tensors(weights))
    except (InputError, json.JSONDecodeError, OSError, KeyError):
        return None  # a damaged cache entry is trained anew and replaced
    wall, cpu = float(content["seconds_to_best"]), float(content["cpu_seconds_to_best"])
    return Trained(model.eval(), seed, wall, cpu, int(content["best_epoch"]), True)
