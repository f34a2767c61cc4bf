"""Reading recipes: YAML with line numbers, and overrides from the command line."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from graphforget.exceptions import InputError

Path_ = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML in which ``1e-3`` is a number (plain YAML 1.1 reads it as text) and dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def read_yaml(text: str, source: str) -> tuple[Any, dict[Path_, int]]:
    """The content of YAML text and the line of every key in it.

    Raises:
        InputError: Not YAML, unsafe tags, or a key that stands twice; with its line.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        lines: dict[Path_, int] = {}
        if node is not None:
            _collect(node, (), lines, source)
        return yaml.load(text, Loader=_Loader), lines  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{source}{where}: this is not valid YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{source}: this is not valid YAML: {str(error).splitlines()[0]}.") from None


def _collect(node: yaml.Node, path: Path_, lines: dict[Path_, int], source: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*path, str(key.value))
            line = key.start_mark.line + 1
            if name in lines:
                raise InputError(f"{source}, line {line}: the key '{'.'.join(map(str, name))}' stands twice; keep one of them.")
            _collect(value, name, lines, source)
            lines[name] = line
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _collect(value, (*path, number), lines, source)


def read_recipe(path: str | Path) -> tuple[dict[str, Any], dict[Path_, int]]:
    """A recipe file, or a shipped recipe by its name (``demo``).

    Raises:
        InputError: No such file, unreadable, not YAML, or not a mapping.
    """
    file = Path(path)
    if not file.exists() and file.suffix == "" and len(file.parts) == 1:
        shipped = Path(__file__).parent / "recipes" / f"{file.name}.yaml"
        if not shipped.is_file():
            names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.yaml")))
            raise InputError(
                f"there is no recipe file '{path}' and no shipped recipe of that name: give a .yaml file or one of {names}."
            )
        file = shipped
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe '{path}': {reason(error)}.") from None
    content, lines = read_yaml(text, str(path))
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: a recipe is a YAML mapping with the keys data, task, model, request, unlearner; "
            f"got {'nothing' if content is None else type(content).__name__}."
        )
    return content, lines


def reason(error: Exception) -> str:
    """Why a file could not be read, without its path."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not UTF-8 text"


def apply_overrides(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``content`` with ``"unlearner.lr=0.01"`` and the like applied; values are YAML.

    Raises:
        InputError: Not ``path=value``, or the path goes through something that has no keys.
    """
    result = copy.deepcopy(content)
    for override in overrides:
        path, equals, text = override.partition("=")
        names = path.strip().split(".")
        if not equals or not all(names):
            raise InputError(f"an override is written path=value, for example -o unlearner.lr=0.01; got '{override}'.")
        value, _ = read_yaml(text, f"override '{override}'")
        _set(result, names, value, override)
    return result


def _set(content: Any, names: list[str], value: Any, override: str) -> None:
    for depth, name in enumerate(names):
        last = depth == len(names) - 1
        if isinstance(content, dict):
            if last:
                content[name] = value
            elif content.get(name) is None:
                content[name] = {}
            content = content[name]
        elif isinstance(content, list):
            if not (name.isdigit() and int(name) < len(content)):
                raise InputError(
                    f"override '{override}': '{'.'.join(names[:depth])}' is a list of {len(content)}; "
                    f"name an entry by its number, from 0."
                )
            if last:
                content[int(name)] = value
            content = content[int(name)]
        else:
            raise InputError(f"override '{override}': '{'.'.join(names[:depth])}' is {content!r}, a value without keys.")
