"""Saved models and results, by path: what ``graphforget unlearn`` and ``graphforget evaluate`` do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from graphforget.base import FitLog, Recipe, Task, Unlearner, UnlearnResult, load_model
from graphforget.exceptions import InputError
from graphforget.pipeline.components import find_data, is_dataset
from graphforget.pipeline.config import check_device, lookup
from graphforget.pipeline.fields import complete
from graphforget.pipeline.results import is_result, load_result, read_record
from graphforget.pipeline.suspension import suspended_ids
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS
from graphforget.tasks.make import make_task, recorded_task
from graphforget.unlearners import METHODS
from graphforget.unlearners.select import choose_method


def unlearn_saved(
    model: str | Path,
    data: str,
    request: str | Path | Callable[[Any], DeletionRequest],
    *,
    task: str = "link_prediction",
    method: str = "auto",
    params: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    model_class: str | None = None,
    data_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str | None = None,
    progress: Any = None,
) -> UnlearnResult:
    """Remove data from a saved model, or continue a saved result with a further request.

    Args:
        model: Folder with ``model.safetensors`` and ``model.json``; a folder with ``result.json`` is continued.
        data: Dataset name, path or data file, before any deletion.
        request: Request file, or a function that makes the request from the data as they are before it.
        task: Name or path; for a saved result it must be the result's own.
        method: Name, path, or ``"auto"``.
        params: Parameters of the method.
        recipe: Fields of :class:`~graphforget.base.Recipe` that differ from the task's default.
        model_class: ``"package.module:Class"`` of a class outside graphforget; its code runs.
        data_options: Options of the dataset, e.g. ``{"seed": 1}``.
        seed: Seed of the run.
        device: Where to compute.
        progress: ``progress(step, total, values)``.

    Raises:
        InputError: Anything given is wrong; nothing was computed then.
    """
    task_class = lookup("--task", TASKS, task)
    if method != "auto":
        lookup("--method", METHODS, method)
        complete("-o", METHODS[method], params or {})
    check_device(device)
    asked = None if callable(request) else DeletionRequest.load(request)
    folder = Path(model)
    if not folder.is_dir():
        raise InputError(f"there is no model folder '{model}': give a folder with model.safetensors and model.json.")
    suspended = suspended_ids(folder)
    before: UnlearnResult | None = None
    if is_result(folder):
        if recipe:
            raise InputError("-r belongs to the first deletion; a saved result keeps its own recipe.")
        named = read_record(folder).get("method")
        own = method if method != "auto" and METHODS[method].tags.key == named else None
        container = find_data(data, task_class.name, **(data_options or {}))
        before = load_result(folder, container, task, model_class=model_class, method=own)
        the_task, current, served = before.task, before.split.retain_data, before.model
    else:
        described = read_task(folder)
        known = asdict(task_class.default_recipe) if described is None else described["recipe"]
        trains = Recipe(**complete("-r", Recipe, recipe or {}, known=known))
        served = load_model(folder, model_class=model_class)[0].eval()
        the_task = task_beside(described, served, task_class, trains)
        current = the_task.adopt(find_data(data, task_class.name, **(data_options or {})))
    if asked is None:
        asked = request(current)  # type: ignore[operator]
    split = the_task.split(current, asked)
    check_runs(the_task, served, current)
    key = choose_method(the_task, split.request, served) if method == "auto" else method
    unlearner: Unlearner = METHODS.resolve(key, Unlearner, **complete("-o", METHODS[key], params or {}))
    if before is not None:
        result = before.then(asked, method=unlearner, seed=seed, device=device, progress=progress)
    else:
        history = read_history(folder)
        result = unlearner.unlearn(served, the_task, split, history=history, seed=seed, device=device, progress=progress)
    facts: dict[str, Any] = {"data": data_source(data, data_options or {})}
    if suspended:  # what is off the lists for another reason must not come back with the new model
        facts["suspended"] = {side: ids.tolist() for side, ids in suspended.items()}
    return replace(result, info={**result.info, **facts})


def data_source(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """How to find data again: a dataset's name, or a file's full path, and the options."""
    return {"name": name if is_dataset(name) else str(Path(name).resolve()), "options": dict(options)}


def load_results(
    folders: Sequence[str | Path],
    data: str,
    *,
    task: str | None = None,
    methods: Sequence[str] = (),
    model_class: str | None = None,
    data_options: Mapping[str, Any] | None = None,
) -> list[UnlearnResult]:
    """Several saved results on the same data, and with the same task object.

    Args:
        folders: The results.
        data: Dataset name or data file, before any deletion.
        task: Name or path; by default the one in the records.
        methods: Paths of methods of others that are not installed, whose results are among these; their code runs.
        model_class: ``"package.module:Class"`` of a class outside graphforget; its code runs.
        data_options: Options of the dataset.

    Raises:
        InputError: A folder is no result, or does not fit the data or the task.
    """
    records = [read_record(folder) for folder in folders]
    described = [record.get("task", {}) for record in records]
    if any(other != described[0] for other in described):
        raise InputError("the results were made for different tasks or training recipes; evaluate them one by one.")
    name = described[0].get("name")
    cls = lookup("--task", TASKS, task) if task is not None else TASKS.named(str(name))
    container = find_data(data, cls.name, **(data_options or {}))
    named = {lookup("--method", METHODS, method).tags.key: method for method in methods}
    made = [named.get(str(record.get("method"))) for record in records]
    if unused := set(named.values()) - set(made):
        raise InputError(f"--method {sorted(unused)[0]}: none of the results was made by it.")
    loaded = [load_result(folders[0], container, task, model_class=model_class, method=made[0])]
    # One task object: what it derives from the data, and the golds' key, are then shared.
    more = zip(folders[1:], made[1:], strict=True)
    return loaded + [load_result(folder, container, loaded[0].task, method=method) for folder, method in more]


def check_runs(task: Task, model: nn.Module, data: Any) -> None:
    """Run the model once on the data, so that a mismatch is told in a sentence before any work.

    Raises:
        InputError: The model cannot read the data.
    """
    view = task.view(data, "train")
    try:
        task.predict(model, type(view)(data, view.index[:8], "none"))  # type: ignore[attr-defined]
    except InputError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"the model {type(model).__name__} cannot be run on '{data.name}' as task '{task.name}': "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}."
        ) from None


def read_history(folder: Path) -> FitLog | None:
    """The training log beside a model that ``graphforget run`` trained (``fit.json``), or None."""
    file = folder / "fit.json"
    if not file.is_file():
        return None
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        facts["curve"] = tuple((epoch, score) for epoch, score in facts["curve"])
        return FitLog(**facts)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"'{file}' is no training log ({type(error).__name__}); remove it, or train again.") from None


def read_task(folder: Path) -> dict[str, Any] | None:
    """The description of the task beside a model that ``graphforget run`` trained (``task.json``), or None.

    Raises:
        InputError: The file is damaged.
    """
    file = folder / "task.json"
    if not file.is_file():
        return None
    try:
        described: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        _, _ = described["name"], Recipe(**described["recipe"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"'{file}' is no record of a task ({type(error).__name__}); remove it, or train again.") from None
    return described


def task_beside(described: dict[str, Any] | None, model: nn.Module, cls: type[Task], recipe: Recipe | None = None) -> Task:
    """The task of a saved model: as it was recorded beside it, else with the defaults.

    Raises:
        InputError: The model was trained for another task.
    """
    if described is None:
        return make_task(cls, model, recipe=recipe)
    if described["name"] != cls.name:
        name = described["name"]
        raise InputError(f"the model was trained for task '{name}', not '{cls.name}'; give --task {name}.")
    return recorded_task(described, model, task=cls, recipe=recipe)
