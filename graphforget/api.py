"""The verbs: unlearn, evaluate, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from graphforget.base import FitLog, Task, Unlearner, UnlearnResult
from graphforget.base.model import default_layer_names
from graphforget.evaluation import evaluate
from graphforget.exceptions import InputError
from graphforget.registry import Registry
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS
from graphforget.unlearners.select import choose_method

__all__ = ["evaluate", "list_methods", "make_task", "run", "unlearn"]


def make_task(task: str | type[Task] | Task, model: nn.Module | None = None, **params: Any) -> Task:
    """A task by name, class or instance; a model given with a name becomes its template.

    Raises:
        InputError: Unknown name or parameter.
    """
    if isinstance(task, Task):
        return TASKS.resolve(task, Task, **params)
    if model is not None:
        params.setdefault("template", model)
        cls = TASKS[task] if isinstance(task, str) else task
        layers = len(default_layer_names(model))
        if getattr(cls, "has_input_graph", False) and layers:
            params.setdefault("num_hops", layers)
    return TASKS.resolve(task, Task, **params)


def unlearn(
    model: nn.Module,
    data: Any,
    request: DeletionRequest,
    *,
    task: str | Task = "link_prediction",
    method: str | type[Unlearner] | Unlearner = "auto",
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
        task: Name or instance; see ``graphforget list tasks``.
        method: ``"auto"``, a name, a class or an instance; see ``graphforget list methods``.
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
    container = the_task.adopt(data)
    split = the_task.split(container, request)
    if isinstance(method, str) and method == "auto":
        method = choose_method(the_task, split.request, model)
    unlearner = METHODS.resolve(method, Unlearner, **params)
    return unlearner.unlearn(model, the_task, split, state=state, history=history, seed=seed, device=device, progress=progress)


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


def list_methods() -> list[dict[str, Any]]:
    """What every method says of itself: key, summary, citation, guarantee, what it needs."""
    return [
        {
            "key": key,
            "summary": cls.tags.summary,
            "citation": cls.tags.citation,
            "guarantee": cls.tags.guarantee,
            "tasks": sorted(cls.tags.tasks) if cls.tags.tasks else None,
        }
        for key, cls in _items(METHODS)
    ]


def _items(registry: Registry) -> list[tuple[str, Any]]:
    return [(key, registry[key]) for key in registry]
