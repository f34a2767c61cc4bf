"""Names to components: one lazy string map per kind, resolved when first used.

A component is given by name, class or instance. An unknown name lists the nearest ones.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from graphforget.exceptions import InputError


def nearest(name: str, names: list[str]) -> str:
    """``"did you mean 'a' or 'b'?"``, or the whole list when nothing is near."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return "choose one of " + ", ".join(sorted(names)) + "."


class Registry(Mapping[str, Any]):
    """A mapping ``key -> "package.module:attribute"`` that imports on access.

    Example:
        >>> METHODS = Registry("method", {"retrain": "graphforget.unlearners.general.retrain:Retrain"})
        >>> METHODS["retrain"].__name__
        'Retrain'
    """

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self.kind, self._targets = kind, dict(targets)

    def __getitem__(self, key: str) -> Any:
        if key not in self._targets:
            hint = nearest(str(key), list(self._targets))
            raise InputError(f"unknown {self.kind} '{key}': {hint}")
        module, _, attribute = self._targets[key].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets))

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, key: object) -> bool:
        return key in self._targets

    def add(self, key: str, target: str) -> None:
        """Register a third-party component under ``key`` (``"package.module:Class"``)."""
        if key in self._targets and self._targets[key] != target:
            raise InputError(f"{self.kind} '{key}' is already registered as {self._targets[key]}; choose another key.")
        self._targets[key] = target

    def resolve(self, component: Any, base: type, **params: Any) -> Any:
        """An instance of ``base`` from a key, a class or an instance.

        Args:
            component: Key, subclass of ``base`` or instance of it.
            base: The class every result must be an instance of.
            **params: Constructor parameters; refused when ``component`` is already an instance.

        Raises:
            InputError: Unknown key, wrong type, or an unknown constructor parameter (nearest names are listed).
        """
        if isinstance(component, base):
            if params:
                raise InputError(
                    f"{self.kind} was given as an instance, so its parameters {sorted(params)} cannot be set; "
                    f"set them when you make it."
                )
            return component
        cls = self[component] if isinstance(component, str) else component
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise InputError(f"{self.kind} must be a name, a {base.__name__} class or an instance of one; got {component!r}.")
        check_params(cls, params, f"{self.kind} '{component if isinstance(component, str) else cls.__name__}'")
        return cls(**params)


def accepted(cls: Any) -> list[str]:
    """Keywords that ``cls(...)`` takes; ``**kwargs`` hands on to the next class of the MRO, so those count too."""
    import inspect

    names: list[str] = []
    for base in cls.__mro__ if isinstance(cls, type) else (cls,):
        if isinstance(cls, type) and "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        names += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in names]
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return names


def check_params(cls: Any, params: Mapping[str, Any], what: str) -> None:
    """Raise :class:`InputError` naming the nearest parameter when ``cls(**params)`` has an unknown keyword."""
    known = accepted(cls)
    for name in params:
        if name not in known:
            hint = nearest(name, known) if known else "it has no parameters."
            raise InputError(f"{what} has no parameter '{name}': {hint}")
