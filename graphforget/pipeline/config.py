"""The configuration of a run: strict, complete, and the same thing on disk as in memory.

A recipe names data, task, model, request and unlearner; everything else has a default. :func:`load_config` checks every key
against the component that will receive it and fills in every default, so that the ``config.yaml`` of a run folder tells the
whole story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, field_validator, model_validator

from graphforget.base import Recipe, content_digest
from graphforget.evaluation.requested import requested_attacks, requested_metrics
from graphforget.evaluation.verdict import TOLERANCE
from graphforget.exceptions import InputError
from graphforget.models import MODELS
from graphforget.pipeline.fields import Component, Section, complete, validate
from graphforget.pipeline.reading import apply_overrides, read_recipe
from graphforget.registry import Registry, nearest
from graphforget.requests import KINDS
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS

SIZES = ("in_channels", "in_features", "image_size", "num_classes", "num_users", "num_items", "modalities")  # read from the data
WIDTHS = {"hidden_channels": 64, "out_channels": 64}  # where a model has no default of its own
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class DataSection(Component):
    """``{name: digits, ...options}`` or ``{file: graph.npz}``."""

    name: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> DataSection:
        if (self.name is None) == (self.file is None):
            raise ValueError("give either name: (see `graphforget list datasets`) or file:.")
        return self


class TaskSection(Component):
    """``{name: link_prediction, num_hops: 2, recipe: {epochs: 100}}``."""

    name: str
    recipe: dict[str, Any] = {}
    layers: tuple[str, ...] | None = None


class ModelSection(Component):
    """``{name: gcn, hidden_channels: 64}`` is trained; ``{folder: saved/}`` and ``{weights: file, name: gcn}`` are given."""

    name: str | None = None
    class_: str | None = Field(None, alias="class")
    folder: str | None = None
    weights: str | None = None

    @model_validator(mode="after")
    def _one(self) -> ModelSection:
        if self.folder is not None:
            if self.name or self.weights or self.params:
                raise ValueError("a saved model is given by folder: alone, with class: where it is not one of graphforget's.")
        elif (self.name is None) == (self.class_ is None):
            raise ValueError("give one of name: (see `graphforget list models`), class: 'package.module:Class' or folder:.")
        return self

    @property
    def trained(self) -> bool:
        """Whether the weights are given rather than trained."""
        return self.folder is not None or self.weights is not None


class RequestSection(Component):
    """``{file: request.json}``, ``{target: node, ids: [3, 4]}`` or ``{target: edge, where: random, size: 0.05, seed: 0}``.

    A modality is named as well: ``{target: modality, name: image, ids: [3, 4]}``; all items with a value of an attribute are
    ``{target: item, where: publisher, value: Ballantine}``.

    ``where`` names a sampler: ``random``, ``hub``, ``inside``, ``outside``, ``community``, ``class`` ...; what it takes besides
    size and seed (``label``, ``num_hops``) stands here too.
    """

    file: str | None = None
    target: str | None = None
    name: str | None = None
    ids: tuple[int, ...] | tuple[tuple[int, int], ...] | None = None
    where: str | None = None
    size: int | float | None = None
    value: str | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _one(self) -> RequestSection:
        if sum(v is not None for v in (self.file, self.ids, self.where)) != 1:
            raise ValueError(
                "give one of file: request.json, ids: [...] with target:, or where: (random, hub, inside, ...) "
                "with target: and size:."
            )
        if self.file is not None and (self.target, self.size) != (None, None):
            raise ValueError("a request file says itself what to forget; leave out target and size.")
        if self.file is None and self.target not in KINDS:
            raise ValueError(f"target {self.target!r} is unknown; {nearest(str(self.target), list(KINDS))}")
        if (self.name is None) == (self.target == "modality"):
            raise ValueError("name: belongs to target: modality, and to it only, for example name: image.")
        if self.value is not None and (self.target != "item" or self.size is not None):
            raise ValueError("value: names all items with it: give it with target: item and where: an attribute, without size.")
        if (self.where is None) != (self.size is None and self.value is None):
            raise ValueError(
                "where: and size: belong together; size is a share such as 0.05 or a number such as 10 "
                "(or value:, for items by an attribute)."
            )
        if (self.where is None or self.value is not None) and self.params:
            first = next(iter(self.params))
            raise ValueError(f"unknown key '{first}'; {nearest(first, list(type(self).model_fields))}")
        if self.size is not None and self.size <= 0:
            raise ValueError(f"size must be above 0, got {self.size}.")
        return self


class UnlearnerSection(Component):
    """``{method: gnndelete, lr: 0.01}``."""

    method: str = "auto"


class EvaluateSection(Section):
    """How to judge; see :func:`graphforget.evaluate`."""

    gold: int = Field(3, ge=1, le=100)
    margin: float = Field(1.25, gt=0)
    tolerance: float = Field(TOLERANCE, ge=0)
    cache_key: str | None = None
    metrics: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()


class SeedsSection(Section):
    """Seed of the original's training, and one run of the unlearner per further seed."""

    original: Seed = 0
    unlearn: tuple[Seed, ...] = Field((0,), min_length=1)


