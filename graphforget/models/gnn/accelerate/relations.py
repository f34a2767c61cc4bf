"""PyG's relational convolutions with ``forward`` on our kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric import nn as pyg

from graphforget.base.memo import shared
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.accelerate.helped import Helped, plus
from graphforget.models.gnn.accelerate.inputs import compile_edges, features
from graphforget.models.gnn.rgcn import relation_weights, relational_sum, root_term


class _Relational(Helped):
    """One compiled graph per relation, kept with the edge list."""

    reductions = frozenset({"sum", "mean"})

    def forward(self: Any, x: Any, edge_index: Any, edge_type: Any = None) -> Tensor:
        """See ``torch_geometric.nn.RGCNConv``."""
        # Features that are node numbers, or differ between both ends, are PyG's business.
        shape = self.weight.new_empty(self.in_channels_l, 0) if x is None else x
        options = not isinstance(x, tuple) and (x is not None or self.num_blocks is None) and (x is None or self._keeps_type(x))
        if not (self.ready(shape, edge_index, options=options) and self._knows(edge_type, edge_index)):
            return super().forward(x, edge_index, edge_type)  # type: ignore[misc, no-any-return]
        with self.on_kernels():
            count, flow, relations = shape.size(0), self.flow, self.num_relations

            def make() -> list[SparseGraph]:
                parts = [edge_index[:, edge_type == r] for r in range(relations)]
                return [compile_edges(part, count, count, flow).graph for part in parts]

            graphs = shared.get(edge_index, ("relations", count, relations, flow), (edge_type,), make)
            sparse = None if x is None or self.num_blocks is not None else features(x)  # blocks read dense rows
            rows = x if sparse is None else sparse
            weight = relation_weights(self.weight, self.comp if self.num_bases is not None else None)
            out = relational_sum(graphs, rows, weight, self.reduce)
            return plus(out if self.root is None else out + root_term(rows, self.root), self.bias)

    def _keeps_type(self, x: Any) -> bool:
        return True

    def _knows(self: Any, edge_type: Any, edge_index: Tensor) -> bool:
        """Whether there is one relation per edge, and all of them are the layer's."""
        if type(edge_type) is not Tensor or edge_type.dtype not in (torch.int32, torch.int64):
            self.left = "relations are not whole numbers"
        elif edge_type.shape != edge_index.shape[1:]:
            self.left = "relations are not one number per edge"
        elif edge_type.numel():
            low, high = shared.get(edge_type, "range", (), lambda: (int(edge_type.min()), int(edge_type.max())))
            if low < 0 or high >= self.num_relations:
                self.left = f"relations are {low} to {high}, and the layer has {self.num_relations}"
        return self.left is None


class RGCNConv(_Relational, pyg.RGCNConv):
    """One aggregation per relation, after its linear map where that is narrower."""

    def _keeps_type(self, x: Any) -> bool:
        # PyG adds relations up in torch's default type, and returns the wider of that and the features'.
        return not isinstance(x, Tensor) or torch.promote_types(x.dtype, torch.get_default_dtype()) == x.dtype


class FastRGCNConv(_Relational, pyg.FastRGCNConv):
    """The same sum as :class:`RGCNConv`: what it trades memory for is not needed."""
