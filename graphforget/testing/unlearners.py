"""check_unlearner: the contract of a method, executed on tiny data."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable

from graphforget.base import Unlearner
from graphforget.exceptions import InputError
from graphforget.testing.one import OneMethod
from graphforget.testing.report import CheckReport, require
from graphforget.testing.tiny import TINY_CASES, TinyCase, tiny_case
from graphforget.unlearners import METHODS

# Every check by name. The first two need no task; the rest run for each task, most of them for its main request.
UNLEARNER_CHECKS = (
    "construction",
    "tags",
    "refuses unsupported",
    "caller untouched",
    "has an effect",
    "same seed, same weights",
    "finite",
    "forgotten content unread",
    "exact",
    "copies and saves",
    "record",
    "declared frozen",
    "sequence",
    "another method follows",
    "already forgotten refused",
    "every request",
)


def check_unlearner(method: str | type[Unlearner] | Unlearner, *, tasks: Iterable[str | TinyCase] | None = None) -> CheckReport:
    """Run the contract of section "unlearners" over one method.

    Args:
        method: Registry key, class or instance. A key or class is tried with its ``test_params()[0]``.
        tasks: Names of tiny cases, or own :class:`TinyCase` objects; default: every tiny case. Where a method does not
            support a case, its refusal is what is checked.

    Returns:
        The report: every check with its outcome, and ``results[case, request]`` for comparing methods.

    Raises:
        ContractError: An ``AssertionError`` with one sentence per failed check.

    Example:
        >>> from graphforget.testing import check_unlearner
        >>> check_unlearner("identity", tasks=["image_classification"]).failed
        ()
    """
    cls, instance = _resolve(method)
    report = CheckReport(getattr(getattr(cls, "tags", None), "key", cls.__name__))
    report.run("construction", "", "", lambda: _construction(cls, instance))
    report.run("tags", "", "", lambda: _tags(cls))
    if not report.failed:  # a method without tags cannot be asked anything else
        for entry in TINY_CASES if tasks is None else tasks:
            OneMethod(report, instance, entry if isinstance(entry, TinyCase) else tiny_case(entry)).run()
    return report.raise_if_failed()


def _resolve(method: str | type[Unlearner] | Unlearner) -> tuple[type[Unlearner], Unlearner]:
    if isinstance(method, Unlearner):
        return type(method), method
    cls = METHODS[method] if isinstance(method, str) else method
    if not (isinstance(cls, type) and issubclass(cls, Unlearner)):
        raise InputError(f"check_unlearner needs a method's key, an Unlearner class or an instance; got {method!r}.")
    return cls, cls(**(cls.test_params() or [{}])[0])


def _construction(cls: type[Unlearner], instance: Unlearner) -> None:
    names = cls.param_names()
    kinds = {n: p.kind for n, p in inspect.signature(cls).parameters.items()}
    positional = [n for n, k in kinds.items() if k is not inspect.Parameter.KEYWORD_ONLY]
    require(not positional, f"constructor parameters must be keyword-only, {positional} are not")
    require(isinstance(cls.test_params(), list) and cls.test_params(), "test_params() must be a non-empty list of keyword sets")
    defaults = {n: p.default for n, p in inspect.signature(cls).parameters.items() if p.default is not inspect.Parameter.empty}
    for params in [*cls.test_params(), defaults, instance.get_params()]:
        made = cls(**params)
        require(
            set(vars(made)) == set(names),
            f"__init__ must store its parameters and nothing else: stored {sorted(vars(made))}, parameters {sorted(names)}",
        )
        for name, value in params.items():
            require(getattr(made, name) == value, f"__init__ changed '{name}' from {value!r} to {getattr(made, name)!r}")
        require(cls(**made.get_params()) == made, "type(method)(**method.get_params()) is not an equal method")
    for name, value in instance.get_params().items():
        try:
            json.dumps(value)
        except TypeError:
            raise AssertionError(f"parameter '{name}' is {value!r}, which JSON cannot hold: give it a flat value") from None


def _tags(cls: type[Unlearner]) -> None:
    tags = cls.tags
    for name in ("key", "summary", "citation"):
        require(getattr(tags, name), f"tags.{name} is empty")
    require(
        (tags.guarantee == "exact") == (tags.exact_reference is not None),
        "an exact method must name its exact_reference, and only an exact one may",
    )
    require(tags.contexts <= {"original", "unlinked", "retained"}, f"unknown contexts {sorted(tags.contexts)}")
    if tags.key in METHODS:
        require(
            METHODS[tags.key] is cls or not cls.__module__.startswith("graphforget."),
            f"the registry has {METHODS[tags.key].__name__} under '{tags.key}'",
        )
