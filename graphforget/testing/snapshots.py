"""What the checks measure: snapshots of a caller's objects, and predictions on live examples."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base import Ensemble, Task, UnlearnResult, content_digest, evaluating, load_model
from graphforget.exceptions import InputError
from graphforget.requests import View


def tensors_of(data: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a data container holds, by name."""
    fields = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)} if dataclasses.is_dataclass(data) else vars(data)
    for name, value in fields.items():
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, Mapping):
            for key, part in value.items():
                if isinstance(part, Tensor):
                    yield f"{name}.{key}", part
                elif dataclasses.is_dataclass(part):  # an attribute of items
                    yield from ((f"{name}.{key}.{inner}", tensor) for inner, tensor in tensors_of(part))


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
