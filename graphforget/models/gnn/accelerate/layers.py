"""PyG's convolutions with ``forward`` on our kernels: same parameters, same options, same outputs.

Each class is that of PyG plus :class:`Helped`. Whatever a call cannot use the kernels for goes to PyG's own ``forward``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric import nn as pyg

from graphforget.base.memo import shared
from graphforget.kernels import SparseGraph, spmm
from graphforget.models.gnn.accelerate.attention import GATConv
from graphforget.models.gnn.accelerate.helped import (
    Helped,
    apply,
    is_plain,
    is_watched,
    narrows,
    plus,
    product,
    propagate_then,
    widens,
)
from graphforget.models.gnn.accelerate.inputs import Structure, compile_edges
from graphforget.models.gnn.accelerate.relations import FastRGCNConv, RGCNConv


class GCNConv(Helped, pyg.GCNConv):
    """Normalised once per graph; ``cached`` is not needed, and never answers for another graph than the one given."""

    def forward(self, x: Tensor, edge_index: Any, edge_weight: Tensor | None = None) -> Tensor:
        """See ``torch_geometric.nn.GCNConv``."""
        if not self.ready(x, edge_index, edge_weight, options=not isinstance(x, tuple), sparse=True):
            return super().forward(x, edge_index, edge_weight)
        with self.on_kernels():
            if self.normalize:
                graph = self.normalised(x, edge_index, edge_weight, loops=self.add_self_loops, improved=self.improved)[2]
            else:
                graph = weighted(self.structure(x, edge_index), edge_index, edge_weight)
            out = self.lin(spmm(graph, x)) if widens(self.lin, x) else spmm(graph, apply(self.lin, x))
            return plus(out, self.bias)


class SAGEConv(Helped, pyg.SAGEConv):
    """The mean or sum of neighbours is taken after the linear map where that is narrower."""

    reductions = frozenset({"sum", "mean"})

    def forward(self, x: Any, edge_index: Any, size: Any = None) -> Tensor:
        """See ``torch_geometric.nn.SAGEConv``."""
        if not self.ready(x, edge_index, options=size is None):
            return super().forward(x, edge_index, size)
        with self.on_kernels():
            graph = self.structure(x, edge_index).graph
            source, target = x if isinstance(x, tuple) else (x, x)
            if self.project:
                source = apply(self.lin, source).relu()
            out = aggregate_then(self.lin_l, graph, source, self.reduce)
            if self.root_weight:
                out = out + apply(self.lin_r, target)
            return F.normalize(out, p=2.0, dim=-1) if self.normalize else out


class GraphConv(Helped, pyg.GraphConv):
    """As :class:`SAGEConv`, with edge weights."""

    reductions = frozenset({"sum", "mean"})

    def forward(self, x: Any, edge_index: Any, edge_weight: Tensor | None = None, size: Any = None) -> Tensor:
        """See ``torch_geometric.nn.GraphConv``."""
        if not self.ready(x, edge_index, edge_weight, options=size is None):
            return super().forward(x, edge_index, edge_weight, size)
        with self.on_kernels():
            graph = weighted(self.structure(x, edge_index), edge_index, edge_weight)
            source, target = x if isinstance(x, tuple) else (x, x)
            return aggregate_then(self.lin_rel, graph, source, self.reduce) + apply(self.lin_root, target)


class GINConv(Helped, pyg.GINConv):
    """Neighbours are added after the first layer of ``nn`` where that is a linear one, in an ``nn.Sequential``, and narrower."""

    reductions = frozenset({"sum", "mean"})

    def forward(self, x: Any, edge_index: Any, size: Any = None) -> Tensor:
        """See ``torch_geometric.nn.GINConv``."""
        if not self.ready(x, edge_index, options=size is None):
            return super().forward(x, edge_index, size)
        with self.on_kernels():
            graph = self.structure(x, edge_index).graph
            source, target = x if isinstance(x, tuple) else (x, x)
            first, rest = first_linear(self.nn)
            if first is not None and narrows(first, source, target):
                own = product(first, target)
                near = spmm(graph, own if source is target else product(first, source), self.reduce)
                hidden = near + (1 + self.eps) * own
                return rest(plus(hidden, first.bias))
            return self.nn(spmm(graph, source, self.reduce) + (1 + self.eps) * target)


class LGConv(Helped, pyg.LGConv):
    """LightGCN's propagation."""

    def forward(self, x: Tensor, edge_index: Any, edge_weight: Tensor | None = None) -> Tensor:
        """See ``torch_geometric.nn.LGConv``."""
        if not self.ready(x, edge_index, edge_weight, options=not isinstance(x, tuple)):
            return super().forward(x, edge_index, edge_weight)
        with self.on_kernels():
            if self.normalize:
                return spmm(self.normalised(x, edge_index, edge_weight, loops=False)[2], x)
            return spmm(weighted(self.structure(x, edge_index), edge_index, edge_weight), x)


