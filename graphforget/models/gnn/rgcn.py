"""Relational graph convolutional network (Schlichtkrull et al., arXiv:1703.06103)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget import kernels
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.base import GNN, as_features, glorot_

Relations = Tensor | Sequence[SparseGraph] | Mapping[int, SparseGraph]


class RGCNConv(nn.Module):
    """``W_0 x_i + b + sum over relations r of the mean (or sum) of W_r x_j over r-neighbours j`` (eq. 2, 1 / c = 1 / degree).

    Parameters are named and shaped as in ``torch_geometric.nn.RGCNConv``, so that state dicts interchange.

    Args:
        in_channels: Width of the input; the number of nodes where there are no features (``x=None``).
        out_channels: Width of the output.
        num_relations: Number of relations R.
        num_bases: Share so many bases between the relations (eq. 3).
        num_blocks: Block-diagonal weights with so many blocks (eq. 4).
        aggr: ``"mean"`` or ``"sum"`` over the neighbours of one relation.
        root_weight: Whether the node itself counts (``W_0``).
        bias: Whether to add a bias, which the paper has not.

    Raises:
        InputError: A size is not positive, both decompositions are asked for, widths do not divide into blocks, or an unknown
            ``aggr``.

    Example:
        >>> conv = RGCNConv(4, 3, num_relations=2)
        >>> conv(torch.randn(5, 4), torch.tensor([[0, 1], [1, 2]]), torch.tensor([0, 1])).shape
        torch.Size([5, 3])
    """

    comp: nn.Parameter | None
    root: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_relations: int,
        num_bases: int | None = None,
        num_blocks: int | None = None,
        *,
        aggr: Literal["mean", "sum"] = "mean",
        root_weight: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        for name, size in (("num_relations", num_relations), ("num_bases", num_bases), ("num_blocks", num_blocks)):
            if size is not None and size < 1:
                raise InputError(f"{name} must be at least 1, got {size}.")
        if num_bases is not None and num_blocks is not None:
            raise InputError("choose num_bases or num_blocks, not both: they are two ways to share weights between relations.")
        if num_blocks is not None and (in_channels % num_blocks or out_channels % num_blocks):
            raise InputError(
                f"in_channels ({in_channels}) and out_channels ({out_channels}) must be multiples of num_blocks ({num_blocks})."
            )
        if aggr not in ("mean", "sum"):
            raise InputError(f"aggr must be 'mean' or 'sum', got {aggr!r}.")
        self.in_channels, self.out_channels, self.num_relations = in_channels, out_channels, num_relations
        self.num_bases, self.num_blocks, self.aggr = num_bases, num_blocks, aggr
        shape: tuple[int, ...] = (in_channels, out_channels)
        if num_blocks is not None:
            shape = (num_blocks, in_channels // num_blocks, out_channels // num_blocks)
        self.weight = nn.Parameter(torch.empty(num_relations if num_bases is None else num_bases, *shape))
        self.register_parameter("comp", None if num_bases is None else nn.Parameter(torch.empty(num_relations, num_bases)))
        self.register_parameter("root", nn.Parameter(torch.empty(in_channels, out_channels)) if root_weight else None)
        self.register_parameter("bias", nn.Parameter(torch.empty(out_channels)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot weights, zero bias."""
        for parameter in (self.weight, self.comp, self.root):
            if parameter is not None:
                glorot_(parameter)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor | SparseGraph | None, edge_index: Relations, edge_type: Tensor | None = None) -> Tensor:
        """Aggregate over typed edges.

        Args:
            x: [N, in_channels], dense or sparse; None where nodes have no features but their number.
            edge_index: [2, E] (sources, targets), or one SparseGraph [N, N] per relation: a sequence of R, or a mapping from
                relation to graph (relations that it lacks have no edges). Keep those to train: an edge list is compiled anew
                in every call.
            edge_type: [E] relation of every edge, in 0 .. R - 1; with an edge list only.

        Returns:
            [N, out_channels].

        Raises:
            InputError: Relations or shapes do not fit.
        """
        if x is None and self.num_blocks is not None:
            raise InputError("block-diagonal weights need features x: without any, use num_bases.")
        features = None if x is None else as_features(x, self.in_channels)
        count = self.in_channels if features is None else features.shape[0]
        graphs = as_relations(edge_index, edge_type, count, self.num_relations)
        out = relational_sum(graphs, features, relation_weights(self.weight, self.comp), self.aggr)
        if self.root is not None:
            out = out + root_term(features, self.root)
        return out if self.bias is None else out + self.bias


