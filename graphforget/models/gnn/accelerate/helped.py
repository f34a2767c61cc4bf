"""What the accelerated layers share: when a call can be helped, and linear maps beside linear propagation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import aggr, dense
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from graphforget import kernels
from graphforget.base.memo import shared
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.accelerate.inputs import Structure, compile_edges, features, recorded, structure

# Not the maximum: PyG shares its gradient among equal values (zeros after a ReLU), the kernels give it to one of them.
_AGGREGATIONS = {aggr.SumAggregation: "sum", aggr.MeanAggregation: "mean"}
_STEPS = ("propagate", "message", "aggregate", "message_and_aggregate", "edge_update")
_HOOKS = tuple(f"_{step}_forward_{kind}" for step in _STEPS for kind in ("pre_hooks", "hooks"))
_METHODS = (*_STEPS, "forward", "update", "edge_updater")


class Helped:
    """Mixed into a layer class of PyG: ``forward`` runs on the kernels where it can, and is PyG's own elsewhere.

    A layer is helped by exchanging its class, and restored by exchanging it back and by dropping the attributes in ``OWN``.

    Attributes:
        kernel_backend: The backend that is forced, or None.
        left: Why the latest call ran on PyG's path; None where it ran on the kernels.
    """

    OWN: ClassVar[tuple[str, ...]] = ("kernel_backend", "left")
    reductions: ClassVar[frozenset[str]] = frozenset({"sum"})
    kernel_backend: str | None = None
    left: str | None = None

    @classmethod
    def stock(cls) -> type[Any]:
        """PyG's own class."""
        return next(base for base in cls.__mro__ if base.__module__.startswith("torch_geometric."))

    def __prepare_scriptable__(self: Any) -> Any:
        # What torch.jit.script compiles in the place of this layer: PyG's, with the same parameters.
        twin = object.__new__(self.stock())
        twin.__dict__ = {name: value for name, value in vars(self).items() if name not in self.OWN}
        return twin

    def _set_jittable_templates(self: Any, raise_on_error: bool = False) -> None:
        # A copy asks for them. Those of PyG's own class are inherited; made for this one, they would hide what explaining needs.
        self.__prepare_scriptable__()._set_jittable_templates(raise_on_error)

    @property
    def reduce(self: Any) -> Any:
        """How messages are aggregated, ``"sum"`` or ``"mean"``; None for all that the kernels have no word for."""
        return _AGGREGATIONS.get(type(self.aggr_module))

    def obstacle(self: Any) -> str | None:
        """Why the layer, with its present options, is left to PyG; None where it can be helped."""
        if self.reduce not in self.reductions:
            return f"aggr={self.aggr!r} has no kernel"
        if self.node_dim not in (0, -2):
            return f"node_dim={self.node_dim} takes nodes from another dimension than the first"
        if self.explain:
            return "it is being explained, edge by edge"
        if self.decomposed_layers > 1:
            return "decomposed_layers splits the features"
        if any(getattr(self, name) for name in _HOOKS) or is_watched(self.aggr_module):
            return "hooks on its messages must see them"
        replaced = [name for name in _METHODS if name in vars(self) and not _is_pygs(self, name)]
        if replaced:
            return f"its {replaced[0]} was replaced"
        return None

    def ready(self: Any, x: Any, edge_index: Any, edge_weight: Any = None, *, options: bool = True, sparse: bool = False) -> bool:
        """Whether a call can be helped; where it cannot, :attr:`left` says why.

        Args:
            x: Node features, or a pair of them for sources and targets.
            edge_index: What the call gives for it.
            edge_weight: The same.
            options: Whether the other arguments of the call are those that the kernels know.
            sparse: Whether the layer takes sparse features.
        """
        if torch.compiler.is_compiling():  # first, and without a trace: it would become a part of what is compiled
            return False
        self.left = (
            recorded()
            or (None if options else "the kernels do not read all arguments of the call")
            or _unread_edges(edge_index)
            or _unread_features(x, sparse)
            or _unread_weights(edge_weight, edge_index, x)
            or ("messages go from targets to sources" if isinstance(x, tuple) and self.flow != "source_to_target" else None)
            or self.obstacle()
        )
        return self.left is None

    def on_kernels(self) -> Any:
        """The context in which the layer's kernels run: a forced backend, or the choice that holds anyway."""
        return contextlib.nullcontext() if self.kernel_backend is None else kernels.using(self.kernel_backend)

    def structure(self: Any, x: Tensor | tuple[Tensor, Tensor], edge_index: Tensor) -> Structure:
        """The compiled edges as they are."""
        source, target = x if isinstance(x, tuple) else (x, x)
        return structure(edge_index, target.size(0), source.size(0), self.flow)

    def normalised(
        self: Any, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, *, loops: bool, improved: bool = False
    ) -> tuple[Structure, Tensor, SparseGraph]:
        """PyG's ``gcn_norm``: (compiled edges, weights in the edge list's order, the weighted graph).

        Constant weights are normalised once per graph. Weights that are learned are normalised in every call, on edges that are
        still compiled once.
        """
        num_nodes, flow, dtype = x.size(0), self.flow, x.dtype
        key = (num_nodes, flow, loops)

        def norm() -> tuple[Tensor, Tensor]:
            return gcn_norm(edge_index, edge_weight, num_nodes, improved, loops, flow, dtype)  # type: ignore[return-value]

        def edges() -> Structure:
            # Which edges there are does not depend on the weights.
            return shared.get(edge_index, ("edges", *key), (), lambda: compile_edges(norm()[0], num_nodes, num_nodes, flow))

        def whole() -> tuple[Structure, Tensor, SparseGraph]:
            weight = norm()[1]
            return edges(), weight, edges().weighted(weight)

        if edge_weight is not None and edge_weight.requires_grad:
            return whole()
        return shared.get(edge_index, ("norm", *key, improved, dtype), (edge_weight,), whole)


