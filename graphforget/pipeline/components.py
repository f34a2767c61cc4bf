"""From configuration to objects: data, task, model, request, methods."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphforget import seed as seeds
from graphforget import tasks
from graphforget.base import Recipe, Task, Unlearner, load_model, load_weights
from graphforget.base.checkpoint import load_tensors
from graphforget.exceptions import InputError
from graphforget.models.make import ModelMaker
from graphforget.pipeline.config import DataSection, ModelSection, RequestSection, TaskSection, UnlearnerSection
from graphforget.pipeline.fields import complete
from graphforget.pipeline.files import SUFFIXES, read_data
from graphforget.registry import is_path, nearest
from graphforget.requests import DeletionRequest
from graphforget.unlearners import METHODS
from graphforget.unlearners.select import choose_method


def make_data(section: DataSection, task: str) -> Any:
    """Load a dataset by name or path of its function, or a data file; ``task`` is the task's own name."""
    if section.file is not None:
        return read_data(section.file)
    from graphforget.datasets import load

    assert section.name is not None
    return load(section.name, task=task, **section.params)


def find_data(spec: str, task: str, **options: Any) -> Any:
    """Data as the command line names it: a dataset, ``package.module:function``, or a ``.npz`` / ``.safetensors`` file.

    Raises:
        InputError: None of these; the nearest dataset names are listed.
    """
    from graphforget.datasets import DATASETS, load

    if is_dataset(spec):
        return load(spec, task=task, **options)
    if Path(spec).suffix in SUFFIXES or Path(spec).exists():
        return read_data(spec)
    raise InputError(f"there is no dataset and no file '{spec}'; {nearest(spec, list(DATASETS))}")


def is_dataset(spec: str) -> bool:
    """Whether a word of the command line names a dataset rather than a file."""
    from graphforget.datasets import DATASETS

    if is_path(spec) and not Path(spec).exists():
        return True
    return spec in DATASETS or spec.replace("-", "_") in DATASETS  # ml-1m is loaded as ml_1m


def check_source(folder: Path, name: str) -> None:
    """Refuse data of others that only a saved file names.

    Raises:
        InputError: The name is the path of a function.
    """
    if is_path(name) and not Path(name).exists():
        raise InputError(
            f"'{folder}' says that its data come from '{name}', which is not part of graphforget: "
            f"give --data {name} to let its code run."
        )


def make_task(section: TaskSection, model: ModelSection, data: Any, trained: nn.Module | None) -> tuple[Task, Any]:
    """The task with the means to make fresh models, and its data container.

    Raises:
        InputError: The data does not suit the task, or the model does not suit the data.
    """
    build = None if trained is not None else model_maker(model)
    task = tasks.make_task(
        section.name, trained, build=build, recipe=Recipe(**section.recipe), layers=section.layers, **section.params
    )
    return task, task.adopt(data)


def model_maker(section: ModelSection) -> ModelMaker:
    """What makes the models of a recipe; their sizes are read from the data."""
    return ModelMaker(section.class_ or section.name or "", section.params)


def load_trained(section: ModelSection, data: Any) -> nn.Module:
    """The model that ``folder`` or ``weights`` names, in evaluation mode.

    Raises:
        InputError: Unreadable, untrusted, or of other shapes; or inserted operators would be lost.
    """
    if section.folder is not None:
        if (Path(section.folder) / "result.json").exists():
            raise InputError(
                f"model.folder: '{section.folder}' is the result of a deletion; continue it with "
                f"`graphforget unlearn --model {section.folder}`, which knows what was deleted before."
            )
        model, _ = load_model(section.folder, model_class=section.class_)
    else:
        model = model_maker(section)(data)
        load_weights(model, load_tensors(section.weights or ""))
    return model.eval()


# ---- requests -------------------------------------------------------------------------------------------------
def make_request(section: RequestSection, task: Task, data: Any) -> DeletionRequest:
    """Read or draw the request.

    Raises:
        InputError: Unreadable file, unknown sampler, or nothing to draw from.
    """
    if section.file is not None:
        return DeletionRequest.load(section.file)
    if section.ids is not None:
        ids = [list(i) if isinstance(i, tuple) else i for i in section.ids]
        return DeletionRequest.from_dict({"targets": [{"kind": section.target, "ids": ids, "name": section.name}]})
    if section.value is not None:
        if not hasattr(data, "items_with"):
            raise InputError(f"request.value: '{data.name}' has no items with attributes; draw a share with where: and size:.")
        return DeletionRequest.items(data.items_with(str(section.where), section.value))
    assert section.size is not None
    samplers = samplers_of(section.target or "", data)
    if section.where not in samplers:
        if not samplers:
            raise InputError(
                f"request.where: {section.target} targets of '{data.name}' cannot be drawn; name them with ids: or file:."
            )
        raise InputError(
            f"request.where: there is no '{section.where}' for {section.target} targets; "
            f"{nearest(str(section.where), list(samplers))}"
        )
    draw, seed = samplers[section.where], seeds.derive(section.seed, "request")
    params = complete("request", draw, section.params, hidden=("data", "size", "seed", "count", "fraction"))
    if "fraction" in inspect.signature(draw).parameters:
        share = isinstance(section.size, float) and section.size < 1
        return draw(data, seed=seed, **params, **({"fraction": section.size} if share else {"count": int(section.size)}))
    return draw(data, section.size, seed=seed, **params)


def samplers_of(target: str, data: Any) -> dict[str, Any]:
    """Samplers of a target kind by ``where``: the functions ``<where>_<target>s`` that suit the data."""
    if hasattr(data, "edge_index"):
        from graphforget.graphs import sample_requests as module
    elif hasattr(data, "num_items"):
        from graphforget.interactions import sample_requests as module  # type: ignore[no-redef]
    else:
        return {"random": random_samples} if target == "sample" else {}
    ending = f"_{target}s"
    return {
        name.removesuffix(ending): function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.endswith(ending) and function.__module__ == module.__name__ and not name.startswith("_")
    }


def random_samples(data: Any, size: int | float, *, seed: int) -> DeletionRequest:
    """``size`` training samples (a share below 1, a number otherwise), without replacement.

    Raises:
        InputError: More than there are, or fewer than one.
    """
    train = data.splits["train"]
    count = round(size * len(train)) if isinstance(size, float) and size < 1 else int(size)
    if not 1 <= count < len(train):
        raise InputError(f"request.size: {size} of {len(train)} training samples is {count}; ask for 1 to {len(train) - 1}.")
    return DeletionRequest.samples(train[torch.randperm(len(train), generator=seeds.generator(seed))[:count]])


# ---- methods --------------------------------------------------------------------------------------------------
def make_method(where: str, section: UnlearnerSection, task: Task, request: DeletionRequest, model: nn.Module) -> Unlearner:
    """The method of a section; ``auto`` is chosen from task, request and model.

    Raises:
        InputError: Unknown parameters of the chosen method, or it cannot serve the request.
    """
    key = choose_method(task, request, model) if section.method == "auto" else section.method
    params: Mapping[str, Any] = complete(where, METHODS[key], section.params)
    method: Unlearner = METHODS.resolve(key, Unlearner, **params)
    return method
