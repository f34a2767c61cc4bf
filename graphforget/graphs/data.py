"""GraphData: one graph with features, labels and splits. Frozen; ids never move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from graphforget.base import content_digest
from graphforget.base.memo import shared
from graphforget.base.tables import empty_table, take_tables
from graphforget.exceptions import InputError
from graphforget.graphs.attached import checked_tables
from graphforget.graphs.checks import (
    TARGET,
    checked_count,
    checked_direction,
    checked_edges,
    checked_labels,
    checked_mask,
    checked_splits,
    holds_targets,
)
from graphforget.graphs.edge_index import entry_order
from graphforget.graphs.edge_lookup import EdgeLookup
from graphforget.graphs.edge_rules import EdgeRule
from graphforget.graphs.features import as_features
from graphforget.graphs.part import Part
from graphforget.kernels import SparseGraph
from graphforget.requests import DeletionRequest, Lineage, OwnNames, resolve_names, show_ids
from graphforget.requests.keys import contains, row_keys
from graphforget.requests.names import as_names


@dataclass(frozen=True, eq=False, repr=False)
class GraphData:
    """A graph. Make one with :meth:`create`, which checks everything; edit it with :mod:`graphforget.graphs.edit`.

    Attributes:
        edge_index: Message-passing edges, [2, E] int64, sorted by source, then target. Undirected graphs list both
            directions. Copies of an edge and self-loops are allowed.
        num_nodes: Number of node slots N, dead ones included.
        x: Node features, [N, F] float32, dense or ``torch.sparse_csr``; None without features. Dead rows are NaN (empty
            where sparse).
        y: Labels, [N] int64, -1 where there is none; None without labels.
        undirected: Whether (u, v) and (v, u) are one edge.
        splits: Node tasks: ``train``, ``val``, ``test`` to node ids [n]. Link tasks: ``val``, ``test`` to positive pairs
            and ``val_neg``, ``test_neg`` to sampled non-edges, [n, 2]; training positives are :meth:`pairs`.
        alive: [N] bool, False for forgotten nodes.
        num_classes: Number of classes, 0 without labels.
        edge_rule: How the edges derive from the features, or None where they are data of their own.
        lineage: Set on retained data.
        name: For reports.
        node_names: What the nodes were called where the graph came from, or None; not part of the digest.
        node_data: Further tables with one row per node, by the names that models ask for (``node_type``, ``pos``): dead rows are
            NaN, or 0 where the table holds integers.
        edge_data: Tables with one row per entry of ``edge_index``, in its order (``edge_weight``, ``edge_attr``, ``edge_type``,
            ``edge_time``).
        part: Set where this is a part of a larger graph, see :func:`~graphforget.graphs.take_part`.
    """

    edge_index: Tensor
    num_nodes: int
    x: Tensor | None
    y: Tensor | None
    undirected: bool
    splits: Mapping[str, Tensor]
    alive: Tensor
    num_classes: int = 0
    edge_rule: EdgeRule | None = None
    lineage: Lineage | None = field(default=None, repr=False)
    name: str = "graph"
    node_names: tuple[Any, ...] | None = field(default=None, repr=False)
    part: Part | None = field(default=None, repr=False)
    node_data: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    edge_data: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def create(
        cls,
        edge_index: Tensor | None,
        num_nodes: int,
        *,
        x: Tensor | None = None,
        y: Tensor | None = None,
        undirected: bool | None = None,
        splits: Mapping[str, Tensor] | None = None,
        alive: Tensor | None = None,
        num_classes: int | None = None,
        edge_rule: EdgeRule | None = None,
        name: str = "graph",
        node_names: tuple[Any, ...] | None = None,
        node_data: Mapping[str, Any] | None = None,
        edge_data: Mapping[str, Any] | None = None,
    ) -> GraphData:
        """A checked graph.

        Args:
            edge_index: [2, E] integers; None where ``edge_rule`` makes the edges.
            num_nodes: Number of nodes.
            x: [N, F] real numbers, dense or sparse.
            y: [N] integer labels, -1 where there is none; or targets of regression [N] or [N, d] (real numbers, NaN where there
                is none) or of several labels [N, L] (0 or 1), which stand in ``node_data["target"]`` and not in ``y``.
            undirected: Found out from the edges where not given: True when every edge has its reverse.
            splits: See the class.
            alive: [N] bool; by default every node is alive.
            num_classes: By default the largest label plus one.
            edge_rule: Makes the edges from x.
            name: For reports.
            node_names: N names.
            node_data: Further tables by name, [N, ...] each.
            edge_data: Tables by name, [E, ...] each, in the order of ``edge_index``; an undirected edge has a row per direction.

        Raises:
            InputError: Anything that does not fit; the sentence names the offending ids, shape or type.

        Example:
            >>> data = GraphData.create(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), 3, x=torch.eye(3))
            >>> data.undirected, data.pairs().tolist()
            (True, [[0, 1], [1, 2]])
        """
        num_nodes = checked_count(num_nodes)
        alive = torch.ones(num_nodes, dtype=torch.bool) if alive is None else checked_mask(alive, num_nodes)
        x = None if x is None else as_features(x, num_nodes, alive)
        if edge_rule is not None:
            if x is None or edge_index is not None:
                raise InputError("a graph with an edge_rule makes its edges from x: give x, and edge_index=None.")
            edge_index = edge_rule.build(x, alive)
        elif edge_index is None:
            raise InputError("edge_index is missing: give an integer tensor of shape [2, E], or an edge_rule.")
        if y is not None and holds_targets(y):
            node_data, y = {**(node_data or {}), TARGET: y.float()}, None
        attached = checked_tables(edge_data, edge_index.size(1) if edge_data else 0, "edge")
        if attached:
            if edge_rule is not None:
                raise InputError("edges that an edge_rule makes come and go with the features: they cannot have edge_data.")
            order = entry_order(edge_index.detach().cpu().long(), num_nodes)
            edge_index, attached = edge_index.detach().cpu()[:, order], take_tables(attached, order)
        edge_index = checked_edges(edge_index, num_nodes, alive)
        undirected = checked_direction(edge_index, num_nodes, undirected)
        labels, classes = checked_labels(y, num_nodes, num_classes)
        if node_names is not None and len(node_names) != num_nodes:
            raise InputError(f"node_names has {len(node_names)} entries but the graph has {num_nodes} nodes.")
        clean = checked_splits(splits or {}, num_nodes, alive, edge_index, undirected)
        if labels is not None and "train" in clean and bool((labels[clean["train"]] < 0).any()):
            bare = clean["train"][labels[clean["train"]] < 0]
            raise InputError(f"training nodes {show_ids(bare)} have no label: leave them out of splits['train'].")
        return cls(
            edge_index,
            num_nodes,
            x,
            labels,
            undirected,
            clean,
            alive,
            classes,
            edge_rule,
            None,
            name,
            node_names,
            node_data={n: empty_table(table, ~alive) for n, table in checked_tables(node_data, num_nodes, "node").items()},
            edge_data=attached,
        )

    # ---- what follows from the content, kept with it -------------------------------------------------------
    def digest(self) -> str:
        """Content digest (sha256) of edges, features, labels, splits and liveness; names are not part of it."""
        # x, y and tables may share memory with the caller's tensors: the version tells whether they were written to since.
        tables = (*self.node_data.values(), *self.edge_data.values())
        return shared.get(
            self,
            "digest",
            (self.edge_index, self.x, self.y, *tables),
            lambda: content_digest(
                "graph",
                self.num_nodes,
                self.edge_index,
                self.x,
                self.y,
                self.undirected,
                dict(self.splits),
                self.alive,
                self.num_classes,
                repr(self.edge_rule),
                *(() if self.part is None else (self.part.ids, self.part.core, self.part.degree, self.part.pairs)),
                *(("tables", dict(self.node_data), dict(self.edge_data)) if tables else ()),
            ),
        )

    def __repr__(self) -> str:
        width = "no" if self.x is None else self.x.size(1)
        kind = "undirected" if self.undirected else "directed"
        dead = int((~self.alive).sum())
        parts = ", ".join(f"{name} {len(ids):,}" for name, ids in self.splits.items())
        return (
            f"GraphData({self.name}: {self.num_nodes:,} nodes{f' ({dead:,} forgotten)' if dead else ''}, "
            f"{self.edge_index.size(1):,} {kind} edge entries, {width} features, "
            f"{self.num_classes} classes; {parts or 'no splits'})"
        )

    @property
    def lookup(self) -> EdgeLookup:
        """What is derived from the edges, kept until ``edge_index`` is written to in place."""
        made = partial(EdgeLookup, self.edge_index, self.num_nodes, self.undirected, self.part)
        return shared.get(self, "lookup", (self.edge_index,), made)

    def share_lookup(self, other: GraphData) -> None:
        """Take over what another container keeps of the very same edges; ``self`` is the whole of ``other`` read as a part."""
        part = self.part
        assert part is not None and self.edge_index is other.edge_index
        shared.get(self, "lookup", (self.edge_index,), lambda: other.lookup.in_part(part))

    def pairs(self) -> Tensor:
        """The edges as example ids, [m, 2]: unique, sorted, u < v where undirected. Self-loops are no examples.

        Of a part, those between core nodes.
        """
        return self.lookup.examples

    def keys(self, pairs: Tensor) -> Tensor:
        """One integer per pair of nodes [n, 2], see :mod:`graphforget.requests.keys`; [n]."""
        return row_keys(pairs, (self.num_nodes, self.num_nodes))

    @property
    def neighbours(self) -> tuple[Tensor, Tensor]:
        """CSR of the graph read in both directions: ``rowptr`` [N + 1] and ``col``, without duplicates."""
        return self.lookup.adjacent.rowptr, self.lookup.adjacent.col

    @property
    def incoming(self) -> SparseGraph:
        """Where messages come from: row i holds the sources of the entries that point to node i."""
        return self.lookup.incoming

    def connected(self, pairs: Tensor) -> Tensor:
        """Which pairs [n, 2] an edge connects, in either direction, [n] bool; the work follows the pairs."""
        return contains(self.lookup.keys, self.keys(pairs)) | contains(self.lookup.keys, self.keys(pairs.flip(1)))

    # ---- own names ----------------------------------------------------------------------------------------
    def node_ids(self, names: Any) -> Tensor:
        """Ids of nodes by their own names, [n] in the order of the names.

        Args:
            names: One name or several; a whole number is the name that is written so.

        Raises:
            InputError: Nodes have no names here, or not these; the nearest are listed.

        Example:
            >>> data = GraphData.create(torch.tensor([[0], [1]]), 2, node_names=("ann", "bob"))
            >>> data.node_ids("bob").tolist()
            [1]
        """
        return self._own_names.positions(as_names(names, "node"))

    @cached_property
    def _own_names(self) -> OwnNames:
        first = self if self.lineage is None else self.lineage.data
        names = None if first.node_names is None else tuple("" if name is None else str(name) for name in first.node_names)
        return OwnNames("node", names, self.num_nodes, self.name)

    def names_of(self, pairs: Tensor) -> tuple[tuple[str, str], ...]:
        """Names of the ends of some pairs [n, 2]; () where nodes have none."""
        if self.part is not None or self._own_names.names is None:
            return ()
        return tuple(zip(self._own_names.of(pairs[:, 0]), self._own_names.of(pairs[:, 1]), strict=True))

    def resolved(self, request: DeletionRequest) -> DeletionRequest:
        """The request with ids for names, and with the names of all nodes that it asks for.

        Raises:
            InputError: Unknown names, ids that could also be names, or a boolean mask of the wrong length.
        """
        own = self._own_names
        if self.part is not None:  # ids are slots of a part there, which have no names
            return request
        return resolve_names(request, {"node": own}, {"node": ("node",), "node_feature": ("node",), "edge": ("node", "node")})

    def with_lineage(self, lineage: Lineage | None) -> GraphData:
        """The same graph with another history."""
        return replace(self, lineage=lineage)
