"""Tasks by name: the one place where names, models and records become a :class:`~graphforget.base.Task`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from graphforget.base import Recipe, Task
from graphforget.base.model import num_hops_of
from graphforget.base.task import Build
from graphforget.exceptions import InputError
from graphforget.registry import accepted, check_params
from graphforget.tasks import TASKS


def make_task(
    task: str | type[Task] | Task,
    model: nn.Module | None = None,
    *,
    build: Build | None = None,
    recipe: Recipe | Mapping[str, Any] | None = None,
    layers: Sequence[str] | None = None,
    **params: Any,
) -> Task:
    """A task by name, path, class or instance.

    Args:
        task: Name, ``"package.module:Class"``, class, or an instance, which is returned as it is.
        model: A trained model: fresh ones get its shape, and a task that counts hops gets its number of layers.
        build: ``build(data)`` makes fresh models, e.g. a :class:`~graphforget.models.make.ModelMaker`.
        recipe: How to train; of a mapping, the fields that differ from the task's default.
        layers: Layer names, overriding what the model offers.
        **params: The task's own parameters.

    Raises:
        InputError: Unknown name or parameter, or parameters for an instance.

    Example:
        >>> from graphforget.models import GCN
        >>> task = make_task("node_classification", GCN(4, 8, 3, num_layers=3), recipe={"epochs": 50})
        >>> task.num_hops, task.recipe.epochs, task.recipe.lr
        (3, 50, 0.01)
    """
    given = {name: value for name, value in (("build", build), ("recipe", recipe), ("layers", layers)) if value is not None}
    if isinstance(task, Task):
        return TASKS.resolve(task, Task, **given | params)
    cls = TASKS[task] if isinstance(task, str) else task
    if isinstance(recipe, Mapping):
        check_params(Recipe, recipe, "recipe")
        given["recipe"] = replace(cls.default_recipe, **recipe)
    if model is not None:
        params.setdefault("template", model)
        if "num_hops" in accepted(cls) and (hops := num_hops_of(model)):
            params.setdefault("num_hops", hops)
    return TASKS.resolve(task if isinstance(task, str) else cls, Task, **given | params)


def recorded_task(
    record: Mapping[str, Any], model: nn.Module, *, task: str | type[Task] | None = None, recipe: Recipe | None = None
) -> Task:
    """The task that a file describes, as :meth:`~graphforget.base.Task.describe` wrote it.

    Args:
        record: Name, recipe, layers, and the task's own parameters.
        model: A model of the shape that fresh ones get.
        task: The task that is expected, by name, path or class. A task that is neither graphforget's nor installed has to be
            named so: the record alone does not decide which code runs.
        recipe: Instead of the recorded recipe.

    Raises:
        InputError: The record is damaged, or is that of another task.
    """
    try:
        described = dict(record)
        name, recorded = described.pop("name"), Recipe(**described.pop("recipe"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the record of its task is damaged ({type(error).__name__}: {error}).") from None
    cls = TASKS.named(name) if task is None else expected_task(task, name)
    return make_task(cls, model, recipe=recipe or recorded, **described)


def expected_task(task: str | type[Task], name: str) -> type[Task]:
    """The class of a task that a caller names, which must be the one of that name.

    Raises:
        InputError: It is another.
    """
    cls: type[Task] = TASKS[task] if isinstance(task, str) else task
    if cls.name != name:
        raise InputError(f"this was made for task '{name}', not '{cls.name}'; leave out the task or name that one.")
    return cls
