"""The configuration of a sweep: the product of data, models, requests, methods and seeds, strict and complete.

Its sections are those of a recipe (:mod:`graphforget.pipeline.config`), in the plural: ``data`` and ``models`` by label, lists of
``requests``, ``methods`` and ``seeds``. Every combination of data and model is checked as the recipe that it is, before anything
is trained.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from graphforget.base import Unlearner
from graphforget.base.result import label_of
from graphforget.exceptions import InputError
from graphforget.pipeline.config import (
    DataSection,
    EvaluateSection,
    ModelSection,
    RequestSection,
    RunConfig,
    Seed,
    TaskSection,
    UnlearnerSection,
    check_device,
    complete_method,
    load_config,
    lookup,
)
from graphforget.pipeline.fields import Section, validate
from graphforget.pipeline.reading import apply_overrides, read_yaml, reason
from graphforget.registry import nearest
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS

CONTROLS = ("identity", "unlink", "retrain")
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Lines = dict[tuple[str | int, ...], int]


class ModelEntry(ModelSection):
    """A model section; ``task:`` holds what of the task or its recipe differs for this model."""

    task: dict[str, Any] = {}


class RequestEntry(RequestSection):
    """A request section, which may be for some of the data, models and seeds only.

    Without a seed of its own every seed of the sweep draws another request.
    """

    title: str | None = None
    data: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    seeds: tuple[Seed, ...] | None = None


class SweepConfig(Section):
    """A grid, complete.

    Attributes:
        name: Folder of the sweep.
        task: What the models are for.
        data: Data sections by label; a section without a seed of its own is split anew by every seed where its loader splits.
        models: Model sections by label; of several settings under one label the best on validation data is taken (first seed).
        requests: What to forget.
        methods: What is compared.
        controls: Methods that stand in every table besides; ``unlink`` only where there is an input graph.
        seeds: Each varies the split, the original's weights, the request and the run of every method.
        evaluate: How to judge.
        columns: Figures in the tables, ``heading: metric/subset``; by default those of the task.
        rank_by: Figures by which methods are ranked: the largest of them, as a multiple of the floor where it has one.
        workers: Worker processes of one thread each; 0 works in this process.
        device: Where to unlearn; null is the CPU.
    """

    name: Label
    task: TaskSection
    data: dict[Label, DataSection] = Field(min_length=1)
    models: dict[Label, tuple[ModelEntry, ...]] = Field(min_length=1)
    requests: tuple[RequestEntry, ...] = Field(min_length=1)
    methods: tuple[UnlearnerSection, ...] = ()
    controls: tuple[str, ...] = CONTROLS
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    evaluate: EvaluateSection = Field(default_factory=lambda: EvaluateSection.model_validate({}))
    columns: dict[str, str] | None = None
    rank_by: tuple[str, ...] | None = Field(None, min_length=1)
    workers: int = Field(0, ge=0, le=256)
    device: str | None = None

    @field_validator("device")
    @classmethod
    def _device(cls, value: str | None) -> str | None:
        check_device(value)
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"a seed stands twice in {list(value)}; keep one of them.")
        return value

    @model_validator(mode="after")
    def _labels(self) -> SweepConfig:
        for request in self.requests:
            for name, known in (("data", self.data), ("models", self.models)):
                for label in getattr(request, name) or ():
                    if label not in known:
                        raise ValueError(
                            f"a request names {name}: '{label}', which the grid has not; {nearest(label, list(known))}"
                        )
        named = [(request_label(request), *place) for request in self.requests for place in self.places(request)]
        twice = next((name for name, count in Counter(named).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"two requests are called '{twice[0]}': give one of them a title: of its own.")
        return self

    def places(self, request: RequestEntry) -> list[tuple[str, str, int]]:
        """The (data, model, seed) that a request is for."""
        return list(itertools.product(request.data or self.data, request.models or self.models, request.seeds or self.seeds))


def request_label(request: Any) -> str:
    """A request as a reader names it, e.g. ``"5 % of edges, outside"``; ``request`` is a section or a record's mapping."""
    get = request.get if isinstance(request, Mapping) else lambda key: getattr(request, key, None)
    if get("title") is not None:
        return str(get("title"))
    target = str(get("target")).replace("_", " ")
    plural = "modalities" if target == "modality" else target + ("es" if target.endswith("class") else "s")
    params = getattr(request, "params", {})
    more = "".join(f", {key} {value}" for key, value in params.items())
    if get("file") is not None:
        return Path(str(get("file"))).stem
    if get("value") is not None:
        return f"{plural} of {get('where')} {get('value')}"
    ids: Any = get("ids")
    if ids is not None:
        named = ", ".join(map(str, ids)) if len(ids) <= 3 else f"{ids[0]}, {ids[1]} and {len(ids) - 2} more"
        return f"{target if len(ids) == 1 else plural} {named}"
    size = get("size")
    what = (
        f"{size * 100:g} % of {plural}" if isinstance(size, float) and size < 1 else f"{size} {target if size == 1 else plural}"
    )
    return what + ("" if get("where") == "random" else f", {get('where')}") + more


