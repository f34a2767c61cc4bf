"""A user's tensors as the kernels read them: compiled graphs and sparse features, kept with those tensors.

Nothing is kept in a model. A copy of a model, or a model that is called with another graph, therefore never reads a stale one:
the tensor that comes in decides (:mod:`graphforget.base.memo`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphforget.base.memo import shared
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.kernels.csr import compress

_SPARSE_BELOW = 0.2  # share of non-zero entries under which a linear layer is cheaper on sparse features
_SAMPLE = 256  # rows looked at before all are counted


# ---- when they may be read --------------------------------------------------------------------------------------
def recorded() -> str | None:
    """Who records or transforms the tensor operations of this moment, and must not meet kernels and look-ups; or None."""
    if torch.compiler.is_compiling():
        return "torch.compile reads PyG's code"
    if torch.jit.is_tracing():
        return "torch.jit.trace records PyG's operations"
    if torch._C._are_functorch_transforms_active():
        return "torch.func transforms PyG's operations"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation follows PyG's operations"
    return None


# ---- graphs ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Structure:
    """A compiled ``edge_index``.

    Attributes:
        graph: The entries without weights, one row per target node.
        order: [E]: position of every entry in the edge list.
    """

    graph: SparseGraph
    order: Tensor

    def weighted(self, values: Tensor | None) -> SparseGraph:
        """The graph with one weight per edge, given in the order of the edge list."""
        return self.graph if values is None else self.graph.with_weight(values.index_select(0, self.order))


def compile_edges(edge_index: Tensor, num_targets: int, num_sources: int, flow: str = "source_to_target") -> Structure:
    """Sort an edge list [2, E] by target.

    Raises:
        InputError: A node id that no row of the features has.
    """
    ends = edge_index if flow == "source_to_target" else edge_index.flip(0)
    for side, count, name in ((ends[0], num_sources, "source"), (ends[1], num_targets, "target")):
        if side.numel() and (int(side.min()) < 0 or int(side.max()) >= count):
            raise InputError(
                f"edge_index holds {name} ids from {int(side.min())} to {int(side.max())}, but there are {count} rows of "
                f"features: ids must lie in 0..{count - 1}."
            )
    rowptr, col, order = compress(ends[1], ends[0], num_targets, num_sources)
    return Structure(SparseGraph(rowptr, col, num_cols=num_sources), order)


def structure(edge_index: Tensor, num_targets: int, num_sources: int, flow: str) -> Structure:
    """:func:`compile_edges`, kept with ``edge_index``."""
    key = ("structure", num_targets, num_sources, flow)
    return shared.get(edge_index, key, (), lambda: compile_edges(edge_index, num_targets, num_sources, flow))


def edge_index_of(graph: SparseGraph) -> Tensor:
    """The ``edge_index`` of a graph, kept with it; the graph need not be compiled again.

    Raises:
        InputError: The graph has weights, which an edge list cannot hold.
    """
    if graph.weight is not None:
        raise InputError("an accelerated model takes a graph without weights: pass graph.pattern, and weights as edge_weight.")
    edge_index = shared.get(graph, "edge_index", (), graph.to_edge_index)
    key = ("structure", graph.num_rows, graph.num_cols, "source_to_target")
    shared.get(edge_index, key, (), lambda: Structure(_twin(graph), torch.arange(graph.num_edges, device=graph.device)))
    return edge_index


def _twin(graph: SparseGraph) -> SparseGraph:
    """The same arrays in another object: what is kept with a tensor that the graph owns must not hold the graph."""
    return SparseGraph(graph.rowptr, graph.col, graph.weight, num_cols=graph.num_cols)


# ---- features -------------------------------------------------------------------------------------------------
def features(x: Tensor, *, is_input: bool = False) -> SparseGraph | None:
    """The sparse form of features that need no gradient and are sparse or mostly zeros, kept with them; else None.

    Args:
        x: [N, F], dense or in one of torch's sparse layouts.
        is_input: Whether this is known to be an input of the model. Without gradients hidden activations cannot be told from
            inputs, and sorting those out anew in every pass would not pay; so only what is known already is then read.
    """
    if x.requires_grad or x.dim() != 2 or x.dtype not in (torch.float32, torch.float64):
        return None
    if x.layout != torch.strided:
        return shared.get(x, "features", (), lambda: _from_sparse(x))
    if not is_input and not torch.is_grad_enabled():
        return shared.peek(x, "features")  # type: ignore[no-any-return]
    return shared.get(x, "features", (), lambda: SparseGraph.from_dense(x) if _mostly_zero(x) else None)


def dense_of(sparse: SparseGraph) -> Tensor:
    """Sparse features as a tensor, for code that reads one, kept with them; layers find the sparse form again."""
    x = shared.get(sparse, "dense", (), sparse.to_dense)
    shared.get(x, "features", (), lambda: _twin(sparse))
    return x


def _from_sparse(x: Tensor) -> SparseGraph | None:
    try:
        return SparseGraph.from_csr(x.to_sparse_csr())
    except RuntimeError:  # a layout that torch does not convert
        return None


def _mostly_zero(x: Tensor) -> bool:
    if x.numel() == 0:
        return False
    sample = x[:: max(1, x.size(0) // _SAMPLE)]
    if float(sample.count_nonzero()) > 2 * _SPARSE_BELOW * sample.numel():
        return False
    return float(x.count_nonzero()) < _SPARSE_BELOW * x.numel()
