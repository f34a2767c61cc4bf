"""``graphforget list``: what can be named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer

from graphforget.cli.common import Json, print_json, show_table
from graphforget.exceptions import InputError
from graphforget.registry import nearest


def list_(kind: Annotated[str, typer.Argument(help="methods, metrics, tasks, datasets or models.")], json: Json = False) -> None:
    """List methods, metrics, tasks, datasets or models."""
    if kind not in KINDS:
        raise InputError(f"there is no list of '{kind}'; {nearest(kind, list(KINDS))}")
    rows, columns = KINDS[kind]
    content = rows()
    if json:
        print_json({kind: content})
    else:
        show_table(list(columns), [[_text(row[column]) for column in columns] for row in content])


def _methods() -> list[dict[str, Any]]:
    import inspect

    from graphforget.unlearners import METHODS

    found = []
    for key in METHODS:
        cls = METHODS[key]
        tags, parameters = cls.tags, inspect.signature(cls).parameters.values()
        found.append(
            {
                "name": key,
                "summary": tags.summary,
                "citation": tags.citation,
                "guarantee": tags.guarantee,
                "tasks": sorted(tags.tasks) if tags.tasks else tags.serves,
                "needs": list(tags.needs.values()),
                "kinds": sorted(tags.kinds) if tags.kinds else "any",
                "parameters": {
                    p.name: None if p.default is p.empty else p.default for p in parameters if p.kind != p.VAR_KEYWORD
                },
            }
        )
    return found


def _metrics() -> list[dict[str, Any]]:
    from graphforget.metrics import METRICS

    return [
        {
            "name": name,
            "group": r.group,
            "range": [v if math.isfinite(v) else str(v) for v in r.range],
            "target": r.target,
            "needs_gold": r.needs_gold,
            "source": r.source,
            "description": r.description,
            "warning": r.warning,
        }
        for name, r in sorted(METRICS.items(), key=lambda item: (item[1].group, item[0]))
    ]


def _tasks() -> list[dict[str, Any]]:
    from graphforget.tasks import TASKS

    found = []
    for key in TASKS:
        try:
            cls = TASKS[key]
        except ModuleNotFoundError as error:  # a task whose optional package is not installed is listed as such
            found.append({"name": key, "summary": f"needs {error.name}", "kinds": [], "output": "", "recipe": {}})
            continue
        from dataclasses import asdict

        found.append(
            {
                "name": key,
                "summary": _first_line(cls),
                "kinds": sorted(cls.kinds),
                "output": cls.output_kind,
                "recipe": asdict(cls.default_recipe),
            }
        )
    return found


def _datasets() -> list[dict[str, Any]]:
    from graphforget import datasets

    return [{"name": key, "summary": datasets.DESCRIPTIONS[key]} for key in datasets.DATASETS]


def _models() -> list[dict[str, Any]]:
    import inspect

    from graphforget.models import MODELS

    found = []
    for key in sorted(MODELS):
        cls = MODELS[key]
        found.append({"name": key, "summary": _first_line(cls), "parameters": list(inspect.signature(cls).parameters)})
    return found


def _first_line(cls: type) -> str:
    line = (cls.__doc__ or "").strip().partition("\n")[0]
    return re.sub(r":\w+:`~?([^`]*\.)?([^`.]+)`", r"\2", line).replace("``", "")


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


KINDS: dict[str, tuple[Callable[[], list[dict[str, Any]]], tuple[str, ...]]] = {
    "methods": (_methods, ("name", "guarantee", "tasks", "summary", "citation")),
    "metrics": (_metrics, ("name", "group", "target", "description")),
    "tasks": (_tasks, ("name", "kinds", "output", "summary")),
    "datasets": (_datasets, ("name", "summary")),
    "models": (_models, ("name", "parameters", "summary")),
}
