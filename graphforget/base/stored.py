"""What a model keeps besides the weights it trains: buffers, caches, tensors of its last input. Found, copied, emptied."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from graphforget.exceptions import InputError

_OWN = frozenset(vars(nn.Module())) | {"_compiled_call_impl"}  # what every module has of torch itself
_DEPTH = 5
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type, *_FUNCTIONS)  # what holds no tensors


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor that a model keeps.

    Attributes:
        name: Where: the dotted path from the model.
        tensor: The tensor.
        kind: ``parameter``, ``buffer``, or ``attribute`` (a plain attribute, also inside lists, dictionaries and objects).
        owner: The module that keeps it.
    """

    name: str
    tensor: Tensor
    kind: Literal["parameter", "buffer", "attribute"]
    owner: nn.Module


def stored(model: nn.Module) -> list[Stored]:
    """Every tensor that a model keeps, each once; optimisers, graphs and arrays that hang on its attributes included.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> layer.last = [torch.zeros(3)]
        >>> [(one.name, one.kind) for one in stored(layer)]
        [('weight', 'parameter'), ('bias', 'parameter'), ('last[0]', 'attribute')]
    """
    found: list[Stored] = []
    seen: set[int] = set()

    def add(name: str, tensor: Tensor, kind: Any, owner: nn.Module) -> None:
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found.append(Stored(name, tensor, kind, owner))

    for path, module in model.named_modules():
        dot = f"{path}." if path else ""
        for name, parameter in module._parameters.items():
            if parameter is not None:
                add(dot + name, parameter, "parameter", module)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                add(dot + name, buffer, "buffer", module)
        known = {id(child) for child in model.modules()}
        for name, value in vars(module).items():
            if name not in _OWN:
                for place, tensor in _tensors(value, dot + name, known):
                    add(place, tensor, "attribute", module)
    return found


def _tensors(value: Any, name: str, known: set[int], depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Tensors and arrays inside a value, with their places; ``known`` objects are not entered (again)."""
    if isinstance(value, Tensor):
        yield name, value
        return
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            yield name, torch.from_numpy(np.ascontiguousarray(value))
        return
    if depth > _DEPTH or isinstance(value, _PLAIN) or id(value) in known:
        return
    known.add(id(value))
    if isinstance(value, nn.Module):  # a module in a plain list: torch does not know of it
        for inner, tensor in [*value.named_parameters(), *value.named_buffers()]:
            yield f"{name}.{inner}", tensor
        return
    if isinstance(value, torch.optim.Optimizer):
        value = value.state
    if isinstance(value, Mapping):
        keys = [key if isinstance(key, (str, int)) else position for position, key in enumerate(value)]
        parts = [(f"{name}[{key!r}]", part) for key, part in zip(keys, value.values(), strict=True)]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = [(f"{name}[{position}]", v) for position, v in enumerate(value)]
    elif callable(getattr(value, "to_dict", None)) and hasattr(value, "edge_index"):  # a PyG graph
        parts = [(f"{name}.{key}", v) for key, v in value.to_dict().items()]
    elif callable(getattr(value, "coo", None)):  # a torch_sparse matrix
        parts = list(zip((f"{name}.row", f"{name}.col", f"{name}.value"), value.coo(), strict=True))
    else:
        parts = [(f"{name}.{key}", v) for key, v in getattr(value, "__dict__", {}).items()]
    for place, part in parts:
        yield from _tensors(part, place, known, depth + 1)


def clear_caches(model: nn.Module) -> list[str]:
    """Empty what layers keep of the first graph they saw (PyG's ``cached=True``: attributes ``_cached_*``).

    Returns:
        The places that held something.
    """
    cleared = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name.startswith("_cached") and value is not None:
                cleared.append(f"{path}.{name}" if path else name)
                vars(module)[name] = None
    return cleared


def private_copy(model: nn.Module) -> nn.Module:
    """A deep copy, also of a model that keeps tensors of its last forward pass: those are copied without their history.

    Raises:
        InputError: Something in the model cannot be copied; the sentence names the attribute.
    """
    memo: dict[int, Any] = {}
    for one in stored(model):
        if not one.tensor.is_leaf:
            memo[id(one.tensor)] = one.tensor.detach().clone()
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:  # whatever an attribute's own copying raises
        for path, module in model.named_modules():
            for name, value in vars(module).items():
                if name in _OWN:
                    continue
                try:
                    copy.deepcopy(value, dict(memo))
                except Exception as reason:
                    place = f"{path}.{name}" if path else name
                    raise InputError(
                        f"{type(model).__name__} cannot be copied: its attribute '{place}' ({type(value).__name__}) "
                        f"refuses ({_first(reason)}); delete it before unlearning, or give its class a __deepcopy__."
                    ) from None
        raise InputError(f"{type(model).__name__} cannot be copied with copy.deepcopy: {_first(error)}.") from None


def _first(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0].rstrip(".") if text else type(error).__name__
