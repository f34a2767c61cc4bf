"""The same operation computed in several ways: PyG's message passing, torch's sparse matrices, and our kernels.

Every builder makes what is kept between calls (converted structures, caches) and returns the function that is timed, forward and
backward. All functions of one operation give the same numbers; :mod:`kernel_speed` checks that before it times them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from graphs import message_edges
from torch import Tensor, nn

from graphforget import kernels
from graphforget.kernels import SparseGraph

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta|Sparse invariant checks are implicitly disabled")

Cell = dict[str, Any]
Apply = Callable[..., Tensor]
SLOPE = 0.2


@dataclass
class Problem:
    """One graph with self-loops as every path wants it.

    Attributes:
        pairs: Undirected edges [m, 2].
        num_nodes: N.
    """

    pairs: Tensor
    num_nodes: int

    @cached_property
    def edge_index(self) -> Tensor:
        """[2, E] in random order, as message-passing code finds it in a file."""
        return message_edges(self.pairs, self.num_nodes, loops=True, seed=1)

    @cached_property
    def graph(self) -> SparseGraph:
        """``D^-1/2 (A + I) D^-1/2`` as our own models read it."""
        return SparseGraph.from_edge_index(message_edges(self.pairs, self.num_nodes, loops=False), self.num_nodes).gcn_norm()

    @cached_property
    def edge_weight(self) -> Tensor:
        """The same weights in the order of ``edge_index``, [E]."""
        degree = torch.bincount(self.edge_index[1], minlength=self.num_nodes)
        scale = degree.float().pow(-0.5)
        return scale[self.edge_index[0]] * scale[self.edge_index[1]]

    @cached_property
    def matrix(self) -> Tensor:
        """The same as ``torch.sparse_csr``."""
        graph = self.graph
        assert graph.weight is not None
        return torch.sparse_csr_tensor(graph.rowptr, graph.col, graph.weight, graph.shape, check_invariants=False)

    @property
    def num_entries(self) -> int:
        """Entries of the matrix, self-loops included."""
        return 2 * len(self.pairs) + self.num_nodes


def random_inputs(problem: Problem, cell: Cell) -> list[Tensor]:
    """What the operation reads and gets gradients for: seeded normal numbers."""
    draw = torch.Generator().manual_seed(0)
    n, width = problem.num_nodes, cell["width"]
    if cell["op"] == "attention":
        sizes = [(n, cell["heads"], width), (n, cell["heads"]), (n, cell["heads"])]
    elif cell["op"] == "bpr_loss":
        sizes = [(n // 2, width), (n - n // 2, width)]
    else:
        sizes = [(n, width)]
    return [torch.randn(size, generator=draw).requires_grad_() for size in sizes]


def step_of(apply: Apply, inputs: list[Tensor]) -> Callable[[], Tensor]:
    """Forward and backward from a gradient that is there already; the gradients are dropped after each call."""
    with torch.no_grad():
        shape = apply(*inputs).shape
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def step() -> Tensor:
        out = apply(*inputs)
        out.backward(grad)
        return out

    def fresh() -> Tensor:
        for tensor in inputs:
            tensor.grad = None
        return step()

    return fresh


# ---- weighted sum of neighbours --------------------------------------------------------------------------------
def pyg_scatter(problem: Problem, cell: Cell) -> Apply:
    """``GCNConv.propagate``: gather one message per entry, weight it, scatter."""
    from torch_geometric.nn import GCNConv

    conv = GCNConv(1, 1, normalize=False, aggr={"spmm_max": "max", "spmm_min": "min"}.get(cell["op"], "add"))
    edge_index, weight = problem.edge_index, problem.edge_weight
    return lambda x: conv.propagate(edge_index, x=x, edge_weight=weight)


def torch_csr(problem: Problem, cell: Cell) -> Apply:
    """``torch.sparse_csr @ x`` with the backward of torch itself, which transposes anew each time."""
    matrix = problem.matrix
    return lambda x: matrix @ x


class _Cached(torch.autograd.Function):
    """``A x`` with the transpose given."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ grads[0]


def torch_csr_cached(problem: Problem, cell: Cell) -> Apply:
    """``torch.sparse_csr @ x`` forward and over the kept transpose (here the matrix itself) backward."""
    matrix = problem.matrix
    return lambda x: _Cached.apply(matrix, matrix, x)