class SGConv(Helped, pyg.SGConv):
    """K steps before or after the linear map. With ``cached``, what constant features propagate to is kept per graph."""

    def forward(self, x: Tensor, edge_index: Any, edge_weight: Tensor | None = None) -> Tensor:
        """See ``torch_geometric.nn.SGConv``."""
        if not self.ready(x, edge_index, edge_weight, options=not isinstance(x, tuple)):
            return super().forward(x, edge_index, edge_weight)
        with self.on_kernels():
            graph = self.normalised(x, edge_index, edge_weight, loops=self.add_self_loops)[2]

            def propagate(values: Tensor) -> Tensor:
                for _ in range(self.K):
                    values = spmm(graph, values)
                return values

            constant = not x.requires_grad and (edge_weight is None or not edge_weight.requires_grad)
            if self.cached and constant:
                key = ("sgc", self.K, self.add_self_loops, self.flow)
                return self.lin(shared.get(edge_index, key, (x, edge_weight), lambda: propagate(x)))
            return propagate_then(self.lin, propagate, x)


class APPNP(Helped, pyg.APPNP):
    """K steps of ``(1 - alpha) A x + alpha h``; dropout on edges draws the same numbers as PyG's."""

    def forward(self, x: Tensor, edge_index: Any, edge_weight: Tensor | None = None) -> Tensor:
        """See ``torch_geometric.nn.APPNP``."""
        dropping = self.dropout > 0 and self.training
        # Without weights there is nothing to drop: PyG says so.
        unweighted = dropping and not self.normalize and edge_weight is None
        if not self.ready(x, edge_index, edge_weight, options=not isinstance(x, tuple) and not unweighted):
            return super().forward(x, edge_index, edge_weight)
        with self.on_kernels():
            weight: Tensor | None
            if self.normalize:
                edges, weight, graph = self.normalised(x, edge_index, edge_weight, loops=self.add_self_loops)
            else:
                edges, weight = self.structure(x, edge_index), edge_weight
                graph = weighted(edges, edge_index, weight)
            hidden = x
            for _ in range(self.K):
                if dropping and weight is not None:
                    weight = F.dropout(weight, p=self.dropout)
                    graph = edges.weighted(weight)
                hidden = spmm(graph, hidden) * (1 - self.alpha) + self.alpha * x
            return hidden


class TAGConv(Helped, pyg.TAGConv):
    """A polynomial of the adjacency, by Horner's rule where the linear maps narrow."""

    def forward(self, x: Tensor, edge_index: Any, edge_weight: Tensor | None = None) -> Tensor:
        """See ``torch_geometric.nn.TAGConv``."""
        if not self.ready(x, edge_index, edge_weight, options=not isinstance(x, tuple)):
            return super().forward(x, edge_index, edge_weight)
        with self.on_kernels():
            if self.normalize:
                graph = self.normalised(x, edge_index, edge_weight, loops=False)[2]
            else:
                graph = weighted(self.structure(x, edge_index), edge_index, edge_weight)
            if all(narrows(lin, x) for lin in self.lins):
                out = product(self.lins[-1], x)
                for lin in reversed(self.lins[:-1]):
                    out = product(lin, x) + spmm(graph, out)
                return plus(out, self.bias)
            out, hidden = apply(self.lins[0], x), x
            for lin in self.lins[1:]:
                hidden = spmm(graph, hidden)
                out = out + lin(hidden)
            return plus(out, self.bias)


