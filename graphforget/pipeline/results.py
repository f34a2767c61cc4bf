"""Results on disk: an unlearned model with its original, its request and the requests before it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphforget.base import Ensemble, Task, Unlearner, UnlearnResult, load_model
from graphforget.base.checkpoint import WEIGHTS, load_tensors, load_weights, read_structure, save_model
from graphforget.base.result import Cost, Serving
from graphforget.exceptions import InputError
from graphforget.home import write_json
from graphforget.requests import DeletionRequest
from graphforget.tasks.make import recorded_task
from graphforget.unlearners import METHODS

_FORMAT = "graphforget.result/1"


def save_result(result: UnlearnResult, folder: str | Path) -> Path:
    """Write ``result.save`` and what is needed to evaluate or continue it later: ``original/`` and ``earlier.json``."""
    folder = Path(folder)
    save_model(result.first_original, folder / "original")
    write_json(folder / "earlier.json", [request.to_dict() for request in earlier_requests(result)])
    (folder / "state.safetensors").unlink(missing_ok=True)  # a result without state must not inherit that of an earlier one
    return result.save(folder)


def earlier_requests(result: UnlearnResult) -> list[DeletionRequest]:
    """The requests served before this one, oldest first."""
    before = result.previous
    loaded = list(result.info.get("earlier_requests", ())) if before is None else []
    found = [DeletionRequest.from_dict(content) for content in loaded]
    return found if before is None else earlier_requests(before) + [before.request]


def is_result(folder: str | Path) -> bool:
    """Whether the folder holds a result rather than a plain model."""
    return (Path(folder) / "result.json").is_file()


def read_record(folder: str | Path) -> dict[str, Any]:
    """The content of ``result.json``.

    Raises:
        InputError: Missing, or not such a file.
    """
    path = Path(folder) / "result.json"
    if not path.is_file():
        raise InputError(f"'{folder}' holds no result (no result.json): give a folder that `graphforget unlearn --out` wrote.")
    content = _read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"'{path}' is no result of format '{_FORMAT}'.")
    return content


def load_result(
    folder: str | Path,
    data: Any,
    task: str | type[Task] | Task | None = None,
    *,
    model_class: str | None = None,
    method: str | type[Unlearner] | None = None,
) -> UnlearnResult:
    """Rebuild a result that :func:`save_result` wrote.

    The files of a result never decide alone which code runs: a method, task or model class in them is graphforget's, or its
    package is installed for graphforget (see :mod:`graphforget.registry`), or it is named here.

    Args:
        folder: The folder.
        data: The data before any deletion, as the original was trained on it.
        task: Name, path, class or instance; by default the one in the record.
        model_class: ``"package.module:Class"`` of a class outside graphforget; its code runs.
        method: Path or class of the method that made the result, where it is neither graphforget's nor installed; its code runs.

    Returns:
        The result. For a sequence of requests ``original`` is the model before the first of them.

    Raises:
        InputError: Missing or damaged files, or other data than the result was made on.
    """
    folder = Path(folder)
    record = read_record(folder)
    unlearner = _method_of(folder, record, method)  # first: it may bring the operators that the model was edited with
    if isinstance(task, Task):
        the_task, container = task, task.adopt(data)
        original = load_model(folder / "original", model=task.new_model(container, seed=0))[0].eval()
    else:
        original = load_model(folder / "original", model_class=model_class)[0].eval()
        the_task = recorded_task(_task_record(record), original, task=task)
        container = the_task.adopt(data)
    earlier = [DeletionRequest.from_dict(c) for c in _earlier(folder)]
    current = container
    try:
        for request in earlier:
            current = the_task.split(current, request).retain_data
        split = the_task.split(current, DeletionRequest.load(folder / "request.json"))
    except InputError as error:
        raise InputError(f"'{folder}' does not fit the data '{container.name}': {error}") from None
    if split.lineage.request.digest() != record.get("cumulative_request_digest"):
        raise InputError(
            f"'{folder}' was made on other data than '{container.name}', or its files were changed: "
            f"the request means something else here."
        )
    names = {f.name for f in fields(Cost)}
    try:
        deny = {kind: torch.tensor(ids, dtype=torch.long) for kind, ids in record["serving"]["deny"].items()}
        return UnlearnResult(
            model=_load_unlearned(folder, the_task, container),
            original=original,
            task=the_task,
            split=split,
            serving=Serving(record["serving"]["context"], deny),
            state=_state(folder, record),
            edits=load_edits(folder),
            seed=record["seed"],
            cost=Cost(**{k: v for k, v in record["cost"].items() if k in names}),
            curve=tuple(record["curve"]),
            unlearner=unlearner,
            info=dict(record["info"]) | ({"earlier_requests": [r.to_dict() for r in earlier]} if earlier else {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{folder / 'result.json'}' is damaged ({type(error).__name__}: {error}).") from None


def _method_of(folder: Path, record: Mapping[str, Any], given: str | type[Unlearner] | None) -> Unlearner:
    """The method that made a result, with its parameters.

    Raises:
        InputError: It is not known here, or is not the one that the caller names.
    """
    name, params = record.get("method"), record.get("params")
    if not isinstance(name, str) or not isinstance(params, dict):
        raise InputError(f"'{folder / 'result.json'}' is damaged: it does not say by which method it was made.")
    if given is None:
        try:
            cls = METHODS.named(name)
        except InputError as error:
            raise InputError(
                f"'{folder}' was made by a method that is not known here: {error} A method of others is installed, or named: "
                f"method='package.module:Class' (--method)."
            ) from error
    else:
        cls = METHODS[given] if isinstance(given, str) else given
        if cls.tags.key != name:
            raise InputError(f"'{folder}' was made by the method '{name}', not by '{cls.tags.key}'.")
    unlearner: Unlearner = METHODS.resolve(cls, Unlearner, **params)
    return unlearner


def _task_record(record: Mapping[str, Any]) -> dict[str, Any]:
    found = record.get("task")
    if not isinstance(found, dict):
        raise InputError("the record of its task is damaged: it is missing.")
    return found


def load_edits(folder: Path) -> tuple[Any, ...]:
    """The operators that ``model.json`` lists."""
    from graphforget.base.edits import ModelEdit

    return tuple(ModelEdit(**entry) for entry in read_structure(folder).get("edits", ()))


def _load_unlearned(folder: Path, task: Task, data: Any) -> nn.Module:
    """The unlearned model, built like the original; an ensemble from as many members as its weights name."""
    structure = read_structure(folder)
    if structure["class"] == "graphforget.base.model:Ensemble":
        tensors = load_tensors(folder / WEIGHTS)
        count = 1 + max(int(name.split(".")[1]) for name in tensors)
        model: nn.Module = Ensemble([task.new_model(data, seed=0) for _ in range(count)])
        load_weights(model, tensors)
        return model.eval()
    model, _ = load_model(folder, model=task.new_model(data, seed=0))
    return model.eval()


def _state(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / "state.safetensors"
    return dict(record.get("state", {})) | (dict(load_tensors(path)) if path.is_file() else {})


def _earlier(folder: Path) -> list[Any]:
    path = folder / "earlier.json"
    if not path.is_file():
        raise InputError(
            f"'{folder}' holds no earlier.json: it was written by result.save alone; "
            f"use save_result or `graphforget unlearn`, which keep the original too."
        )
    content = _read_json(path)
    if not isinstance(content, list):
        raise InputError(f"'{path}' must be a list of requests.")
    return content


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}.") from None
