"""ModelEdit: structure that a method adds to a model, listed in the result and replayed on load.

An edit kind is an ``nn.Module`` subclass of :class:`Operator` registered by name. The operator is both a submodule of
the model (so deep copies and state dicts hold it) and the forward hook of the layer it follows.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from graphforget.exceptions import InputError

_OPERATORS: dict[str, type[Operator]] = {}


class Operator(nn.Module, ABC):
    """A module inserted after a layer. Subclasses set ``kind`` and rebuild themselves from ``config``."""

    kind: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            _OPERATORS[cls.kind] = cls

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """JSON-safe constructor arguments; tensors travel in the state dict."""

    @abstractmethod
    def apply_to(self, output: Tensor) -> Tensor:
        """The edited layer output."""

    def __call__(self, *args: Any) -> Any:
        """As a forward hook: ``(module, inputs, output) -> output``. As a module: ``(output)``."""
        return self.apply_to(args[2] if len(args) == 3 else args[0])


@dataclass(frozen=True)
class ModelEdit:
    """One operator: its unique name in the model, the layer it follows, its kind, configuration and defining module."""

    name: str
    layer: str
    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    module: str = ""


def insert(model: nn.Module, layer: str, operator: Operator, stem: str) -> ModelEdit:
    """Insert ``operator`` after ``layer`` under a name that no earlier edit has.

    Raises:
        InputError: No such layer.
    """
    modules = dict(model.named_modules())
    if layer not in modules or not layer:
        raise InputError(f"the model has no layer '{layer}'.")
    number = sum(1 for n, _ in model.named_children() if n.startswith(f"{stem}_"))
    name = f"{stem}_{number}"
    model.add_module(name, operator)
    modules[layer].register_forward_hook(operator)
    return ModelEdit(name, layer, operator.kind, operator.config, type(operator).__module__)


def edits_in(model: nn.Module) -> tuple[ModelEdit, ...]:
    """The operators in a model, in the order in which they were inserted; the model itself is the record."""
    followed = {id(hook): name for name, module in model.named_modules() for hook in module._forward_hooks.values()}
    found = []
    for name, child in model.named_children():
        if isinstance(child, Operator) and id(child) in followed:
            found.append(ModelEdit(name, followed[id(child)], child.kind, child.config, type(child).__module__))
    return tuple(found)


def replay(model: nn.Module, edits: tuple[ModelEdit, ...]) -> None:
    """Re-create the operators of ``edits`` on a freshly built model; weights come from the state dict afterwards.

    Raises:
        InputError: Unknown operator kind, or the layer is missing.
    """
    modules = dict(model.named_modules())
    for edit in edits:
        # Only our own modules are imported by name: a file must not decide which third-party code runs.
        if edit.kind not in _OPERATORS and edit.module.startswith("graphforget."):
            importlib.import_module(edit.module)
        if edit.kind not in _OPERATORS:
            raise InputError(f"unknown model edit '{edit.kind}': this file needs the method that wrote it to be imported first.")
        if edit.layer not in modules:
            raise InputError(f"the model has no layer '{edit.layer}', which the edit '{edit.name}' follows.")
        operator = _OPERATORS[edit.kind](**edit.config)
        model.add_module(edit.name, operator)
        modules[edit.layer].register_forward_hook(operator)