class RunConfig(Section):
    """A run, complete.

    Attributes:
        name: Folder under ``runs/``.
        data: What the model is trained on.
        task: What the model is for, and how it is trained.
        model: The model, to be trained or given.
        request: What to forget.
        unlearner: The method that is judged.
        compare: Further methods in the same table.
        evaluate: How to judge.
        seeds: Seeds.
        device: Where to unlearn; null is the CPU.
    """

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    data: DataSection
    task: TaskSection
    model: ModelSection
    request: RequestSection
    unlearner: UnlearnerSection = Field(default_factory=UnlearnerSection)
    compare: tuple[UnlearnerSection, ...] = ()
    evaluate: EvaluateSection = Field(default_factory=lambda: EvaluateSection.model_validate({}))
    seeds: SeedsSection = Field(default_factory=lambda: SeedsSection.model_validate({}))
    device: str | None = None

    @field_validator("device")
    @classmethod
    def _device(cls, value: str | None) -> str | None:
        check_device(value)
        return value

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe content; :func:`load_config` reads it back to an equal configuration."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """The configuration as YAML text."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, width=120)

    def digest(self) -> str:
        """SHA-256 of the complete content; a default that is written out changes nothing."""
        return content_digest(self.to_dict())


def check_device(name: str | None) -> None:
    """Refuse a device that torch does not have.

    Raises:
        InputError: Unknown or not there.
    """
    if name is None:
        return
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, ValueError):
        raise InputError(f"the device '{name}' is not available here; use cpu, or see `graphforget doctor`.") from None


def load_config(config: str | Path | Mapping[str, Any] | RunConfig, overrides: Sequence[str] = ()) -> RunConfig:
    """Read, override, check and complete a configuration.

    Args:
        config: A recipe file, the name of a shipped recipe, a mapping, or a configuration.
        overrides: ``"unlearner.lr=0.01"`` and the like; values are YAML.

    Raises:
        InputError: One sentence: where, what is wrong, the nearest valid key.

    Example:
        >>> config = load_config("demo", ["evaluate.gold=5"])
        >>> config.evaluate.gold, config.task.name
        (5, 'link_prediction')
    """
    source = ""
    lines: dict[tuple[str | int, ...], int] = {}
    if isinstance(config, RunConfig):
        content: Any = config.to_dict()
    elif isinstance(config, Mapping):
        content = dict(config)
    elif isinstance(config, (str, Path)):
        content, lines = read_recipe(config)
        source = str(config)
    else:
        raise InputError(f"a configuration is a recipe file, a mapping or a RunConfig, got {type(config).__name__}.")
    content = apply_overrides(content, overrides)
    lines |= {_path(override): 0 for override in overrides}
    checked: RunConfig = validate(RunConfig, content, lines, source)
    try:
        return _complete(checked)
    except InputError as error:
        raise InputError(f"{source}: {error}" if source else str(error)) from None