class RGCN(GNN):
    """Relational graph convolutional network.

    See :class:`GNN` for the other arguments, and :class:`RGCNConv` for what ``x``, ``edge_index`` and ``edge_type`` may be.

    Args:
        num_relations: Number of relations.
        num_bases: Number of bases shared by the relations, in every layer.
        num_blocks: Number of blocks of the relations' weights, in every layer.

    Example:
        >>> model = RGCN(4, 8, 3, num_relations=2)
        >>> model(torch.randn(5, 4), torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 1])).shape
        torch.Size([5, 3])
    """

    accepts_sparse = False  # tasks hand over one graph, and this model needs one for each relation

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.0,
        *,
        num_relations: int,
        num_bases: int | None = None,
        num_blocks: int | None = None,
    ) -> None:
        self.num_relations, self.num_bases, self.num_blocks = num_relations, num_bases, num_blocks
        super().__init__(in_channels, hidden_channels, out_channels, num_layers, dropout)

    def make_conv(self, in_channels: int, out_channels: int, *, last: bool) -> nn.Module:
        """One :class:`RGCNConv`."""
        return RGCNConv(in_channels, out_channels, self.num_relations, self.num_bases, self.num_blocks)

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        own = {"num_relations": self.num_relations, "num_bases": self.num_bases, "num_blocks": self.num_blocks}
        return {**super().config, **own}

    def forward(  # type: ignore[override]
        self, x: Tensor | SparseGraph | None, edge_index: Relations, edge_type: Tensor | None = None
    ) -> Tensor:
        """Encode all nodes; see :meth:`RGCNConv.forward`. Returns [N, out_channels]."""
        features = None if x is None else as_features(x, self.in_channels)
        count = self.in_channels if features is None else features.shape[0]
        graphs = as_relations(edge_index, edge_type, count, self.num_relations)
        hidden: Any = features
        for i, conv in enumerate(self.convs):
            hidden = conv(hidden, graphs)
            if i < self.num_layers - 1:
                hidden = F.dropout(hidden.relu(), self.dropout, self.training)
        return hidden


# ---- pieces, shared with accelerated layers -------------------------------------------------------------------
def relation_weights(weight: Tensor, comp: Tensor | None) -> Tensor:
    """One weight per relation, [R, in, out] or [R, blocks, in / blocks, out / blocks]; from bases by ``comp`` [R, B] (eq. 3)."""
    return weight if comp is None else torch.einsum("rb,bio->rio", comp, weight)


def relational_sum(
    graphs: Sequence[SparseGraph], x: Tensor | SparseGraph | None, weight: Tensor, reduce: Literal["mean", "sum"]
) -> Tensor:
    """The sum over relations of eq. 2: aggregation and linear map, in whichever order moves fewer numbers.

    Args:
        graphs: One [N, N] per relation.
        x: [N, in], dense or sparse, or None for the identity matrix.
        weight: As :func:`relation_weights` gives it.
        reduce: Over the neighbours of one relation.

    Returns:
        [N, out].
    """
    out = weight.new_zeros(graphs[0].num_rows, weight.size(2) if weight.dim() == 3 else weight.size(1) * weight.size(3))
    # Without any edge one relation still runs, so that the weights have a gradient: zero.
    for r in [r for r, graph in enumerate(graphs) if graph.num_edges] or [0]:
        graph, own = graphs[r], weight[r]
        if own.dim() == 3:
            assert x is not None
            near = kernels.spmm(graph, x.to_dense().to(own.dtype) if isinstance(x, SparseGraph) else x, reduce)
            out = out + torch.einsum("nbi,bio->nbo", near.view(near.size(0), *own.shape[:2]), own).flatten(1)
        elif isinstance(x, Tensor) and own.size(0) <= own.size(1):
            out = out + kernels.spmm(graph, x, reduce) @ own
        else:
            out = out + kernels.spmm(graph, root_term(x, own), reduce)
    return out


def root_term(x: Tensor | SparseGraph | None, weight: Tensor) -> Tensor:
    """``x weight`` for dense, sparse or (None) one-hot rows."""
    return weight if x is None else kernels.linear(x, weight.t())


def as_relations(edge_index: Relations, edge_type: Tensor | None, num_nodes: int, num_relations: int) -> list[SparseGraph]:
    """One graph per relation.

    Raises:
        InputError: Not one relation per edge, or an unknown relation; not one graph per relation, or of another size.
    """
    if isinstance(edge_index, Tensor):
        if edge_type is None or edge_type.shape != edge_index.shape[1:] or edge_type.is_floating_point():
            got = "none" if edge_type is None else f"{edge_type.dtype} of shape {tuple(edge_type.shape)}"
            raise InputError(f"edge_type must hold one integer per edge ({edge_index.size(1)}), got {got}.")
        if edge_type.numel() and (int(edge_type.min()) < 0 or int(edge_type.max()) >= num_relations):
            raise InputError(
                f"edge_type holds relations {int(edge_type.min())} to {int(edge_type.max())}, but there are {num_relations}: "
                f"they must lie in 0..{num_relations - 1}."
            )
        return [SparseGraph.from_edge_index(edge_index[:, edge_type == r], num_nodes) for r in range(num_relations)]
    if edge_type is not None:
        raise InputError("edge_type belongs to an edge list; graphs given one per relation need none.")
    if isinstance(edge_index, Mapping):
        unknown = sorted(set(edge_index) - set(range(num_relations)))
        if unknown:
            raise InputError(f"unknown relations {unknown[:3]}: they must lie in 0..{num_relations - 1}.")
        none = torch.empty(2, 0, dtype=torch.long, device=next((g.device for g in edge_index.values()), None))
        empty = SparseGraph.from_edge_index(none, num_nodes)
        edge_index = [edge_index.get(r, empty) for r in range(num_relations)]
    if len(edge_index) != num_relations:
        raise InputError(f"expected one graph for each of {num_relations} relations, got {len(edge_index)}.")
    for graph in edge_index:
        if graph.shape != (num_nodes, num_nodes):
            raise InputError(f"a relation's graph is {graph.num_rows} x {graph.num_cols}, but there are {num_nodes} nodes.")
    return list(edge_index)
