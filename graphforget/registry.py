"""Names to components: one lazy map per kind, resolved when first used.

A component is given by name, by path (``"package.module:Class"``), as a class or as an instance; an unknown name lists the
nearest ones.

**Components written by others** work like our own:

- *by path*, wherever a name is taken: in Python, on the command line, in recipes;
- *by name*, once their package is installed and declares an entry point, here in its ``pyproject.toml``::

      [project.entry-points."graphforget.methods"]
      my_method = "my_package.forget:MyMethod"

  The groups are ``graphforget.methods``, ``.tasks``, ``.metrics``, ``.attacks``, ``.models`` and ``.datasets``. The name on the
  left is the component's own (``tags.key`` of a method, ``name`` of a task, metric or attack);
- *by name in one process*, after :meth:`Registry.add`.

Our own names come first: a component that takes one of them is refused, and so is a name that two installed packages give;
``graphforget list`` says both. Installed packages are asked only for a name that is not ours, and for a list.

**Which code runs.** What a caller types is trusted: a path in a call, on the command line or in a recipe is imported. What a
saved *file* holds (``model.json``, ``result.json``, ``task.json``, ``suspended.json``) never decides alone: its names are looked
up by :meth:`Registry.named`, which knows ours and those of packages that are installed for graphforget, and imports no path. A
component that is neither has to be named by the caller of the load: ``load_result(folder, data, method="my_package:Mine")``.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphforget.exceptions import InputError


def nearest(name: str, names: list[str]) -> str:
    """``"did you mean 'a' or 'b'?"``, or the whole list when nothing is near."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return "choose one of " + ", ".join(sorted(names)) + "."


def is_path(name: object) -> bool:
    """Whether a name is the path of a component: ``"package.module:Class"``."""
    if not isinstance(name, str) or name.count(":") != 1:
        return False
    return all(all(part.isidentifier() for part in side.split(".")) for side in name.split(":"))


def import_path(path: str, kind: str) -> Any:
    """What ``"package.module:Class"`` names. Importing runs that module's code.

    Args:
        path: Written by a caller; never what a file alone says.
        kind: What it is, for messages.

    Raises:
        InputError: Not such a path, or it cannot be imported.
    """
    if not is_path(path):
        raise InputError(f"a {kind} is written 'package.module:Class', got '{path}'.")
    module, _, attribute = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"cannot import the {kind} '{path}': {error}; is its folder on PYTHONPATH?") from None
    try:
        return functools.reduce(getattr, attribute.split("."), found)
    except AttributeError:
        raise InputError(f"module '{module}' has no class '{attribute}'.") from None


def declared_class(group: str, path: str) -> Any | None:
    """The class of a path that a file holds, where an installed package declares it among its entry points; None elsewhere."""
    from importlib import metadata

    package = path.partition(":")[0].partition(".")[0]
    for point in metadata.entry_points(group=group):
        if point.module.partition(".")[0] != package:
            continue
        with contextlib.suppress(Exception):  # a broken package declares nothing
            found = point.load()
            if _target(found) == path:
                return found
    return None


@dataclass(frozen=True)
class Entry:
    """One line of a registry.

    Attributes:
        key: The name.
        origin: ``"graphforget"``, ``"this process"`` (after :meth:`Registry.add`), or the installed package with its version.
        target: ``"package.module:Class"``.
        problem: Why the name does not lead there, in one sentence, or ``""``.
    """

    key: str
    origin: str
    target: str
    problem: str = ""