def read_config(file: Path) -> RunConfig:
    """The configuration that a run folder holds; it is complete, and nothing that it names is imported.

    Raises:
        InputError: Unreadable, or no configuration.
    """
    content, lines = read_recipe(file)
    config: RunConfig = validate(RunConfig, content, lines, str(file))
    return config


def _path(override: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in override.partition("=")[0].strip().split("."))


def _complete(config: RunConfig) -> RunConfig:
    """Check every component's own keys and write out its defaults."""
    task_class = lookup("task.name", TASKS, config.task.name)
    recipe = complete("task.recipe", Recipe, config.task.recipe, known=asdict(task_class.default_recipe))
    try:
        Recipe(**recipe)
    except InputError as error:
        raise InputError(f"task.recipe: {error}") from None
    model, layers = _complete_model(config.model, sized=task_class.output_kind == "categorical")
    task = complete(
        "task",
        task_class,
        config.task.params,
        hidden=("build", "template", "recipe", "layers"),
        known={"num_hops": layers} if layers else None,
        derived=() if layers else ("num_hops",),
    )
    for where, check, names in (
        ("metrics", requested_metrics, config.evaluate.metrics),
        ("attacks", requested_attacks, config.evaluate.attacks),
    ):
        try:
            check(names)
        except InputError as error:
            raise InputError(f"evaluate.{where}: {error}") from error
    updates: dict[str, Any] = {
        "task": TaskSection(name=config.task.name, recipe=recipe, layers=config.task.layers, **task),
        "model": model,
        "data": complete_data(config.data),
        "unlearner": complete_method("unlearner", config.unlearner),
        "compare": tuple(complete_method(f"compare.{i}", entry) for i, entry in enumerate(config.compare)),
    }
    return config.model_copy(update=updates)


def lookup(where: str, registry: Registry, key: str) -> Any:
    """A component by name or path, as a user wrote it.

    Raises:
        InputError: Unknown name (the nearest are given), or a component of others that cannot be used.
    """
    if ":" not in key and key not in registry:
        raise InputError(f"{where}: there is no '{key}'; {nearest(key, list(registry))}")
    try:
        return registry[key]
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def complete_data(data: DataSection) -> DataSection:
    """The section with the loader's defaults written out; ``canary`` is an option of all loaders together."""
    if data.file is not None:
        if data.params:
            raise InputError(f"data.{next(iter(data.params))}: unknown key; a file has no options.")
        return data
    from graphforget.datasets import DATASETS, load

    assert data.name is not None
    loader = lookup("data.name", DATASETS, data.name)
    shared = {key: value for key, value in data.params.items() if key == "canary"}
    complete("data", load, shared, hidden=("task", "name", "seed"))
    own = {key: value for key, value in data.params.items() if key not in shared}
    return DataSection(name=data.name, **complete("data", loader, own, hidden=("task", "name")), **shared)


def _complete_model(model: ModelSection, *, sized: bool) -> tuple[ModelSection, int | None]:
    """The section with defaults, and the number of layers where it is known; ``sized``: the outputs are the data's classes."""
    if model.name is None:
        return model, None
    cls = lookup("model.name", MODELS, model.name)
    params = complete("model", cls, model.params, known=WIDTHS, derived=(*SIZES, *(["out_channels"] if sized else [])))
    return ModelSection(name=model.name, weights=model.weights, **params), params.get("num_layers")


def complete_method(where: str, section: UnlearnerSection) -> UnlearnerSection:
    """The section with the method's defaults; ``auto`` is completed once the method is chosen."""
    if section.method == "auto":
        return section
    cls = lookup(f"{where}.method", METHODS, section.method)
    params = complete(where, cls, section.params)
    try:
        cls(**params)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return UnlearnerSection(method=section.method, **params)