def load_grid(
    grid: str | Path | Mapping[str, Any] | SweepConfig, overrides: Sequence[str] = (), *, smoke: bool = False
) -> SweepConfig:
    """Read and check a grid.

    Args:
        grid: A YAML file, a mapping or a configuration.
        overrides: ``"evaluate.gold=5"`` and the like; values are YAML.
        smoke: Take what stands under ``smoke:`` in place of the entries of the same name.

    Raises:
        InputError: One sentence: where, what is wrong, the nearest valid key.

    Example:
        >>> grid = load_grid({"name": "small", "task": {"name": "node_classification"}, "data": ["karate"], "models": ["gcn"],
        ...                   "requests": [{"target": "node", "where": "random", "size": 1}], "methods": ["finetune"]})
        >>> list(grid.data), [m.method for m in grid.methods], grid.evaluate.gold
        (['karate'], ['finetune'], 3)
    """
    source = ""
    lines: Lines = {}
    if isinstance(grid, SweepConfig):
        content: Any = grid.model_dump(mode="json", by_alias=True, exclude_unset=True)
    elif isinstance(grid, Mapping):
        content = dict(grid)
    elif isinstance(grid, (str, Path)):
        source = str(grid)
        content, lines = _read(Path(grid))
        content.setdefault("name", Path(grid).stem)
    else:
        raise InputError(f"a grid is a YAML file, a mapping or a SweepConfig, got {type(grid).__name__}.")
    small = content.pop("smoke", None)
    if smoke:
        if not isinstance(small, Mapping):
            raise InputError(f"{source or 'the grid'} names no sizes under smoke: restrict its cells with --only instead.")
        content |= small
        lines = {path: line for path, line in lines.items() if path[:1] and path[0] not in small}
    checked: SweepConfig = validate(SweepConfig, _normal(apply_overrides(content, overrides)), lines, source)
    try:
        return _complete(checked)
    except InputError as error:
        raise InputError(f"{source}: {error}" if source else str(error)) from None