def pyg_edge_index(problem: Problem, cell: Cell) -> Apply:
    """PyG's ``EdgeIndex @ x`` with its caches filled."""
    from torch_geometric import EdgeIndex

    graph, n = problem.graph, problem.num_nodes
    index = EdgeIndex(torch.stack([graph.row, graph.col]), sparse_size=(n, n), sort_order="row", is_undirected=True)
    index.fill_cache_()
    weight = graph.weight
    return lambda x: index.matmul(x, input_value=weight)


def ours(backend: str | None, index_dtype: torch.dtype = torch.int64) -> Callable[[Problem, Cell], Apply]:
    """``kernels.spmm`` on a backend, or on the one chosen for the device."""

    def build(problem: Problem, cell: Cell) -> Apply:
        graph = problem.graph.to(index_dtype=index_dtype)
        graph.transpose()
        reduce: Any = {"spmm_max": "max", "spmm_min": "min"}.get(cell["op"], "sum")
        return lambda x: kernels.spmm(graph, x, reduce, backend=backend)

    return build


# ---- attention -------------------------------------------------------------------------------------------------
def pyg_gat(problem: Problem, cell: Cell) -> Apply:
    """What ``GATConv`` does after its linear maps: edge scores, softmax, weighted scatter."""
    from torch_geometric.nn import GATConv

    conv = GATConv(1, cell["width"], heads=cell["heads"], negative_slope=SLOPE, add_self_loops=False)
    edge_index = problem.edge_index

    def apply(x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        alpha = conv.edge_updater(edge_index, alpha=(source, target), edge_attr=None, size=None)
        return conv.propagate(edge_index, x=(x, x), alpha=alpha, size=None)

    return apply


def our_gat(backend: str | None) -> Callable[[Problem, Cell], Apply]:
    """``kernels.gat_aggregate``."""

    def build(problem: Problem, cell: Cell) -> Apply:
        graph = problem.graph.pattern
        graph.transpose()
        return lambda x, source, target: kernels.gat_aggregate(graph, x, source, target, negative_slope=SLOPE, backend=backend)

    return build


# ---- losses of triples -----------------------------------------------------------------------------------------
def triples_of(problem: Problem, cell: Cell) -> Tensor:
    """[n, 3]: user, item, negative item."""
    draw = torch.Generator().manual_seed(2)
    users = problem.num_nodes // 2
    size = (cell["triples"], 1)
    items = torch.randint(problem.num_nodes - users, (cell["triples"], 2), generator=draw)
    return torch.cat([torch.randint(users, size, generator=draw), items], 1)


def plain_bpr(problem: Problem, cell: Cell) -> Apply:
    """Three look-ups, two dot products, softplus; autograd does the rest."""
    user, positive, negative = triples_of(problem, cell).t().contiguous()

    def apply(users: Tensor, items: Tensor) -> Tensor:
        u = users[user]
        return nn.functional.softplus((u * items[negative]).sum(1) - (u * items[positive]).sum(1)).mean()

    return apply


def our_bpr(backend: str | None) -> Callable[[Problem, Cell], Apply]:
    """``kernels.bpr_loss``."""

    def build(problem: Problem, cell: Cell) -> Apply:
        triples = triples_of(problem, cell)
        return lambda users, items: kernels.bpr_loss(users, items, triples, backend=backend)

    return build


PATHS: dict[str, dict[str, Callable[[Problem, Cell], Apply]]] = {
    "spmm": {
        "PyG scatter": pyg_scatter,
        "torch CSR": torch_csr,
        "torch CSR, kept transpose": torch_csr_cached,
        "PyG EdgeIndex": pyg_edge_index,
        "graphforget reference": ours("reference"),
        "graphforget, int32": ours(None, torch.int32),
        "graphforget": ours(None),
    },
    "spmm_max": {"PyG scatter": pyg_scatter, "graphforget": ours(None)},
    "spmm_min": {"PyG scatter": pyg_scatter, "graphforget": ours(None)},
    "attention": {"PyG scatter": pyg_gat, "graphforget reference": our_gat("reference"), "graphforget": our_gat(None)},
    "bpr_loss": {"plain autograd": plain_bpr, "graphforget": our_bpr(None)},
}
"""Per operation: name of the path -> builder. The first is what the others are compared with."""
