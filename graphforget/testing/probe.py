"""What the checks measure: snapshots of a caller's objects, predictions on live examples, and forgotten content made NaN."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base import Ensemble, Task, UnlearnResult, content_digest, evaluating, load_model
from graphforget.exceptions import InputError
from graphforget.requests import ForgetSplit, View
from graphforget.testing.report import NotApplicable


def tensors_of(data: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a data container holds, by name."""
    fields = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)} if dataclasses.is_dataclass(data) else vars(data)
    for name, value in fields.items():
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{key}", part) for key, part in value.items() if isinstance(part, Tensor))


def data_state(data: Any) -> dict[str, tuple[int, str]]:
    """Version counter and content digest of every tensor of a container; NaN counts as equal to itself."""
    return {name: (tensor._version, content_digest(tensor)) for name, tensor in tensors_of(data)}


def model_state(model: nn.Module) -> dict[str, Any]:
    """Weights, modes, ``requires_grad`` flags, gradients and hook counts of a model, all copied."""
    return {
        "weights": {k: (v._version, content_digest(v)) for k, v in model.state_dict(keep_vars=True).items()},
        "train/eval modes": {n: m.training for n, m in model.named_modules()},
        "requires_grad flags": {n: p.requires_grad for n, p in model.named_parameters()},
        "gradients": {n: p.grad is None for n, p in model.named_parameters()},
        "forward hooks": {n: len(m._forward_hooks) for n, m in model.named_modules()},
    }


def random_state() -> tuple[Any, ...]:
    """The global random state of torch, python and numpy, comparable with ``==``."""
    import numpy as np

    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the global state is what is looked at
    return (torch.get_rng_state().tolist(), random.getstate(), kind, keys.tobytes(), tuple(rest))  # type: ignore[union-attr]


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, detached."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def same_weights(a: nn.Module, b: nn.Module, *, tolerance: float = 0.0) -> bool:
    """Equal names, shapes and values (bit for bit unless a tolerance is given)."""
    x, y = weights(a), weights(b)
    if set(x) != set(y) or any(x[k].shape != y[k].shape for k in x):
        return False
    if tolerance == 0.0:
        return all(torch.equal(x[k], y[k]) for k in x)
    return all(torch.allclose(x[k].double(), y[k].double(), rtol=tolerance, atol=tolerance) for k in x)


def predictions(task: Task, model: nn.Module, view: View) -> Tensor:
    """Outputs on a view, evaluation mode, with the view's own negatives or none."""
    if isinstance(view.negatives, str):
        view = View(view.data, view.index, "none")
    generator = torch.Generator().manual_seed(0)
    with evaluating(model):
        return torch.cat([task.forward(model, batch)[0].outputs for batch in task.batches(view, generator=generator)])


def served(result: UnlearnResult) -> Tensor:
    """What a result answers on the test part of the data that it is served on."""
    return predictions(result.task, result.model, result.task.view(result.data, "test"))


def reload(result: UnlearnResult, folder: str) -> nn.Module:
    """Save a result and read its model back, rebuilding it with the task where the class offers no configuration."""
    result.save(folder)
    try:
        return load_model(folder)[0]
    except InputError:

        def fresh() -> nn.Module:
            return result.task.new_model(result.data, seed=971)

        model = Ensemble([fresh() for _ in result.model.members]) if isinstance(result.model, Ensemble) else fresh()
        return load_model(folder, model=model)[0]


def spoiled(split: ForgetSplit, *, whole_original: bool) -> ForgetSplit:
    """The same split with the content of everything forgotten replaced by NaN (and wrong labels).

    Args:
        split: The real one.
        whole_original: Make *all* content of the original data NaN, for methods that do not declare to read it.

    Raises:
        NotApplicable: The forgotten content lies in structure only, where nothing can be NaN.
    """
    made = copy.copy(split)
    before, after, between = split.data, split.retain_data, split.unlinked_data
    names = {name for name, _ in tensors_of(before)}
    if "x" not in names:
        if not whole_original:
            raise NotApplicable("the data has no content besides structure, and the method declares to read the original")
        made.data = after  # nothing can be NaN, but all of it can be missing
        made.__dict__.update(retain_data=after, unlinked_data=after)
        return made
    if before.x is None or not before.x.is_floating_point() or before.x.layout != torch.strided:
        raise NotApplicable("the data has no dense floating-point content that could be NaN")
    rows = torch.zeros(before.x.size(0), dtype=torch.bool)
    if "alive" in names:
        rows = before.alive & ~after.alive
    features = split.request.ids("node_feature")
    rows[features] = True
    if not bool(rows.any()) and not whole_original:
        raise NotApplicable("the request forgets structure only, and the method declares to read the original structure")

    def spoil(data: Any, everything: bool) -> Any:
        x = data.x.clone()
        x[slice(None) if everything else rows] = float("nan")
        changes: dict[str, Any] = {"x": x}
        if "y" in names and data.y is not None and not data.y.is_floating_point() and data.num_classes > 1:
            y = data.y.clone()
            gone = rows & (y >= 0)
            gone[features] = False  # a node whose features go keeps its label
            y[gone] = (y[gone] + 1) % data.num_classes
            changes["y"] = y
        return dataclasses.replace(data, **changes)

    bad = spoil(before, whole_original)
    made.data = bad
    made.__dict__["retain_data"] = after
    made.__dict__["unlinked_data"] = bad if between is before else after if between is after else spoil(between, False)
    return made
