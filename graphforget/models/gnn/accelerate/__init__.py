"""``accelerate``: a user's PyG model on our kernels, with its own parameters, outputs and gradients.

Layers whose class is known are given a subclass of it with another ``forward``; everything else about the model stays. What is
derived from a graph is kept with its ``edge_index`` (:mod:`graphforget.models.gnn.accelerate.inputs`), never in the model.
"""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import acceleration_of, accepts_sparse
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.kernels.backends import check_backend
from graphforget.models.gnn.accelerate.inputs import dense_of, edge_index_of, features, recorded

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class LayerReport:
    """One message-passing layer: its name in the model, its class, and why it is left to PyG (empty where it is helped)."""

    name: str
    kind: str
    reason: str = ""


@dataclass(frozen=True)
class Acceleration:
    """What :func:`accelerate` did to a model; ``print`` shows it.

    Attributes:
        helped: Layers that run on our kernels.
        not_helped: Layers that stay on PyG's path, with the reason.
        backend: The kernel backend that is forced, or None.
    """

    helped: tuple[LayerReport, ...]
    not_helped: tuple[LayerReport, ...]
    backend: str | None = None

    def apply(self, model: M) -> M:
        """Accelerate another model with the same options, for example a fresh one of the same class."""
        return accelerate(model, backend=self.backend)

    def left(self, model: nn.Module) -> dict[str, str]:
        """Helped layers of ``model`` whose latest call ran on PyG's path nevertheless, with the reason."""
        modules = dict(model.named_modules())
        reasons = {layer.name: getattr(modules.get(layer.name), "left", None) for layer in self.helped}
        return {name: reason for name, reason in reasons.items() if reason}

    def __str__(self) -> str:
        total = len(self.helped) + len(self.not_helped)
        lines = [f"{len(self.helped)} of {total} message-passing layers run on graphforget's kernels"]
        width = max((len(f"{r.name or 'model'} ({r.kind})") for r in self.helped + self.not_helped), default=0)
        for layer in self.helped + self.not_helped:
            label = f"{layer.name or 'model'} ({layer.kind})"
            lines.append(f"  {label:<{width}}  {'not helped: ' + layer.reason if layer.reason else 'helped'}")
        return "\n".join(lines)


def accelerate(model: M, data: Any = None, *, backend: str | None = None) -> M:
    """Run the layers of a PyG model on graphforget's kernels.

    The model is changed in place and returned. Its parameters, state dict, class, ``forward`` and hooks stay; outputs and
    gradients are those of PyG up to rounding. Deep copies stay accelerated. What a graph compiles to is kept with its
    ``edge_index`` tensor, so that a copy, or the same model on an edited graph, never reads another graph's.

    Helped are ``GCNConv``, ``SAGEConv``, ``GraphConv``, ``GINConv``, ``LGConv``, ``GATConv``, ``SGConv``, ``APPNP``, ``TAGConv``,
    ``ChebConv``, ``RGCNConv`` and ``FastRGCNConv``, wherever they are in the model, on an ``edge_index`` tensor. First layers
    also use that features are sparse or mostly zeros. ``model.acceleration`` says what was done, and lists the layers that stay
    on PyG's path: other classes, subclasses, options without a kernel. Single calls with what the kernels do not read stay there
    too: edge features, ``size=``, ``SparseTensor`` and sparse matrices of edges, ``EdgeIndex``, autocast, and whatever records or
    transforms operations: ``torch.compile``, ``torch.jit.trace``, ``torch.func``. ``model.acceleration.left(model)`` says which
    layers ran so in their latest call, and why. ``torch.jit.script`` compiles PyG's own layers, with the same parameters.
    ``cached=True`` is not needed, and is disregarded: it would answer with the first graph's adjacency after a deletion.

    Args:
        model: Any module with layers of PyG, called as ``forward(x, edge_index, ...)``. From now on it also takes a
            :class:`~graphforget.kernels.SparseGraph` instead of ``edge_index``, and one instead of ``x``.
        data: :class:`~graphforget.graphs.GraphData` or PyG ``Data`` whose features are sorted out now instead of in the first
            pass. A graph is compiled when it is first seen, and kept as long as its ``edge_index`` tensor lives.
        backend: Kernel backend to force, see :func:`graphforget.kernels.spmm`.

    Returns:
        ``model``.

    Raises:
        InputError: Not a module, a scripted one, an unknown backend, or data without an ``edge_index``.

    Example:
        >>> from torch_geometric.nn import GCN
        >>> model = accelerate(GCN(4, 8, num_layers=2, out_channels=3))
        >>> print(model.acceleration)
        2 of 2 message-passing layers run on graphforget's kernels
          convs.0 (GCNConv)  helped
          convs.1 (GCNConv)  helped
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"expected a torch.nn.Module, got {type(model).__name__}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError("a scripted model runs compiled code, no layers of PyG: accelerate the model that it was made from.")
    forced = check_backend(backend)
    x = _read(data)
    _unhook(model)
    from torch_geometric.nn import MessagePassing

    from graphforget.models.gnn.accelerate.layers import LAYERS

    known = {layer.stock(): layer for layer in LAYERS}
    helped, not_helped = [], []
    for name, module in model.named_modules():
        if not isinstance(module, MessagePassing):
            continue
        _restore(module)  # it may be a layer of a model that was accelerated before it became a part of this one
        kind, target = type(module), known.get(type(module))
        if target is None:
            not_helped.append(LayerReport(name, kind.__name__, _unknown(kind, tuple(known))))
            continue
        module.__class__ = target
        reason = module.obstacle()
        if reason is not None:
            module.__class__ = kind
            not_helped.append(LayerReport(name, kind.__name__, reason))
            continue
        if forced is not None:
            module.kernel_backend = forced
        helped.append(LayerReport(name, kind.__name__))
    model.acceleration = Acceleration(tuple(helped), tuple(not_helped), forced)  # type: ignore[assignment]
    model.register_forward_pre_hook(_read_inputs, with_kwargs=True)
    model.__prepare_scriptable__ = _Stock(model)  # type: ignore[assignment]  # what torch.jit.script asks for
    if not helped and not accepts_sparse(model):
        warnings.warn(f"no layer of {type(model).__name__} could be accelerated; see model.acceleration.", stacklevel=2)
    if x is not None:
        features(x, is_input=True)
    return model


def undo(model: M) -> M:
    """Give every layer its class of PyG back, in place; nothing happens to a model that is not accelerated."""
    for module in model.modules():
        _restore(module)
        _unhook(module)
    return model


def _unhook(model: nn.Module) -> None:
    """Take away what :func:`accelerate` put on the model itself."""
    if isinstance(acceleration_of(model), Acceleration):
        for number in [n for n, hook in model._forward_pre_hooks.items() if hook is _read_inputs]:
            del model._forward_pre_hooks[number], model._forward_pre_hooks_with_kwargs[number]
        del model.acceleration, model.__prepare_scriptable__


def _restore(module: nn.Module) -> None:
    """Give one layer its class of PyG back."""
    from graphforget.models.gnn.accelerate.helped import Helped

    if isinstance(module, Helped):
        module.__class__ = module.stock()
        for name in Helped.OWN:
            module.__dict__.pop(name, None)


class _Stock:
    """What ``torch.jit.script`` asks an accelerated model for: itself with PyG's own layers, whose source it can compile."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self) -> nn.Module:
        return undo(_same_tensors(self.model, {}))