class ChebConv(Helped, pyg.ChebConv):
    """Chebyshev polynomials of the Laplacian, by Clenshaw's recurrence where the linear maps narrow."""

    def forward(
        self, x: Tensor, edge_index: Any, edge_weight: Tensor | None = None, batch: Any = None, lambda_max: Any = None
    ) -> Tensor:
        """See ``torch_geometric.nn.ChebConv``."""
        # Without edges PyG takes the maximum of nothing, and says so.
        some = not isinstance(edge_index, Tensor) or edge_index.numel() > 0
        simple = batch is None and lambda_max is None and not isinstance(x, tuple)
        if not self.ready(x, edge_index, edge_weight, options=simple and some):
            return super().forward(x, edge_index, edge_weight, batch, lambda_max)
        with self.on_kernels():
            graph = self._laplacian(x, edge_index, edge_weight)
            if all(narrows(lin, x) for lin in self.lins):
                after = last = None
                for lin in reversed(self.lins[1:]):
                    here = product(lin, x)
                    here = here if last is None else here + 2 * spmm(graph, last)
                    after, last = last, here if after is None else here - after
                out = product(self.lins[0], x)
                out = out if last is None else out + spmm(graph, last)
                return plus(out if after is None else out - after, self.bias)
            out, before, hidden = apply(self.lins[0], x), x, x
            for k, lin in enumerate(self.lins[1:]):
                before, hidden = hidden, spmm(graph, hidden) if k == 0 else 2 * spmm(graph, hidden) - before
                out = out + lin(hidden)
            return plus(out, self.bias)

    def _laplacian(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> SparseGraph:
        key = ("laplacian", x.size(0), self.normalization, self.flow, x.dtype)

        def make() -> SparseGraph:
            ends, weight = self.__norm__(edge_index, x.size(0), edge_weight, self.normalization, dtype=x.dtype)
            return compile_edges(ends, x.size(0), x.size(0), self.flow).weighted(weight)

        if edge_weight is not None and edge_weight.requires_grad:
            return make()
        return shared.get(edge_index, key, (edge_weight,), make)


# ---- pieces ---------------------------------------------------------------------------------------------------
def weighted(edges: Structure, edge_index: Tensor, edge_weight: Tensor | None) -> SparseGraph:
    """Compiled edges with weights; constant ones are kept."""
    if edge_weight is None or edge_weight.requires_grad:
        return edges.weighted(edge_weight)
    key = ("weighted", edges.graph.shape, id(edges))
    return shared.get(edge_index, key, (edge_weight,), lambda: edges.weighted(edge_weight))


def aggregate_then(lin: Any, graph: SparseGraph, x: Tensor, reduce: Any) -> Tensor:
    """``lin`` of aggregated neighbours; rows without neighbours keep its bias."""
    return propagate_then(lin, lambda values: spmm(graph, values, reduce), x)


def first_linear(module: Any) -> tuple[Any, Any]:
    """(first linear layer, what follows it) of an ``nn.Sequential``, or (None, the module)."""
    if type(module) is not nn.Sequential or not len(module) or is_watched(module):
        return None, module
    return (module[0], module[1:]) if is_plain(module[0]) else (None, module)


LAYERS: tuple[type[Any], ...] = (
    GCNConv,
    SAGEConv,
    GraphConv,
    GINConv,
    LGConv,
    SGConv,
    APPNP,
    TAGConv,
    ChebConv,
    GATConv,
    RGCNConv,
    FastRGCNConv,
)
