"""PyG's ``GATConv`` with ``forward`` on our kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric import nn as pyg
from torch_geometric.utils import add_self_loops, remove_self_loops

from graphforget.base.memo import shared
from graphforget.kernels import edge_scores, edge_softmax, spmm
from graphforget.kernels.attention import gat_aggregate
from graphforget.models.gnn.accelerate.helped import Helped, apply, plus
from graphforget.models.gnn.accelerate.inputs import Structure, compile_edges


class GATConv(Helped, pyg.GATConv):
    """Attention without an [E, heads, d] tensor; dropout on attention draws the same numbers as PyG's."""

    def obstacle(self) -> str | None:
        """See :class:`Helped`."""
        if self.lin_edge is not None:
            return "edge features (edge_dim) have no kernel"
        return super().obstacle()

    def forward(  # type: ignore[override]
        self, x: Any, edge_index: Any, edge_attr: Any = None, size: Any = None, return_attention_weights: bool | None = None
    ) -> Any:
        """See ``torch_geometric.nn.GATConv``."""
        plain = edge_attr is None and size is None and return_attention_weights is None
        if not self.ready(x, edge_index, options=plain, sparse=True):
            return super().forward(x, edge_index, edge_attr, size, return_attention_weights)  # type: ignore[call-overload]
        with self.on_kernels():
            first, second = x if isinstance(x, tuple) else (x, x)
            rest = None if self.res is None else apply(self.res, second)  # first, as PyG does: lazy layers draw in this order
            if self.lin is not None:
                source = self._heads(self.lin, first)
                target = source if first is second else self._heads(self.lin, second)
            else:
                source, target = self._heads(self.lin_src, first), self._heads(self.lin_dst, second)
            edges = self._edges(edge_index, target.size(0), source.size(0))
            out = self._aggregate(edges, source, (source * self.att_src).sum(-1), (target * self.att_dst).sum(-1))
            out = out.flatten(1) if self.concat else out.mean(1)
            return plus(out if rest is None else out + rest, self.bias)

    def _heads(self, lin: Any, x: Tensor) -> Tensor:
        return apply(lin, x).view(-1, self.heads, self.out_channels)

    def _edges(self, edge_index: Tensor, num_targets: int, num_sources: int) -> Structure:
        if not self.add_self_loops:
            return self.structure((edge_index.new_empty(num_sources), edge_index.new_empty(num_targets)), edge_index)

        def make() -> Structure:
            looped, _ = remove_self_loops(edge_index)
            looped, _ = add_self_loops(looped, num_nodes=min(num_targets, num_sources))
            return compile_edges(looped, num_targets, num_sources, self.flow)

        return shared.get(edge_index, ("attention", num_targets, num_sources, self.flow), (), make)

    def _aggregate(self, edges: Structure, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        graph = edges.graph
        if not (self.training and self.dropout > 0):
            return gat_aggregate(graph, x, source, target, negative_slope=self.negative_slope)
        # Drawn in the order of the edge list, as PyG does, so that one seed means one model with either.
        drawn = F.dropout(torch.ones(graph.num_edges, self.heads, dtype=x.dtype, device=x.device), p=self.dropout)
        alpha = edge_softmax(graph, F.leaky_relu(edge_scores(graph, target, source), self.negative_slope))
        alpha = alpha * drawn.index_select(0, edges.order)
        return torch.stack([spmm(graph.with_weight(alpha[:, h]), x[:, h]) for h in range(self.heads)], 1)
