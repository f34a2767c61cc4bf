"""The cells of a grid: what each consists of, by what it is known again, and which of them are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from graphforget.base import content_digest
from graphforget.datasets import DATASETS
from graphforget.evaluation.requested import requested_attacks, requested_metrics
from graphforget.exceptions import InputError
from graphforget.pipeline.components import model_maker
from graphforget.pipeline.config import RequestSection, RunConfig, UnlearnerSection
from graphforget.pipeline.folder import file_digest
from graphforget.pipeline.run import code_of
from graphforget.registry import nearest
from graphforget.sweeps.config import RequestEntry, SweepConfig, compared, method_label, recipe_of, request_label
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS
from graphforget.version import __version__

Only = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Cell:
    """Data, model, request and seed, with the methods that share its golds.

    Attributes:
        data: Label of the data.
        model: Label of the model.
        request: Label of the request.
        seed: The seed of everything drawn in this cell.
        recipes: One complete recipe per setting of the model.
        trials: The same on the first seed, by which one of several settings is chosen; empty where there is one.
        methods: What is compared, by label.
        controls: Those of them that the grid does not list itself.
        key: Digest of everything the cell's records depend on besides its methods.
        original: Digest of what the original model depends on.
        entries: Digest of every method, by label.
    """

    data: str
    model: str
    request: str
    seed: int
    recipes: tuple[RunConfig, ...]
    trials: tuple[RunConfig, ...]
    methods: Mapping[str, UnlearnerSection]
    controls: frozenset[str]
    key: str
    original: str
    entries: Mapping[str, str]

    @property
    def labels(self) -> dict[str, Any]:
        """What names the cell in records and tables."""
        return {"data": self.data, "model": self.model, "request": self.request, "seed": self.seed}

    def __str__(self) -> str:
        return f"{self.data}, {self.model}, {self.request}, seed {self.seed}"


def plan(config: SweepConfig) -> list[Cell]:
    """Every cell of a grid, requests outermost, so that the first of them are complete first."""
    methods = compared(config)
    listed = {method_label(section) for section in config.methods}
    controls = frozenset(set(methods) - listed)
    entries = {label: _digest(section.model_dump(), code_of(METHODS[section.method])) for label, section in methods.items()}
    recipes = {
        (data, model): [recipe_of(config, data, setting) for setting in settings]
        for data in config.data
        for model, settings in config.models.items()
    }
    found = []
    for request in config.requests:
        for data, model, seed in config.places(request):
            settings = tuple(_seeded(config, data, recipe, request, seed) for recipe in recipes[data, model])
            trials: tuple[RunConfig, ...] = ()
            if len(settings) > 1:
                trials = tuple(_seeded(config, data, recipe, request, config.seeds[0]) for recipe in recipes[data, model])
            original, rest = _contents(settings, trials)
            labels = (data, model, request_label(request), seed)
            keys = (_digest(original, rest), _digest(original))
            found.append(Cell(*labels, settings, trials, methods, controls, *keys, entries))
    return found


def _seeded(config: SweepConfig, data: str, recipe: RunConfig, request: RequestEntry, seed: int) -> RunConfig:
    """The recipe with one cell's request and seeds."""
    section = recipe.data
    if section.name is not None and "seed" not in config.data[data].params and "seed" in section.params:
        section = type(section).model_validate({**section.model_dump(), "seed": seed})
    fields = {name: getattr(request, name) for name in RequestSection.model_fields if name in request.model_fields_set}
    asked = RequestSection.model_validate({"seed": seed, **fields, **request.params})
    seeds = recipe.seeds.model_copy(update={"original": seed, "unlearn": (seed,)})
    return recipe.model_copy(update={"data": section, "request": asked, "seeds": seeds})


def _contents(settings: Sequence[RunConfig], trials: Sequence[RunConfig]) -> tuple[Any, Any]:
    """What the original, and what the records besides it, depend on; files and code of others by their content."""
    originals, rest = [], []
    for recipe in (*settings, *trials):
        content, model = recipe.to_dict(), recipe.model
        originals.append([content["data"], content["task"], content["model"], recipe.seeds.original])
        originals.append([_source(recipe.data.file), *(_source(path) for path in (model.folder, model.weights))])
        used = [TASKS[recipe.task.name], *([DATASETS[recipe.data.name]] if recipe.data.name else [])]
        used += [model_maker(model).model_class] if model.class_ or model.name else []
        originals.append([code_of(one) for one in used])
        asked: list[Any] = [*requested_metrics(recipe.evaluate.metrics), *requested_attacks(recipe.evaluate.attacks)]
        rest.append([content["request"], _source(recipe.request.file), content["evaluate"], content["device"]])
        rest.append([code_of(one.compute) for one in asked])
    return [*originals, f"graphforget {__version__}, torch {torch.__version__}"], rest


def _source(path: str | None) -> list[str]:
    """Digests of a file, or of the files in a folder; a path that is not there is found out when it is read."""
    if path is None or not Path(path).exists():
        return []
    files = [Path(path)] if Path(path).is_file() else sorted(p for p in Path(path).iterdir() if p.is_file())
    return [file_digest(file) for file in files]


def _digest(*parts: Any) -> str:
    return content_digest(*parts)[:16]


# ---- --only -----------------------------------------------------------------------------------------------------------
_REQUEST = ("target", "where", "size", "value", "name")


def select(cells: Sequence[Cell], only: Only) -> list[Cell]:
    """The cells that ``only`` leaves, each with the methods it leaves; several values of a key are alternatives.

    Raises:
        InputError: An unknown key, or a value that no cell has.
    """
    keys = ["data", "model", "request", "seed", "method", *_REQUEST]
    for key, wanted in only.items():
        if key not in keys:
            raise InputError(f"--only {key}: unknown key; {nearest(key, keys)}")
        known = list(dict.fromkeys(str(value) for cell in cells for value in _values(cell, key) if value is not None))
        for value in wanted:
            if str(value) not in known:
                hint = nearest(str(value), known) if known else "no request has one."
                raise InputError(f"--only {key}={value}: no cell has it; {hint}")
    found = []
    for cell in cells:
        if all(set(map(str, wanted)) & set(map(str, _values(cell, key))) for key, wanted in only.items()):
            found.append(replace(cell, methods=_chosen(cell.methods, only)))
    if not found:
        raise InputError(f"no cell matches {' '.join(f'--only {key}={value}' for key in only for value in only[key])} together.")
    return found


def _chosen(methods: Mapping[str, UnlearnerSection], only: Only) -> dict[str, UnlearnerSection]:
    """The methods that are called so; where none is, those with this key and any parameters."""
    wanted = set(map(str, only.get("method", methods)))
    keys = wanted - set(methods)
    return {label: section for label, section in methods.items() if label in wanted or section.method in keys}


def _values(cell: Cell, key: str) -> list[Any]:
    if key == "method":
        return [*cell.methods, *(section.method for section in cell.methods.values())]
    return [getattr(cell.recipes[0].request, key)] if key in _REQUEST else [cell.labels[key]]