class Registry(Mapping[str, Any]):
    """A mapping from names to components, which are imported on access.

    Iteration and ``in`` know our own names, those that were added, and those of installed packages; ``shipped`` holds ours.

    Args:
        kind: What the components are, for messages.
        targets: Our own: ``"package.module:attribute"``, or the component itself.
        group: Entry points of installed packages; None where nothing comes from outside.
        base: What a component from outside must be, as a path. None: any callable.
        of: Whether components are subclasses of ``base`` or instances of it.
        name: Attribute that holds a component's own name, e.g. ``"tags.key"``; None where it has none.

    Example:
        >>> METHODS = Registry("method", {"retrain": "graphforget.unlearners.general.retrain:Retrain"})
        >>> METHODS["retrain"].__name__
        'Retrain'
        >>> METHODS["graphforget.unlearners.general.finetune:FineTune"].__name__
        'FineTune'
    """

    def __init__(
        self,
        kind: str,
        targets: Mapping[str, Any],
        *,
        group: str | None = None,
        base: str | None = None,
        of: Literal["class", "instance"] = "class",
        name: str | None = None,
    ) -> None:
        self.kind, self.group = kind, group
        self._targets, self._added = dict(targets), dict[str, Any]()
        self._base, self._of, self._name = base, of, name

    # ---- names ------------------------------------------------------------------------------------------------
    @property
    def shipped(self) -> list[str]:
        """Our own names."""
        return sorted(self._targets)

    def _known(self) -> dict[str, Any]:
        return self._targets | self._added

    def _installed(self) -> dict[str, list[Any]]:
        """Entry points of installed packages by name."""
        if self.group is None:
            return {}
        from importlib import metadata

        found: dict[str, list[Any]] = {}
        for point in metadata.entry_points(group=self.group):
            found.setdefault(point.name, []).append(point)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._known(), *self._installed()}))

    def __len__(self) -> int:
        return len({*self._known(), *self._installed()})

    def __contains__(self, key: object) -> bool:
        return key in self._known() or key in self._installed()

    def entries(self) -> list[Entry]:
        """Every name with where it comes from, by name, ours first; nothing is imported but what packages declare."""
        found = [Entry(key, "graphforget", _target(target)) for key, target in self._targets.items()]
        found += [Entry(key, "this process", _target(target)) for key, target in self._added.items()]
        known = self._known()
        for key, points in self._installed().items():
            for point in points:
                problem = ""
                if key in known:
                    problem = f"'{key}' is the name of {self._owner(key)}: the package must choose another."
                elif _differ(points):
                    problem = self._two(key, points)
                found.append(Entry(key, _package(point), point.value, problem))
        return sorted(found, key=lambda entry: (entry.key, entry.origin != "graphforget"))

    def add(self, key: str, target: Any) -> None:
        """Register a component under ``key`` in this process: ``"package.module:Class"``, or the component itself.

        A package that others install declares an entry point instead; see the module.

        Raises:
            InputError: The name is taken, or no name.
        """
        known = self._known()
        if key in known and known[key] != target:
            raise InputError(f"{self.kind} '{key}' is already registered as {_target(known[key])}; choose another key.")
        if ":" in key:
            raise InputError(f"'{key}' is no name for a {self.kind}: a name has no colon.")
        if key not in known:
            self._added[key] = target

    # ---- components -------------------------------------------------------------------------------------------
    def __getitem__(self, key: str) -> Any:
        if isinstance(key, str) and ":" in key:
            return self._from_path(key)
        return self.named(key)

    def named(self, key: str) -> Any:
        """The component of a name that a saved file holds: ours, added, or installed; a path is not followed.

        Raises:
            InputError: Unknown, a path, given by two installed packages, or its package cannot be imported.
        """
        known = self._known()
        if key in known:
            target = known[key]
            if not isinstance(target, str):
                return target
            module, _, attribute = target.partition(":")
            return getattr(importlib.import_module(module), attribute)
        if is_path(key):
            raise InputError(
                f"the {self.kind} '{key}' is not graphforget's: a file does not decide that its code runs, so name it yourself."
            )
        points = self._installed().get(key, [])
        if not points:
            raise InputError(f"unknown {self.kind} '{key}': {nearest(str(key), list(self))}")
        if _differ(points):
            raise InputError(self._two(key, points))
        return self._load(points[0])

    def _load(self, point: Any) -> Any:
        what = f"{self.kind} '{point.name}' of the installed package {_package(point)}"
        try:
            component = point.load()
        except Exception as error:  # code of others may fail in any way; it must not take ours along
            raise InputError(
                f"{what} cannot be imported ({type(error).__name__}: {error}): reinstall the package, or remove it."
            ) from error
        self._check(component, what)
        own = self._name_of(component)
        if own is not None and own != point.name:
            raise InputError(f"{what} calls itself '{own}': the name of its entry point must be the same as its {self._name}.")
        return component

    def _from_path(self, path: str) -> Any:
        component = import_path(path, self.kind)
        self._check(component, f"{self.kind} '{path}'")
        own, other = self._name_of(component), component
        if own is not None and own in self:
            with contextlib.suppress(InputError):  # one of two packages of that name, or a broken one: a path may name it
                other = self.named(own)
        if other is not component:  # results are saved under the component's own name, which must lead back to it
            raise InputError(
                f"{self.kind} '{path}' calls itself '{own}', the name of {self._owner(str(own))}: choose another {self._name}."
            )
        return component

    def _owner(self, key: str) -> str:
        if key in self._targets:
            return "one of graphforget's own"
        return "one that this process added" if key in self._added else f"one of {_package(self._installed()[key][0])}"

    def _name_of(self, component: Any) -> str | None:
        return None if self._name is None else operator.attrgetter(self._name)(component)

    def _check(self, component: Any, what: str) -> None:
        """Refuse what is no component of this kind.

        Raises:
            InputError: Another type, or without a name of its own.
        """
        if self._base is None:
            if not callable(component):
                raise InputError(f"{what} must be callable, got {type(component).__name__}.")
            return
        base = import_path(self._base, "base class")
        if self._of == "instance":
            fits, wanted = isinstance(component, base), f"a {base.__name__}"
        else:
            fits, wanted = isinstance(component, type) and issubclass(component, base), f"a class derived from {base.__name__}"
        if not fits:
            raise InputError(f"{what} must be {wanted}, got {component!r}.")
        try:
            self._name_of(component)
        except AttributeError:
            raise InputError(f"{what} has no {self._name}, the name under which it is saved and listed.") from None

    def _two(self, key: str, points: list[Any]) -> str:
        given = " and ".join(f"{_package(point)} ({point.value})" for point in points)
        return f"{self.kind} '{key}' is given by two installed packages, {given}: name one by path, e.g. {points[0].value}."

    def resolve(self, component: Any, base: type, **params: Any) -> Any:
        """An instance of ``base`` from a name, a path, a class or an instance.

        Args:
            component: Name, ``"package.module:Class"``, subclass of ``base`` or instance of it.
            base: The class every result must be an instance of.
            **params: Constructor parameters; refused when ``component`` is already an instance.

        Raises:
            InputError: Unknown name, wrong type, or an unknown constructor parameter (nearest names are listed).
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


def _target(target: Any) -> str:
    if isinstance(target, str):
        return target
    named = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}:{named.__qualname__}"


def _package(point: Any) -> str:
    return "of unknown name" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _differ(points: list[Any]) -> bool:
    """Whether one name means several things; a package that is found twice means one."""
    return len({point.value for point in points}) > 1


def parameters_of(cls: Any) -> dict[str, inspect.Parameter]:
    """What ``cls(...)`` takes by keyword; ``**kwargs`` hands on to the next class of the MRO, so its parameters count too.

    Example:
        >>> class Base:
        ...     def __init__(self, *, size=1): ...
        >>> class Derived(Base):
        ...     def __init__(self, *, rate=0.5, **kwargs): ...
        >>> {name: parameter.default for name, parameter in parameters_of(Derived).items()}
        {'rate': 0.5, 'size': 1}
    """
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__ if isinstance(cls, type) else (cls,):
        if isinstance(cls, type) and "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        found |= {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in found}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return found


def accepted(cls: Any) -> list[str]:
    """The keywords that ``cls(...)`` takes; see :func:`parameters_of`."""
    return list(parameters_of(cls))


def check_params(cls: Any, params: Mapping[str, Any], what: str) -> None:
    """Raise :class:`InputError` naming the nearest parameter when ``cls(**params)`` has an unknown keyword."""
    known = accepted(cls)
    for name in params:
        if name not in known:
            hint = nearest(name, known) if known else "it has no parameters."
            raise InputError(f"{what} has no parameter '{name}': {hint}")
