"""The verbs: unlearn, evaluate, run, sweep; and for operators of recommenders suspend, restore and recommend."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base import FitLog, Task, Unlearner, UnlearnResult
from graphforget.evaluation import evaluate
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.tasks.make import make_task
from graphforget.unlearners import METHODS
from graphforget.unlearners.select import choose_method

__all__ = ["Restored", "evaluate", "list_methods", "make_task", "recommend", "restore", "run", "suspend", "sweep", "unlearn"]


def unlearn(
    model: nn.Module,
    data: Any,
    request: DeletionRequest,
    *,
    task: str | type[Task] | Task = "link_prediction",
    method: str | type[Unlearner] | Unlearner = "auto",
    split: int | None = None,
    seed: int = 0,
    state: Mapping[str, Any] | None = None,
    history: FitLog | None = None,
    device: str | None = None,
    progress: Any = None,
    **params: Any,
) -> UnlearnResult:
    """Remove data from a trained model.

    Args:
        model: Any trained ``nn.Module``; for graphs, one with ``forward(x, edge_index)``. It is not changed.
        data: What it was trained on: a graphforget container, a PyG ``Data``, a networkx or scipy graph.
        request: What to forget.
        task: Name (see ``graphforget list tasks``), ``"package.module:Class"``, class or instance.
        method: ``"auto"``, a name (see ``graphforget list methods``), ``"package.module:Class"``, a class or an instance.
        split: Which column of 2-D masks to take, for PyG data with several splits.
        seed: Seed of the run.
        state: State from an earlier ``prepare``.
        history: The FitLog of the original's training, for methods that need it.
        device: Where to compute; default: where the model is.
        progress: ``progress(step, total, values)``.
        **params: Parameters of the method.

    Returns:
        The unlearned model with everything needed to serve, save, audit and continue it.

    Raises:
        InputError: Bad data, request, name or parameter.
        UnsupportedError: The method cannot do this; the message says why.

    Example:
        >>> import graphforget
        >>> from graphforget.datasets import load
        >>> from graphforget.models import GCN
        >>> data = load("karate", task="link_prediction")
        >>> model = GCN(data.x.size(1), 16, 8)
        >>> request = graphforget.DeletionRequest.edges(pairs=data.pairs()[:3])
        >>> result = graphforget.unlearn(model, data, request, task="link_prediction", method="unlink")
        >>> result.changed_parameters
        ()
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    if not isinstance(request, DeletionRequest):
        raise InputError(
            f"request must be a DeletionRequest, for example DeletionRequest.nodes([3]); got {type(request).__name__}."
        )
    the_task = make_task(task, model)
    if split is not None:
        from graphforget.graphs import as_graph

        data = as_graph(data, split=split)
    container = the_task.adopt(data)
    resolved = the_task.split(container, request)
    if isinstance(method, str) and method == "auto":
        method = choose_method(the_task, resolved.request, model)
    unlearner = METHODS.resolve(method, Unlearner, **params)
    return unlearner.unlearn(model, the_task, resolved, state=state, history=history, seed=seed, device=device, progress=progress)


def suspend(
    model: nn.Module, data: Any, request: DeletionRequest, *, task: str | Task = "recommendation", **options: Any
) -> UnlearnResult:
    """Stop serving users and items at once, without forgetting anything: a mask (``unlearn`` with the method ``mask``).

    To lift it, serve ``result.original`` on ``result.split.data`` again. To forget what was suspended, ``unlearn`` it from there.

    Args:
        model: The trained recommender.
        data: What it was trained on.
        request: Users and items to stop serving.
        task: Name or instance.
        **options: As in :func:`unlearn`.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> case = tiny_case("recommendation")
        >>> suspend(case.model(), case.data, case.requests["items"], task=case.task).serving.deny["item"].tolist()
        [2, 9]
    """
    return unlearn(model, data, request, task=task, method="mask", **options)


def recommend(result: UnlearnResult, user_id: Any = None, *, names: Any = None, top_k: int = 20) -> Tensor:
    """Lists as a result is to be served: on its input, without what it denies, without what a user has.

    Args:
        result: The outcome of a request to a recommender.
        user_id: [n] users; the lists follow their order.
        names: The users' own names instead.
        top_k: Length of the lists.

    Returns:
        [n, top_k] items, best first; -1 where there is no candidate left.

    Raises:
        InputError: Unknown users, or a result of another task.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> lists = recommend(tiny_case("recommendation").unlearn("mask", "items"), [0, 1], top_k=18)
        >>> bool(torch.isin(lists, torch.tensor([2, 9])).any())
        False
    """
    from graphforget.tasks.recommendation.serving import recommend as ranked

    if result.task.output_kind != "ranking":
        raise InputError(f"recommend ranks items for users; the result is of task '{result.task.name}'.")
    if (user_id is None) == (names is None):
        raise InputError("say for whom: either user ids, or names=[...].")
    users = user_id if names is None else result.data.user_ids(names)
    return ranked(result.task, result.model, result.data, users, top_k=top_k, deny=result.serving.deny)


