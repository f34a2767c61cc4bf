"""Saved recommenders as they are served: which data, what is suspended, which lists people see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base import Task, UnlearnResult, load_model
from graphforget.base.checkpoint import save_model
from graphforget.base.edits import edits_in
from graphforget.exceptions import InputError
from graphforget.home import write_json
from graphforget.interactions import Interactions
from graphforget.interactions.edit import check_entities
from graphforget.pipeline.components import check_source, find_data
from graphforget.pipeline.config import read_config
from graphforget.pipeline.interaction_files import write_interactions
from graphforget.pipeline.results import is_result, load_result, read_record
from graphforget.pipeline.saved import check_runs, data_source, read_task, task_beside
from graphforget.pipeline.suspension import SIDES, read_suspended, suspended_ids, write_suspended
from graphforget.requests import DeletionRequest, show_ids
from graphforget.tasks import TASKS

OWN_DATA, RESTORED = "data.safetensors", "restored.json"


@dataclass(frozen=True, eq=False)
class Served:
    """A saved recommender, ready to serve.

    Attributes:
        folder: Where it is.
        model: The model.
        task: Its task.
        data: The data that it is served on.
        source: How to find the data from which it came: ``{"name": ..., "options": {...}}``.
        denied: What the result itself denies, by kind: what was forgotten, or masked.
        suspended: What an operator suspended, by kind; see :func:`suspend_saved`.
        result: The result, where the folder holds one rather than a plain model.
    """

    folder: Path
    model: nn.Module
    task: Task
    data: Interactions
    source: Mapping[str, Any]
    denied: Mapping[str, Tensor]
    suspended: Mapping[str, Tensor]
    result: UnlearnResult | None = None

    @property
    def deny(self) -> dict[str, Tensor]:
        """What must not be served, by kind."""
        none = torch.empty(0, dtype=torch.long)
        each = {side: torch.cat([deny.get(side, none) for deny in (self.denied, self.suspended)]).unique() for side in SIDES}
        return {side: ids for side, ids in each.items() if len(ids)}

    def recommend(self, user_id: Any, *, top_k: int = 20) -> Tensor:
        """Lists for users, [n, top_k]; see :func:`graphforget.tasks.recommendation.serving.recommend`."""
        from graphforget.tasks.recommendation.serving import recommend

        return recommend(self.task, self.model, self.data, user_id, top_k=top_k, deny=self.deny)

    def why_empty(self, user: int) -> str | None:
        """Why a user gets no list: ``"forgotten"``, ``"suspended"``, ``"denied"``, or None."""
        if not bool(self.data.alive_users[user]):
            return "forgotten"
        named = (("suspended", self.suspended), ("denied", self.denied))
        return next((why for why, ids in named if "user" in ids and bool((ids["user"] == user).any())), None)


def load_served(
    folder: str | Path,
    data: str | None = None,
    *,
    model_class: str | None = None,
    method: str | None = None,
    data_options: Mapping[str, Any] | None = None,
) -> Served:
    """A saved recommender with what it denies.

    Args:
        folder: A saved model, a result that ``graphforget unlearn`` or ``restore`` wrote, or the folder of a ``graphforget run``,
            which stands for its judged result.
        data: Dataset name or data file, as before any deletion; by default what the folder says: a data file of its own, the data
            that a suspension or the deletion was made with, or those of the recipe.
        model_class: ``"package.module:Class"`` of a class outside graphforget; its code runs.
        method: ``"package.module:Class"`` of the method that made a result, where it is not installed; its code runs.
        data_options: Options of the dataset; only with ``data``.

    Raises:
        InputError: No such folder, unknown data, or no recommender.
    """
    place = _serving_folder(Path(folder))
    if is_result(place):
        _check_recommender(place)
    source, container = _find_source(place, data, data_options or {})
    if is_result(place):
        result = load_result(place, container, model_class=model_class, method=method)
        model, task, served, denied = result.model, result.task, result.data, dict(result.serving.deny)
    else:
        if method is not None:
            raise InputError(f"--method says what made a result; '{place}' holds a plain model: leave it out.")
        result, denied = None, {}
        model = load_model(place, model_class=model_class)[0].eval()
        task = task_beside(read_task(place), model, TASKS["recommendation"])
        served = task.adopt(container)
        try:
            check_runs(task, model, served)
        except InputError as error:
            raise InputError(f"the model in '{place}' is no recommender for '{served.name}': {error}") from None
    alive = {"user": served.alive_users, "item": served.alive_items}
    suspended = suspended_ids(place)
    for side, ids in suspended.items():
        if len(ids) and int(ids.max()) >= len(alive[side]):
            raise InputError(f"'{place}' suspends {side} {int(ids.max())}, but '{served.name}' has {len(alive[side])} {side}s.")
    suspended = {side: ids[alive[side][ids]] for side, ids in suspended.items()}
    return Served(place, model, task, served, source, denied, suspended, result)


def suspend_saved(served: Served, request: DeletionRequest, *, lift: bool = False) -> Served:
    """Stop serving users and items, or serve them again, from now on: one small file beside the model is written.

    Nothing is forgotten, and no weight changes. What is suspended is kept as ids: items that get an attribute later are not.

    Args:
        served: From :func:`load_served`.
        request: Users and items.
        lift: Take them off instead.

    Returns:
        The recommender as it is served now.

    Raises:
        InputError: The request names something else than users and items, unknown or forgotten ones, or nothing of what is to be
            lifted is suspended.
    """
    other = sorted(set(request.kinds) - set(SIDES))
    if other:
        raise InputError(
            f"a suspension names users and items, but the request names {other[0]} targets: `graphforget unlearn` forgets them."
        )
    named = {side: request.ids(side) for side in SIDES}
    now: dict[str, Tensor] = {}
    for side, ids in named.items():
        old = served.suspended.get(side, ids[:0])
        if lift:
            now[side] = old[~torch.isin(old, ids)]
        else:
            check_entities(served.data, ids, side)
            now[side] = torch.cat([old, ids]).unique()
    changed = {side: abs(len(now[side]) - len(served.suspended.get(side, ()))) for side in SIDES}
    if lift and not any(changed.values()):
        side, ids = next((side, ids) for side, ids in named.items() if len(ids))
        masked = bool(torch.isin(ids, served.denied.get(side, ids[:0])).any())
        hint = " (the result itself denies them: they were forgotten, or masked by its method)" if masked else ""
        raise InputError(f"{side}s {show_ids(ids)} are not suspended{hint}.")
    entry: dict[str, Any] = {
        "action": "lift" if lift else "suspend",
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    entry |= {"request": request.summary(), "note": request.note, "changed": changed, "digest": request.digest()}
    write_suspended(served.folder, now, served.source, entry)
    return Served(**{**vars(served), "suspended": {side: ids for side, ids in now.items() if len(ids)}})


def save_restored(
    folder: str | Path, model: nn.Module, data: Interactions, task: Task, new_ids: Mapping[int, int], served: Served
) -> Path:
    """Write a model with restored items as a new beginning: the model, its task, its own data, and where they came from.

    Args:
        folder: A new folder.
        model: The grown model.
        data: The grown data.
        task: The task for models of the new size.
        new_ids: The new id of every restored item by its old one.
        served: What they were restored from; its suspensions stay in force.
    """
    folder = Path(folder)
    write_interactions(data, folder / OWN_DATA)
    write_json(folder / "task.json", task.describe())
    assert served.result is not None
    deleted = served.result.split.lineage.request
    facts: dict[str, Any] = {"format": "graphforget.restored/1", "from": str(served.folder.resolve())}
    facts["cumulative_request_digest"] = deleted.digest()
    write_json(folder / RESTORED, facts | {"new_ids": [[old, new] for old, new in sorted(new_ids.items())]})
    if any(len(ids) for ids in served.suspended.values()):
        source = data_source(str(folder / OWN_DATA), {})
        entry = {"action": "carried over", "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        write_suspended(folder, served.suspended, source, entry | {"request": f"suspended in {served.folder.name}"})
    return save_model(model, folder, edits=edits_in(model))  # last: without a model the folder is nothing


# ---- help -----------------------------------------------------------------------------------------------------
def _serving_folder(folder: Path) -> Path:
    """The model folder that is meant.

    Raises:
        InputError: There is none, or a run with several judged results.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder '{folder}': give a saved model, a result, or the folder of a `graphforget run`.")
    if not (folder / "config.yaml").is_file():
        return folder
    found = sorted(path for path in (folder / "models").glob("unlearned-*") if is_result(path))
    if not found:
        raise InputError(f"the run '{folder}' has no result yet; finish it with `graphforget run {folder / 'config.yaml'}`.")
    if len(found) > 1:
        raise InputError(f"the run '{folder}' has {len(found)} results; name one, for example {found[0]}.")
    return found[0]


