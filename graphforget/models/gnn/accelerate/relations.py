"""PyG's relational convolutions with ``forward`` on our kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric import nn as pyg

from graphforget.base.memo import shared
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.accelerate.helped import SUM, Helped, plus
from graphforget.models.gnn.accelerate.inputs import compile_edges, features
from graphforget.models.gnn.rgcn import relation_weights, relational_sum, root_term


class _Relational(Helped):
    """One compiled graph per relation, kept with the edge list."""

    aggregations = SUM | {"mean"}

    def forward(self: Any, x: Any, edge_index: Any, edge_type: Tensor | None = None) -> Tensor:
        """See ``torch_geometric.nn.RGCNConv``."""
        typed = isinstance(edge_type, Tensor) and not edge_type.is_floating_point()
        # Features that are node numbers, or differ between both ends, are PyG's business.
        shape = torch.empty(self.in_channels_l, 0, device=self.weight.device) if x is None else x
        if isinstance(x, tuple) or not typed or not self.ready(shape, edge_index) or (x is None and self.num_blocks is not None):
            return super().forward(x, edge_index, edge_type)  # type: ignore[misc, no-any-return]
        with self.on_kernels():
            count, flow = shape.size(0), self.flow

            def make() -> list[SparseGraph]:
                parts = [edge_index[:, edge_type == r] for r in range(self.num_relations)]
                return [compile_edges(part, count, count, flow).graph for part in parts]

            graphs = shared.get(edge_index, ("relations", count, self.num_relations, flow), (edge_type,), make)
            sparse = None if x is None else features(x)
            rows = x if sparse is None else sparse
            weight = relation_weights(self.weight, self.comp if self.num_bases is not None else None)
            out = relational_sum(graphs, rows, weight, "mean" if self.aggr == "mean" else "sum")
            return plus(out if self.root is None else out + root_term(rows, self.root), self.bias)


class RGCNConv(_Relational, pyg.RGCNConv):
    """One aggregation per relation, after its linear map where that is narrower."""


class FastRGCNConv(_Relational, pyg.FastRGCNConv):
    """The same sum as :class:`RGCNConv`: what it trades memory for is not needed."""
