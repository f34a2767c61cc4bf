"""What is derived from a user's tensors, kept with those tensors: compiled graphs, normalised weights, sparse features.

Nothing is kept in a model. A copy of a model, or a model that is called with another graph, therefore never reads a stale one:
the tensor that comes in decides. A tensor is recognised by identity and by its version, which every in-place operation of torch
raises. Writing through ``tensor.data`` or a shared numpy array raises none, and is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.kernels.csr import compress

T = TypeVar("T")
_SPARSE_BELOW = 0.2  # share of non-zero entries under which a linear layer is cheaper on sparse features
_SAMPLE = 256  # rows looked at before all are counted
_STORE: dict[int, tuple[_Mark, dict[Hashable, tuple[tuple[_Mark | None, ...], Any]]]] = {}


class _Mark:
    """One tensor as it is now; holds it weakly."""

    def __init__(self, tensor: Tensor, gone: Callable[[Any], object] | None = None) -> None:
        self.ref = weakref.ref(tensor, gone)
        # Tensors made in inference mode count no versions: they match nothing, so that nothing is read back for them.
        self.version = -1 if tensor.is_inference() else tensor._version

    def matches(self, tensor: Tensor) -> bool:
        return self.version >= 0 and self.ref() is tensor and self.version == tensor._version


def remember(owner: Tensor, key: Hashable, others: tuple[Tensor | None, ...], make: Callable[[], T]) -> T:
    """``make()``, kept as long as ``owner`` lives and neither it nor one of ``others`` was changed or exchanged.

    Args:
        owner: The tensor that the value belongs to.
        key: What the value is.
        others: Further tensors that it derives from; the value for the last ones seen is kept.
        make: Run without gradients.
    """
    known = _STORE.get(id(owner))
    values = known[1] if known is not None and known[0].matches(owner) else None
    if values is not None and key in values:
        marks, value = values[key]
        if all(t is None if m is None else t is not None and m.matches(t) for m, t in zip(marks, others, strict=True)):
            return value  # type: ignore[no-any-return]
    with torch.inference_mode(False), torch.no_grad():  # what is kept must serve training later
        value = make()
    if owner.is_inference():
        return value
    if values is None:
        number, drop, values = id(owner), _STORE.pop, {}
        _STORE[number] = (_Mark(owner, lambda _: drop(number, None)), values)
    values[key] = tuple(None if t is None else _Mark(t) for t in others), value
    return value


def recall(owner: Tensor, key: Hashable) -> Any:
    """What :func:`remember` keeps for a tensor that nothing else went into, or None."""
    known = _STORE.get(id(owner))
    return known[1].get(key, (None, None))[1] if known is not None and known[0].matches(owner) else None


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
    return remember(edge_index, key, (), lambda: compile_edges(edge_index, num_targets, num_sources, flow))


_TENSORS: weakref.WeakKeyDictionary[SparseGraph, Tensor] = weakref.WeakKeyDictionary()


def edge_index_of(graph: SparseGraph) -> Tensor:
    """The ``edge_index`` of a graph, kept with it; the graph need not be compiled again.

    Raises:
        InputError: The graph has weights, which an edge list cannot hold.
    """
    if graph.weight is not None:
        raise InputError("an accelerated model takes a graph without weights: pass graph.pattern, and weights as edge_weight.")
    if graph not in _TENSORS:
        with torch.inference_mode(False), torch.no_grad():
            _TENSORS[graph] = graph.to_edge_index()
    edge_index = _TENSORS[graph]
    key = ("structure", graph.num_rows, graph.num_cols, "source_to_target")
    remember(edge_index, key, (), lambda: Structure(graph, torch.arange(graph.num_edges, device=graph.device)))
    return edge_index


# ---- features -------------------------------------------------------------------------------------------------
def features(x: Tensor, *, is_input: bool = False) -> SparseGraph | None:
    """The sparse form of features that need no gradient and are mostly zeros, kept with them; else None.

    Args:
        x: [N, F].
        is_input: Whether this is known to be an input of the model. Without gradients hidden activations cannot be told from
            inputs, and sorting those out anew in every pass would not pay; so only what is known already is then read.
    """
    if x.requires_grad or x.dim() != 2 or x.layout != torch.strided or x.dtype not in (torch.float32, torch.float64):
        return None
    if not is_input and not torch.is_grad_enabled():
        return recall(x, "features")  # type: ignore[no-any-return]
    return remember(x, "features", (), lambda: SparseGraph.from_dense(x) if _mostly_zero(x) else None)


def dense_of(sparse: SparseGraph) -> Tensor:
    """Sparse features as a tensor, for code that reads one, kept with them; layers find the sparse form again."""
    if sparse not in _TENSORS:
        with torch.inference_mode(False), torch.no_grad():
            _TENSORS[sparse] = sparse.to_dense()
    x = _TENSORS[sparse]
    remember(x, "features", (), lambda: sparse)
    return x


def _mostly_zero(x: Tensor) -> bool:
    if x.numel() == 0:
        return False
    sample = x[:: max(1, x.size(0) // _SAMPLE)]
    if float(sample.count_nonzero()) > 2 * _SPARSE_BELOW * sample.numel():
        return False
    return float(x.count_nonzero()) < _SPARSE_BELOW * x.numel()