@dataclass(frozen=True, eq=False)
class Restored:
    """Items and users that came back.

    Attributes:
        model: The model with room for them, everything else as it was.
        data: The data with them under their new ids: items with their content, users with their name, and no interaction.
        task: The task, for models of the new size.
        new_ids: The new id of every item by its old one.
        new_users: The new id of every user by their old one.
    """

    model: nn.Module
    data: Any
    task: Task
    new_ids: Mapping[int, int]
    new_users: Mapping[int, int]


def restore(
    result: UnlearnResult, items: Any = None, *, users: Any = None, item_names: Any = None, user_names: Any = None, seed: int = 0
) -> Restored:
    """Take forgotten items and users back, as if they had never been there, under new ids.

    Tables grow by one row per item and user, drawn as a fresh model draws it; all else stays. The old slots stay empty, so
    nothing of the past can be read through them. What an item was is read from the first data, its interactions are not, nor is a
    modality that a request of its own took from it. A user signs up anew: they keep their name, and nothing that was known of
    them comes back. The restored data are a new beginning: they know nothing of what was forgotten before.

    Args:
        result: A result that forgot them.
        items: [n] old ids of items.
        users: [m] old ids of users.
        item_names: The items' own names instead.
        user_names: The users' own names instead.
        seed: Seed of the fresh rows.

    Raises:
        InputError: Nobody is named, items or users that were not forgotten or are only suspended, that the result's first data do
            not hold any more, or a model that cannot grow.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> restored = restore(tiny_case("recommendation").unlearn("row_reset", "items"), [9])
        >>> restored.new_ids, restored.data.num_items, restored.model.item_embedding.weight.shape[0]
        ({9: 20}, 21, 21)
    """
    from graphforget.interactions import Interactions
    from graphforget.interactions.restore import bring_back
    from graphforget.models.resize import resized

    first, data = result.split.lineage.data, result.split.retain_data
    if not isinstance(data, Interactions):
        raise InputError(f"restore takes back items of a recommender; the result is of task '{result.task.name}'.")
    if result.serving.context == "original":
        raise InputError("nothing was forgotten, the items are only suspended: serve result.original on result.split.data again.")
    wanted = {"item": _returning(data, "item", items, item_names), "user": _returning(data, "user", users, user_names)}
    if not any(len(ids) for ids in wanted.values()):
        raise InputError("say who comes back: items=[...], users=[...], item_names=[...] or user_names=[...].")
    modalities = result.split.lineage.request.modalities
    back = bring_back(first, data, modalities, items=wanted["item"], users=wanted["user"])
    model = result.model
    for slots in back.slots:
        model = resized(model, slots, seed=seed)
    task = copy.copy(result.task)
    if task.build is None:
        task.template = model  # the old template makes models of the old size
    return Restored(model, back.data, task, back.new_items, back.new_users)


def _returning(data: Any, kind: str, ids: Any, names: Any) -> Tensor:
    """Old ids, from ids or names."""
    if ids is not None and names is not None:
        raise InputError(f"give {kind}s either by id or by name.")
    if names is not None:
        return torch.unique(data.user_ids(names) if kind == "user" else data.item_ids(names))
    return torch.empty(0, dtype=torch.long) if ids is None else data.plain_ids(kind, ids)


def run(
    config: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    folder: str | Path = "runs",
    resume: bool = True,
    progress: Any = None,
) -> Any:
    """Run a recipe: train (or load) a model, delete, evaluate, report. See :func:`graphforget.pipeline.run`."""
    from graphforget.pipeline import run as run_pipeline

    return run_pipeline(config, overrides=overrides, folder=folder, resume=resume, progress=progress)


def sweep(grid: str | Path | Mapping[str, Any], *, only: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Run the product of data, models, requests, methods and seeds. See :func:`graphforget.sweeps.sweep`."""
    from graphforget.sweeps import sweep as run_sweep

    return run_sweep(grid, only=only, **options)


def list_methods() -> list[dict[str, Any]]:
    """What every method says of itself: key, summary, citation, guarantee, tasks, needs, and whose it is.

    Methods of installed packages are among them (``from``); one that cannot be used has its ``problem`` in a sentence.
    """
    from graphforget.pipeline.catalogue import list_components

    return [
        {
            "key": one["name"],
            "summary": one.get("summary", one["problem"]),
            "citation": one.get("citation", ""),
            "guarantee": one.get("guarantee", ""),
            "tasks": one["tasks"] if isinstance(one.get("tasks"), list) else None,
            "needs": one.get("needs", []),
            "from": one["from"],
            "problem": one["problem"],
        }
        for one in list_components("methods")
    ]
