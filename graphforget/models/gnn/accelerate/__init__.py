"""``accelerate``: a user's PyG model on our kernels, with its own parameters, outputs and gradients.

Layers whose class is known are given a subclass of it with another ``forward``; everything else about the model stays. What is
derived from a graph is kept with its ``edge_index`` (:mod:`graphforget.models.gnn.accelerate.inputs`), never in the model.
"""

from __future__ import annotations

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
from graphforget.models.gnn.accelerate.inputs import dense_of, edge_index_of, features

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
    also use that features are mostly zeros. ``model.acceleration`` says what was done, and lists the layers that stay on PyG's
    path: other classes, subclasses, options without a kernel. Single calls with what the kernels do not read stay there too:
    edge features, ``size=``, ``SparseTensor``, ``torch.compile``. ``cached=True`` is not needed, and is disregarded: it would
    answer with the first graph's adjacency after a deletion.

    Args:
        model: Any module with layers of PyG, called as ``forward(x, edge_index, ...)``. From now on it also takes a
            :class:`~graphforget.kernels.SparseGraph` instead of ``edge_index``, and one instead of ``x``.
        data: :class:`~graphforget.graphs.GraphData` or PyG ``Data`` whose features are sorted out now instead of in the first
            pass. A graph is compiled when it is first seen, and kept as long as its ``edge_index`` tensor lives.
        backend: Kernel backend to force, see :func:`graphforget.kernels.spmm`.

    Returns:
        ``model``.

    Raises:
        InputError: Not a module, an unknown backend, or data without an ``edge_index``.

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
    forced = check_backend(backend)
    x = _read(data)
    undo(model)
    from torch_geometric.nn import MessagePassing

    from graphforget.models.gnn.accelerate.layers import LAYERS

    known = {layer.__mro__[_base(layer)]: layer for layer in LAYERS}
    helped, not_helped = [], []
    for name, module in model.named_modules():
        if not isinstance(module, MessagePassing):
            continue
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
    if not helped and not accepts_sparse(model):
        warnings.warn(f"no layer of {type(model).__name__} could be accelerated; see model.acceleration.", stacklevel=2)
    if x is not None:
        features(x, is_input=True)
    return model


def undo(model: M) -> M:
    """Give every layer its class of PyG back, in place; nothing happens to a model that is not accelerated."""
    if isinstance(acceleration_of(model), Acceleration):
        from graphforget.models.gnn.accelerate.layers import LAYERS

        for module in model.modules():
            if type(module) in LAYERS:
                module.__class__ = type(module).__mro__[_base(type(module))]
                module.__dict__.pop("kernel_backend", None)
        for number in [n for n, hook in model._forward_pre_hooks.items() if hook is _read_inputs]:
            del model._forward_pre_hooks[number], model._forward_pre_hooks_with_kwargs[number]
        del model.acceleration
    return model


def _base(layer: type[Any]) -> int:
    """Where in the order of base classes PyG's own class stands."""
    return next(i for i, base in enumerate(layer.__mro__) if base.__module__.startswith("torch_geometric."))


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
    return tuple(inspect.signature(forward).parameters)[1:]  # without self


def _read_inputs(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Before the model's forward: note its input features, and turn a SparseGraph into the tensor that PyG's code expects."""
    names = _parameters(type(model).forward)

    def read(value: Any, name: str) -> Any:
        if isinstance(value, SparseGraph):
            return edge_index_of(value) if name.startswith(("edge", "adj")) else dense_of(value)
        if type(value) is Tensor:
            features(value, is_input=True)
        return value

    # A forward with *args has no name for each of them: x first, as everywhere in PyG.
    positional = tuple(
        read(value, names[i] if i < len(names) and names[i] != "args" else ("x", "edge_index")[min(i, 1)])
        for i, value in enumerate(args)
    )
    return positional, {name: read(value, name) for name, value in kwargs.items()}