def _find_source(folder: Path, data: str | None, options: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """How the folder's data are found, and they.

    Raises:
        InputError: Nothing says which data, or they are not there.
    """
    recipe = folder.parent.parent / "config.yaml"
    known: Any = None
    if data is not None:
        known = data_source(data, options)
        return known, find_data(known["name"], "recommendation", **known["options"])
    if options:
        raise InputError("-D sets an option of the dataset that --data names; give --data too.")
    if (folder / OWN_DATA).is_file():
        known = data_source(str(folder / OWN_DATA), {})
    elif (noted := read_suspended(folder)) is not None:
        known = noted["data"]
    elif is_result(folder):
        known = read_record(folder).get("info", {}).get("data")
        if known is not None and not _finds_data(known):
            raise InputError(f"'{folder / 'result.json'}' is damaged: it does not say how its data are found.")
    if known is None and folder.parent.name == "models" and recipe.is_file():
        section = read_config(recipe).data
        known = data_source(section.file or str(section.name), section.params)
    if known is None:
        raise InputError(f"'{folder}' does not say which data it is served on: give --data, as they were before any deletion.")
    check_source(folder, known["name"])
    return known, find_data(known["name"], "recommendation", **known["options"])


def _finds_data(known: Any) -> bool:
    return isinstance(known, Mapping) and isinstance(known.get("name"), str) and isinstance(known.get("options"), Mapping)


def _check_recommender(folder: Path) -> None:
    name = read_record(folder).get("task", {}).get("name")
    if name in TASKS and TASKS[name].output_kind != "ranking":
        raise InputError(f"'{folder}' is a result of task '{name}': only recommenders serve lists to users.")
