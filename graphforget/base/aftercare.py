"""What the run wrapper does after every method: empty caches, put dead rows back, renew batch-norm statistics, audit the rest.

None of this is a method's business, and a method that forgot it would leave people behind in places that no measure of behaviour
shows. What cannot be mended is named (:mod:`graphforget.base.residue`), and no verdict is "sufficient" while it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from graphforget import seed as seeds
from graphforget.base.model import Ensemble
from graphforget.base.residue import Gone, Gradients, audit, entity_rows, put_back
from graphforget.base.stored import clear_caches
from graphforget.base.tags import Tags
from graphforget.base.task import Task
from graphforget.exceptions import InputError
from graphforget.requests import ForgetSplit, View

_PROBE = 256  # training examples whose outputs tell which tables are read by row
_RENEW = 64  # batches at most from which batch-norm statistics are taken


def clean_up(model: nn.Module, before: nn.Module, task: Task, split: ForgetSplit, tags: Tags, *, seed: int) -> dict[str, Any]:
    """Mend ``model`` in place, and say what was done and what is left.

    Args:
        model: The model after the method.
        before: The model before it.
        task: The task.
        split: The resolved request.
        tags: What the method says of itself: whether weights change, and what it does with forgotten rows.
        seed: Seed of fresh rows.

    Returns:
        ``rows_put_back``, ``statistics_renewed`` and ``residue`` (sentences), those that have something to say.
    """
    facts: dict[str, Any] = {}
    clear_caches(model)
    gone = task.gone(split)
    asked = _gradients(task, model, split)
    if tags.changes_weights and tags.forgotten_rows != "retrained" and not isinstance(model, Ensemble):
        rows = _put_back(model, before, task, split, gone, asked, seed) if tags.forgotten_rows == "kept" else {}
        if rows:
            facts["rows_put_back"] = rows
        renewed = renew_statistics(model, task, split, seed=seed)
        if renewed:
            facts["statistics_renewed"] = renewed
    found = residue_of(model, before, task, split)
    clear_caches(model)
    if found:
        facts["residue"] = list(found)
    return facts


def residue_of(model: nn.Module, before: nn.Module, task: Task, split: ForgetSplit) -> tuple[str, ...]:
    """What ``model`` still holds of what a request took, in sentences; ``before`` is the model before the request."""
    # A shard may never have trained on a deleted row: that it did not move says nothing there.
    tables = not isinstance(model, Ensemble)
    return tuple(one.sentence for one in audit(model, before, task.gone(split), _gradients(task, model, split), tables=tables))


def _put_back(
    model: nn.Module, before: nn.Module, task: Task, split: ForgetSplit, gone: Gone, asked: Gradients, seed: int
) -> dict[str, int]:
    if not any(map(len, gone.ids.values())) or not entity_rows(model, gone, asked):
        return {}
    try:
        fresh = task.new_model(split.retain_data, seed=seeds.derive(seed, "rows"))
    except InputError:
        return {}  # no fresh rows are to be had; the audit names those that stay
    return put_back(model, before, fresh, gone, asked)


def renew_statistics(model: nn.Module, task: Task, split: ForgetSplit, *, seed: int) -> int:
    """Take running statistics of batch norms from retained training data alone: the plain mean over its batches.

    Returns:
        The number of layers renewed.
    """
    layers = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats and m.running_mean is not None]
    if not layers or not len(split.retain):
        return 0
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    view = View(split.retain_data, split.retain, "draw")
    draws = seeds.generator(seeds.derive(seed, "statistics"))
    size = getattr(getattr(task, "recipe", None), "batch_size", None)
    try:
        model.eval()
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # cumulative mean instead of a moving one
            layer.train()
        with torch.no_grad():
            for number, batch in enumerate(task.batches(view, batch_size=size, shuffle=size is not None, generator=draws)):
                if number >= _RENEW or (number and len(batch) < 2):
                    break
                task.forward(model, batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes:
            module.training = mode
    return len(layers)


def _gradients(task: Task, model: nn.Module, split: ForgetSplit) -> Gradients:
    """Gradients of a random combination of outputs on some retained training examples."""

    def ask(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor | None]:
        leaves = {n: t for n, t in tensors.items() if isinstance(t, nn.Parameter) and t.is_floating_point()}
        view = View(split.retain_data, split.retain[:_PROBE], "draw")
        if not leaves or not len(view):
            return {}
        flags = {n: t.requires_grad for n, t in leaves.items()}
        modes = [(module, module.training) for module in model.modules()]
        try:
            model.eval()
            for tensor in leaves.values():
                tensor.requires_grad_(True)
            with torch.enable_grad(), seeds.isolated(0):
                batch = next(iter(task.batches(view, generator=seeds.generator(0))))
                outputs = task.forward(model, batch)[0].outputs
                weight = torch.rand(outputs.shape, generator=seeds.generator(1)).to(outputs) + 0.5
                found = torch.autograd.grad((outputs * weight).sum(), list(leaves.values()), allow_unused=True)
        finally:
            for name, tensor in leaves.items():
                tensor.requires_grad_(flags[name])
            for module, mode in modes:
                module.training = mode
        return dict(zip(leaves, found, strict=True))

    return ask