def _same_tensors(module: nn.Module, made: dict[nn.Module, nn.Module]) -> nn.Module:
    """The same tree of modules, made of other modules that hold the very same parameters, buffers and attributes."""
    if module in made or isinstance(module, torch.jit.ScriptModule):
        return made.get(module, module)
    twin = made[module] = module.__new__(type(module))
    twin.__dict__ = {
        name: copy.copy(value) if name.startswith("_") and isinstance(value, dict) else value
        for name, value in vars(module).items()
    }
    for name, child in module._modules.items():
        twin._modules[name] = None if child is None else _same_tensors(child, made)
    return twin


def _unknown(kind: type[Any], known: tuple[type[Any], ...]) -> str:
    parent = next((base for base in kind.__mro__[1:] if base in known), None)
    if parent is None:
        return f"{kind.__name__} has no kernel"
    return f"a subclass of {parent.__name__} may compute something else"


def _read(data: Any) -> Tensor | None:
    """The dense features of a graph, if any."""
    x = getattr(data, "x", None)
    if data is not None and not isinstance(getattr(data, "edge_index", None), Tensor):
        raise InputError(f"data must be a GraphData or a PyG Data with an edge_index, got {type(data).__name__}.")
    return x if isinstance(x, Tensor) and x.layout == torch.strided and x.dim() == 2 else None


@functools.cache
def _parameters(forward: Callable[..., Any]) -> tuple[str, ...]:
    """Names of what is given by position; a forward with ``*args`` has none for it: x first, as everywhere in PyG."""
    kinds = [(p.name, p.kind) for p in inspect.signature(forward).parameters.values()][1:]  # without self
    named = [name for name, kind in kinds if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    return tuple(named) if all(kind is not inspect.Parameter.VAR_POSITIONAL for _, kind in kinds) else (*named, "x", "edge_index")


def _read_inputs(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Before the model's forward: note its input features, and turn a SparseGraph into the tensor that PyG's code expects."""
    noted = recorded() is None

    def read(value: Any, name: str) -> Any:
        if isinstance(value, SparseGraph):
            return edge_index_of(value) if name.startswith(("edge", "adj")) else dense_of(value)
        if noted and type(value) is Tensor and value.layout == torch.strided and not value.is_meta:
            features(value, is_input=True)
        return value

    names = _parameters(type(model).forward)
    positional = tuple(read(value, names[min(i, len(names) - 1)] if names else "x") for i, value in enumerate(args))
    return positional, {name: read(value, name) for name, value in kwargs.items()}
