"""What the accelerated layers share: when a call can be helped, and linear maps beside linear propagation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import dense
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from graphforget import kernels
from graphforget.base.memo import shared
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.accelerate.inputs import Structure, compile_edges, features, structure

SUM = frozenset({"add", "sum"})
# Not the maximum: PyG shares its gradient among equal values (zeros after a ReLU), the kernels give it to one of them.
REDUCE = SUM | {"mean"}
_HOOKS = tuple(
    f"_{step}_forward_{kind}"
    for step in ("propagate", "message", "aggregate", "message_and_aggregate", "edge_update")
    for kind in ("pre_hooks", "hooks")
)


class Helped:
    """Mixed into a layer class of PyG: ``forward`` runs on the kernels where it can, and is PyG's own elsewhere.

    A subclass adds no state, so that a layer is helped by exchanging its class and restored by exchanging it back.
    """

    aggregations: ClassVar[frozenset[str]] = SUM
    kernel_backend: str | None = None

    def obstacle(self: Any) -> str | None:
        """Why the layer, with its present options, is left to PyG; None where it can be helped."""
        if self.aggr not in self.aggregations:
            return f"aggr={self.aggr!r} has no kernel"
        if self.explain:
            return "it is being explained, edge by edge"
        if self.decomposed_layers > 1:
            return "decomposed_layers splits the features"
        if any(getattr(self, name) for name in _HOOKS):
            return "hooks on its messages must see them"
        return None

    def ready(self: Any, x: Any, edge_index: Any, edge_weight: Any = None) -> bool:
        """Whether these inputs can be helped: plain node features, an edge list, at most one weight per edge."""
        plain = type(edge_index) is Tensor and edge_index.layout == torch.strided and edge_index.dim() == 2
        if not plain or edge_index.size(0) != 2 or edge_index.dtype not in (torch.int32, torch.int64):
            return False
        if edge_weight is not None:
            one_each = isinstance(edge_weight, Tensor) and edge_weight.shape == edge_index.shape[1:]
            if not one_each or not edge_weight.is_floating_point():
                return False
        for table in x if isinstance(x, tuple) else (x,):
            if not isinstance(table, Tensor) or table.dim() != 2 or not table.is_floating_point():
                return False
        if isinstance(x, tuple) and (len(x) != 2 or self.flow != "source_to_target"):
            return False
        # Tracers record tensor operations and must not meet look-ups by identity.
        return not torch.compiler.is_compiling() and not torch.jit.is_tracing() and self.obstacle() is None

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


# ---- linear maps ----------------------------------------------------------------------------------------------
def is_plain(module: Any) -> bool:
    """Whether a module is ``x W^T + b`` and nothing more: no adapter in its place, nobody listening."""
    if type(module) not in (nn.Linear, dense.Linear) or isinstance(module.weight, nn.parameter.UninitializedParameter):
        return False
    return not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


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
