"""Models by name, sized for data."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from graphforget.exceptions import InputError
from graphforget.models import MODELS


@dataclass(frozen=True, eq=False)
class ModelMaker:
    """``build=`` of a task: fresh models of one class, with sizes read from the data.

    Sizes that the class asks for and ``params`` do not give are the data's: ``in_channels``, ``num_classes``, ``num_users`` ...

    Args:
        model: Name, ``"package.module:Class"`` or class.
        params: Constructor parameters.

    Raises:
        InputError: Unknown name.

    Example:
        >>> from graphforget.datasets import load
        >>> ModelMaker("gcn", {"hidden_channels": 8})(load("karate")).config["in_channels"]
        34
    """

    model: str | type[nn.Module]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def model_class(self) -> type[nn.Module]:
        """The class: what a task may ask of its models before there is one."""
        found: type[nn.Module] = MODELS[self.model] if isinstance(self.model, str) else self.model
        return found

    def __call__(self, data: Any) -> nn.Module:
        """A fresh model sized for ``data``.

        Raises:
            InputError: The model does not suit the data.
        """
        cls = self.model_class
        wanted = inspect.signature(cls).parameters
        sizes = {name: size for name, size in sizes_of(data).items() if name in wanted}
        try:
            return cls(**sizes | self.params)
        except TypeError as error:
            name = self.model if isinstance(self.model, str) else cls.__name__
            raise InputError(f"model: cannot make '{name}' for data '{data.name}': {error}.") from None


def make_model(model: str | type[nn.Module], data: Any, **params: Any) -> nn.Module:
    """A fresh model by name, path or class, sized for ``data``; see :class:`ModelMaker`.

    Raises:
        InputError: Unknown name, or the model does not suit the data.

    Example:
        >>> from graphforget.datasets import load
        >>> make_model("gcn", load("karate"), hidden_channels=8).config["num_layers"]
        2
    """
    return ModelMaker(model, params)(data)


def sizes_of(data: Any) -> dict[str, Any]:
    """Sizes of the data under the names that models use."""
    sizes: dict[str, Any] = {}
    x, classes = getattr(data, "x", None), int(getattr(data, "num_classes", 0) or 0)
    if x is not None and hasattr(data, "edge_index"):
        sizes |= {"in_channels": x.size(1)}
    elif x is not None:
        sizes |= {"in_features": x[0].numel(), "image_size": x.size(-1), "in_channels": x.size(1) if x.dim() == 4 else 1}
    if classes:
        sizes |= {"num_classes": classes, "out_channels": classes}
    if hasattr(data, "modalities"):
        sizes["modalities"] = data.modalities
    for name in ("num_users", "num_items"):
        if hasattr(data, name):
            sizes[name] = int(getattr(data, name))
    return sizes