def _read(path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the grid '{path}': {reason(error)}.") from None
    content, lines = read_yaml(text, str(path))
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise InputError(
            f"{path}: a grid is a YAML mapping with the keys task, data, models, requests, methods, seeds; got {found}."
        )
    return content, lines


def _normal(content: dict[str, Any]) -> dict[str, Any]:
    """The grid with its short forms written out: names for sections, one setting for a list of settings."""
    content = dict(content)
    for key in ("data", "models"):
        if isinstance(content.get(key), list) and all(isinstance(name, str) for name in content[key]):
            content[key] = {name.rpartition(":")[2]: {"name": name} for name in content[key]}
        if isinstance(content.get(key), dict):
            content[key] = {label: _named(key, label, entry) for label, entry in content[key].items()}
    if isinstance(content.get("methods"), list):
        content["methods"] = [{"method": entry} if isinstance(entry, str) else entry for entry in content["methods"]]
    return content


def _named(key: str, label: Any, entry: Any) -> Any:
    """A section is called like its label where it says nothing else."""
    if key == "models" and isinstance(entry, list):
        return [one for setting in entry for one in _named(key, label, setting)]
    if entry is None or (isinstance(entry, dict) and not {"name", "file", "class", "folder"} & set(entry)):
        entry = {"name": label, **(entry or {})}
    return [entry] if key == "models" else entry


# ---- every combination is a recipe ------------------------------------------------------------------------------------
def recipe_of(config: SweepConfig, data: str, setting: ModelEntry) -> RunConfig:
    """The complete recipe of data and one setting of a model; its request and seeds are filled in for every cell.

    Raises:
        InputError: They do not go together.
    """
    task = config.task.model_dump(by_alias=True)
    own = dict(setting.task)
    if not isinstance(own.get("recipe", {}), dict):
        raise InputError(f"task.recipe: expected a section with keys, got {own['recipe']!r}.")
    task = task | own | {"recipe": {**config.task.recipe, **own.get("recipe", {})}}
    model = setting.model_dump(by_alias=True, exclude={"task"}, exclude_unset=True)
    return load_config(
        {
            "name": config.name,
            "data": config.data[data].model_dump(exclude_unset=True),
            "task": task,
            "model": model,
            "request": {"target": "node", "ids": [0]},
            "unlearner": {"method": "identity"},
            "evaluate": config.evaluate.model_dump(),
            "device": config.device,
        }
    )


def _complete(config: SweepConfig) -> SweepConfig:
    """Check every component's own keys, and write out the methods' defaults."""
    lookup("task.name", TASKS, config.task.name)
    for label, settings in config.models.items():
        if not settings:
            raise InputError(f"models.{label}: expected at least one setting.")
        if len(settings) > 1 and any(setting.trained for setting in settings):
            raise InputError(f"models.{label}: of several settings one is chosen by training; a model with weights stands alone.")
        for (number, setting), data in itertools.product(enumerate(settings), config.data):
            try:
                recipe_of(config, data, setting)
            except InputError as error:
                where = f"models.{label}" + (f".{number}" if len(settings) > 1 else "")
                raise InputError(f"{where} with data.{data}: {error}") from None
    for name in config.controls:
        if name not in CONTROLS:
            raise InputError(f"controls: '{name}' is none; {nearest(name, list(CONTROLS))}")
    own: dict[str, UnlearnerSection] = {}
    for number, section in enumerate(config.methods):
        where = f"methods.{number}"
        if section.method == "auto":
            raise InputError(f"{where}: a grid names its methods; 'auto' stands for one of them, see `graphforget list methods`.")
        section = complete_method(where, section)
        label = method_label(section)
        if label in own or (label in CONTROLS and section.method != label):
            raise InputError(
                f"{where}: '{label}' stands twice; keep one (a method of your own needs a key of its own in its tags)."
            )
        own[label] = section
    if not own and not config.controls:
        raise InputError("methods: the grid compares nothing; name at least one method.")
    return config.model_copy(update={"methods": tuple(own.values())})


def compared(config: SweepConfig) -> dict[str, UnlearnerSection]:
    """Every method by label: controls stand before those that the grid lists, ``retrain`` after them."""
    controls = {name: complete_method(f"controls.{name}", UnlearnerSection(method=name)) for name in config.controls}
    last = {name: controls.pop(name) for name in ("retrain",) if name in controls}
    return controls | {method_label(section): section for section in config.methods} | last


def method_label(section: UnlearnerSection) -> str:
    """A method as tables name it: its key with the parameters that differ from its defaults."""
    method: Unlearner = METHODS.resolve(section.method, Unlearner, **section.params)
    return label_of(method)
