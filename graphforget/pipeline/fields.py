"""Strict checks with one-sentence errors: pydantic's findings in plain words, constructor signatures as schemas."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from graphforget.exceptions import InputError
from graphforget.registry import nearest, parameters_of

Lines = Mapping[tuple[str | int, ...], int]


class Section(BaseModel):
    """A part of the configuration: strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())


class Component(Section):
    """A part that names a component; further keys are the component's own parameters, checked against its signature."""

    model_config = ConfigDict(extra="allow")

    @property
    def params(self) -> dict[str, Any]:
        """The component's own parameters."""
        return dict(self.model_extra or {})


def validate(schema: type[BaseModel], content: Any, lines: Lines, source: str) -> Any:
    """``content`` as an instance of ``schema``.

    Raises:
        InputError: The first thing that is wrong, where, and what to type instead.
    """
    try:
        # JSON mode reads lists as tuples and whole numbers as floats, and is strict about everything else.
        return schema.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        first = found[0]
        location = tuple(part for part in first["loc"])
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(f"{at(source, lines, location)}{dotted(location)}: {_sentence(first, schema)}{more}") from None


def at(source: str, lines: Lines, location: tuple[str | int, ...]) -> str:
    """``"recipe.yaml, line 7: "`` where the line is known, else ``"recipe.yaml: "``; nothing for overrides (line 0)."""
    if any(lines.get(location[:depth]) == 0 for depth in range(1, len(location) + 1)):
        return ""
    while location and location not in lines:
        location = location[:-1]
    line = lines.get(location) if location else None
    if not source:
        return ""
    return f"{source}, line {line}: " if line else f"{source}: "


def dotted(location: tuple[str | int, ...]) -> str:
    """``("compare", 0, "lr")`` as ``"compare.0.lr"``."""
    return ".".join(str(part) for part in location) or "the configuration"


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a section with keys",
    "model": "a section with keys",
    "finite": "a finite number",
    "none": "null",
}


def _sentence(error: Any, schema: type[BaseModel] | None) -> str:
    kind, given, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(error['loc'][-1]), _keys(schema, error['loc'][:-1]))}"
    if kind == "missing":
        return "missing; this key is required."
    if kind == "value_error":
        return str(context["error"])
    if kind.startswith(("greater_than", "less_than")):
        words = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below", "less_than_equal": "at most"}
        limit = next(iter(context.values()))
        return f"must be {words[kind]} {limit}, got {_show(given)}."
    if kind == "literal_error":
        options = [o.strip(" '") for o in str(context["expected"]).replace(" or ", ", ").split(",")]
        return f"{_show(given)} is no choice here; {nearest(str(given), options)}"
    if kind == "string_pattern_mismatch":
        return f"{_show(given)} must match {context['pattern']} (letters, digits, '.', '_' and '-')."
    if kind in ("too_short", "too_long"):
        bound = "at least" if kind == "too_short" else "at most"
        return f"expected {bound} {context.get('min_length', context.get('max_length'))} entries."
    expected = _EXPECTED.get(kind.split("_")[0])
    said = f"expected {expected}" if expected else error["msg"][:1].lower() + error["msg"][1:]
    return f"{said}, got {_show(given)}."


def _show(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys(schema: Any, location: Sequence[str | int]) -> list[str]:
    """Valid keys of the section at ``location``."""
    for part in location:
        known = schema.model_fields if isinstance(schema, type) and issubclass(schema, BaseModel) else {}
        if part in known:
            schema = _section_in(known[part].annotation)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return [field.alias or name for name, field in schema.model_fields.items()]
    return []


def _section_in(annotation: Any) -> Any:
    """The section class inside ``Section``, ``Section | None`` or ``tuple[Section, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_section_in, typing.get_args(annotation)) if found is not None), None)


def complete(
    where: str,
    component: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    known: Mapping[str, Any] | None = None,
    derived: Collection[str] = (),
    hidden: Collection[str] = (),
) -> dict[str, Any]:
    """Check parameters against a constructor's signature and add its defaults.

    Args:
        where: Path of the section, for messages.
        component: Class or function.
        given: What the user wrote.
        known: Defaults for parameters that the signature has and gives none for.
        derived: Parameters filled later from data; they may be given and need not be.
        hidden: Parameters that the configuration does not offer.

    Returns:
        Every parameter with its value, without what is derived and not given.

    Raises:
        InputError: Unknown parameter, missing parameter, or a value of the wrong type.
    """
    signature = {name: parameter for name, parameter in parameters_of(component).items() if name not in hidden}
    hints = _hints(component)
    for name, value in given.items():
        if name not in signature:
            hint = nearest(name, list(signature)) if signature else "there are no further keys here."
            raise InputError(f"{where}.{name}: unknown key; {hint}")
        _check_type(f"{where}.{name}", hints.get(name, Any), value)
    full: dict[str, Any] = {}
    for name, parameter in signature.items():
        if name in given:
            full[name] = given[name]
        elif known is not None and name in known and name not in derived:
            full[name] = known[name]
        elif parameter.default is not parameter.empty:
            if name not in derived and _plain(parameter.default):
                full[name] = parameter.default
        elif name not in derived:
            raise InputError(f"{where}.{name}: missing; this key is required.")
    return full


def _plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _hints(component: Callable[..., Any]) -> dict[str, Any]:
    """Types of a function's or of a class's parameters, those that it hands on to its bases included."""
    if not isinstance(component, type):
        return _hints_of(component)
    found: dict[str, Any] = {}
    for base in component.__mro__:
        if "__init__" in vars(base):
            found = _hints_of(vars(base)["__init__"]) | found
    return found


def _hints_of(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # hints that only exist for type checkers
        return {}


def _check_type(where: str, hint: Any, value: Any) -> None:
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
    except TypeError:  # pydantic cannot read this hint; the constructor judges the value
        return
    try:
        adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        expected = list(dict.fromkeys(_EXPECTED.get(e["type"].split("_")[0], "") for e in found))
        if all(expected):
            more = " or null" if value is not None and type(None) in typing.get_args(hint) else ""
            raise InputError(f"{where}: expected {' or '.join(expected)}{more}, got {_show(value)}.") from None
        raise InputError(f"{where}: {_sentence(found[0], None)}") from None
