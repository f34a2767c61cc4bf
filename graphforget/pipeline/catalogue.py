"""What can be named: methods, metrics, attacks, tasks, datasets and models, ours and those of installed packages."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from graphforget.attacks import ATTACKS
from graphforget.base.attack import AttackRecord
from graphforget.base.metric import MetricRecord
from graphforget.datasets import DATASETS, DESCRIPTIONS
from graphforget.exceptions import InputError
from graphforget.metrics import METRICS
from graphforget.models import MODELS
from graphforget.registry import Entry, Registry, nearest
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS


def list_components(kind: str) -> list[dict[str, Any]]:
    """What the components of a kind say of themselves, by name.

    Args:
        kind: ``methods``, ``metrics``, ``attacks``, ``tasks``, ``datasets`` or ``models``.

    Returns:
        One JSON-safe dictionary each: ``name``, ``from`` (``"graphforget"``, ``"this process"`` or the installed package),
        ``problem`` and the facts of the kind. A component that cannot be used, such as one of a broken package, has its problem
        in a sentence and no other fact.

    Raises:
        InputError: There is no such kind.

    Example:
        >>> [(one["name"], one["guarantee"]) for one in list_components("methods") if one["name"] in ("retrain", "finetune")]
        [('finetune', 'empirical'), ('retrain', 'exact')]
    """
    if kind not in KINDS:
        raise InputError(f"there is no list of '{kind}'; {nearest(kind, list(KINDS))}")
    registry, facts = KINDS[kind]
    return [_row(entry, registry, facts) for entry in registry.entries()]


def _row(entry: Entry, registry: Registry, facts: Callable[[str, Registry], dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    problem = entry.problem
    if not problem:
        try:
            found = facts(entry.key, registry)
        except InputError as error:
            problem = str(error)
        except ModuleNotFoundError as error:  # one of ours whose optional package is not installed
            problem = f"needs {error.name}"
    return {"name": entry.key, **found, "from": entry.origin, "problem": problem}


def _method(key: str, registry: Registry) -> dict[str, Any]:
    cls = registry[key]
    tags, parameters = cls.tags, inspect.signature(cls).parameters.values()
    return {
        "summary": tags.summary,
        "citation": tags.citation,
        "guarantee": tags.guarantee,
        "tasks": sorted(tags.tasks) if tags.tasks else tags.serves,
        "needs": list(tags.needs.values()),
        "kinds": sorted(tags.kinds) if tags.kinds else "any",
        "parameters": {p.name: None if p.default is p.empty else p.default for p in parameters if p.kind != p.VAR_KEYWORD},
    }


def _metric(key: str, registry: Registry) -> dict[str, Any]:
    record: MetricRecord = registry[key]
    return {
        "group": record.group,
        "range": [v if math.isfinite(v) else str(v) for v in record.range],
        "target": record.target,
        "needs_gold": record.needs_gold,
        "source": record.source,
        "description": record.description,
        "warning": record.warning,
        "on_request": record.compute is not None,
    }


def _attack(key: str, registry: Registry) -> dict[str, Any]:
    record: AttackRecord = registry[key]
    return {
        "receives": list(record.receives),
        "source": record.source,
        "description": record.description,
        "warning": record.warning,
        "on_request": record.compute is not None,
    }


def _task(key: str, registry: Registry) -> dict[str, Any]:
    cls = registry[key]
    return {
        "summary": _first_line(cls),
        "kinds": sorted(cls.kinds),
        "output": cls.output_kind,
        "recipe": asdict(cls.default_recipe),
    }


def _dataset(key: str, registry: Registry) -> dict[str, Any]:
    return {"summary": DESCRIPTIONS[key] if key in DESCRIPTIONS else _first_line(registry[key])}


def _model(key: str, registry: Registry) -> dict[str, Any]:
    cls = registry[key]
    return {"summary": _first_line(cls), "parameters": list(inspect.signature(cls).parameters)}


def _first_line(component: Any) -> str:
    line = (component.__doc__ or "").strip().partition("\n")[0]
    return re.sub(r":\w+:`~?([^`]*\.)?([^`.]+)`", r"\2", line).replace("``", "")


KINDS: dict[str, tuple[Registry, Callable[[str, Registry], dict[str, Any]]]] = {
    "methods": (METHODS, _method),
    "metrics": (METRICS, _metric),
    "attacks": (ATTACKS, _attack),
    "tasks": (TASKS, _task),
    "datasets": (DATASETS, _dataset),
    "models": (MODELS, _model),
}