# ---- what a call brings ---------------------------------------------------------------------------------------
def _unread_edges(edge_index: Any) -> str | None:
    if type(edge_index) not in _TENSORS or edge_index.layout != torch.strided:
        return "edges are no plain tensor"
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in (torch.int32, torch.int64):
        return "edges are no edge_index [2, E] of int64 or int32"
    return "meta tensors hold no numbers" if edge_index.is_meta else None


def _unread_weights(edge_weight: Any, edge_index: Tensor, x: Any) -> str | None:
    if edge_weight is None:
        return None
    if type(edge_weight) not in _TENSORS or edge_weight.layout != torch.strided or edge_weight.shape != edge_index.shape[1:]:
        return "edge weights are not one number per edge"
    same = edge_weight.dtype == (x[0] if isinstance(x, tuple) else x).dtype
    return None if same else "edge weights are of another type than features"  # PyG's result is of the wider of both


def _unread_features(x: Any, sparse: bool) -> str | None:
    if isinstance(x, tuple) and len(x) != 2:
        return "x is not one matrix, or two"
    for table in x if isinstance(x, tuple) else (x,):
        if type(table) not in _TENSORS or table.dim() != 2 or not table.is_floating_point():
            return "x is no matrix of floating-point numbers"
        if table.layout != torch.strided and not (sparse and features(table) is not None):
            return f"x is sparse ({table.layout})"
        if torch.is_autocast_enabled(table.device.type):
            return "autocast chooses types operation by operation"
    return None


_TENSORS = (Tensor, nn.Parameter)  # a subclass may have another idea of every operation


def _is_pygs(layer: Any, name: str) -> bool:
    """Whether a method that lies on the layer itself was put there by PyG, as it does after explaining."""
    inner = getattr(vars(layer)[name], "__func__", None)
    return inner is not None and inner in (getattr(type(layer), f"_{origin}_{name}", None) for origin in ("orig", "jinja"))


# ---- linear maps ----------------------------------------------------------------------------------------------
def is_watched(module: nn.Module) -> bool:
    """Whether somebody listens to the calls of a module, or has replaced its ``forward``."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or "forward" in vars(module) or nn.modules.module._has_any_global_hook()


def is_plain(module: Any) -> bool:
    """Whether a module is ``x W^T + b`` and nothing more: no adapter in its place, nobody listening."""
    if type(module) not in (nn.Linear, dense.Linear) or isinstance(module.weight, nn.parameter.UninitializedParameter):
        return False
    return not is_watched(module)


def apply(lin: Any, x: Tensor) -> Tensor:
    """``lin(x)``, on sparse features where ``x`` has them."""
    sparse = features(x) if is_plain(lin) else None
    return lin(x) if sparse is None else kernels.linear(sparse, lin.weight, lin.bias)


def product(lin: Any, x: Tensor) -> Tensor:
    """``x W^T`` without the bias of a plain ``lin``."""
    sparse = features(x)
    return F.linear(x, lin.weight) if sparse is None else kernels.linear(sparse, lin.weight)


def narrows(lin: Any, *inputs: Tensor) -> bool:
    """Whether propagation is cheaper after ``lin`` than before it, and may be moved there."""
    if not is_plain(lin):
        return False
    return lin.weight.size(0) < lin.weight.size(1) or any(features(x) is not None for x in inputs)


def widens(lin: Any, x: Tensor) -> bool:
    """Whether propagation is cheaper before a ``lin`` without bias than after it, and may be moved there."""
    return is_plain(lin) and lin.bias is None and lin.weight.size(0) > lin.weight.size(1) and features(x) is None


def propagate_then(lin: Any, propagate: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``lin(propagate(x))`` for a linear propagation, in whichever order moves fewer numbers."""
    return plus(propagate(product(lin, x)), lin.bias) if narrows(lin, x) else lin(propagate(x))


def plus(out: Tensor, bias: Tensor | None) -> Tensor:
    """``out + bias``."""
    return out if bias is None else out + bias
