"""What is worked out once from the edges of a graph and kept with it: sorted keys, pairs, neighbour lists.

The edges are sorted, so nearly everything is read off them without another sort. A deletion looks its edges up here, and so pays
for what it touches and not for the graph.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from graphforget.graphs.edge_index import neighbour_lists
from graphforget.graphs.part import Part
from graphforget.kernels import SparseGraph
from graphforget.kernels.csr import offsets, spans
from graphforget.requests.keys import ascending, canonical_pairs, column_keys, key_columns, row_keys


class EdgeLookup:
    """Structures derived from ``edge_index``, each made when first asked for.

    Args:
        edge_index: [2, E] int64.
        num_nodes: N.
        undirected: Whether (u, v) and (v, u) are one edge.
        part: Set for a part of a graph.
    """

    def __init__(self, edge_index: Tensor, num_nodes: int, undirected: bool, part: Part | None = None) -> None:
        self.edge_index, self.num_nodes, self.undirected, self.part = edge_index, num_nodes, undirected, part
        self._sizes = (num_nodes, num_nodes)
        # A part of an undirected graph lacks the reverse of some entries.
        self.symmetric = undirected and (part is None or part.whole)

    def in_part(self, part: Part) -> EdgeLookup:
        """The same structures for the whole graph read as a part."""
        other = EdgeLookup(self.edge_index, self.num_nodes, self.undirected, part)
        for name, value in self.__dict__.items():
            if name not in ("part", "examples", "example_keys"):
                other.__dict__[name] = value
        return other

    @cached_property
    def _raw(self) -> Tensor:
        return column_keys(self.edge_index, self._sizes)

    @cached_property
    def in_order(self) -> bool:
        """Whether the entries are sorted by source, then target: so made, but an edit in place may have moved them."""
        return bool((self._raw[1:] >= self._raw[:-1]).all())

    @cached_property
    def simple(self) -> bool:
        """Whether the entries are sorted and no edge is listed twice."""
        return bool((self._raw[1:] > self._raw[:-1]).all())

    @cached_property
    def keys(self) -> Tensor:
        """``source * N + target`` of every entry, ascending, [E]."""
        return self._raw if self.in_order else ascending(self._raw)

    @cached_property
    def pairs(self) -> Tensor:
        """Edges as example ids: unique, sorted, u < v where undirected, no self-loops, [m, 2]."""
        source, target = self.edge_index
        if self.simple and (self.symmetric or not self.undirected):
            inside = source < target if self.undirected else source != target
            return self.edge_index[:, inside].t().contiguous()
        pairs = canonical_pairs(self.edge_index.t(), self.undirected, self.num_nodes)
        return pairs[pairs[:, 0] != pairs[:, 1]]

    @cached_property
    def examples(self) -> Tensor:
        """:attr:`pairs`; of a part, those between core nodes."""
        if self.part is None:
            return self.pairs
        inside = self.pairs[self.part.core[self.pairs].all(1)]
        if self.part.pairs is None:
            return inside
        return canonical_pairs(torch.cat([inside, self.part.pairs]), self.undirected, self.num_nodes)

    @cached_property
    def example_keys(self) -> Tensor:
        """Keys of :attr:`examples`, ascending, [m]."""
        return row_keys(self.examples, self._sizes)

    @cached_property
    def adjacent(self) -> SparseGraph:
        """The graph read in both directions, without copies."""
        if self.simple and self.symmetric:
            return self._by_source
        return SparseGraph(*neighbour_lists(self.edge_index, self.num_nodes))

    @cached_property
    def incoming(self) -> SparseGraph:
        """Rows are targets, columns sources: where messages come from. Copies of an edge stay."""
        if self.simple and self.symmetric:
            return self._by_source
        target, source = key_columns(ascending(column_keys(self.edge_index.flip(0), self._sizes)), self._sizes)
        return SparseGraph(offsets(torch.bincount(target, minlength=self.num_nodes)), source)

    @cached_property
    def _by_source(self) -> SparseGraph:
        # Where every edge has its reverse, the lists of targets by source are the lists of sources by target.
        return SparseGraph(offsets(torch.bincount(self.edge_index[0], minlength=self.num_nodes)), self.edge_index[1])

    @cached_property
    def loop_entries(self) -> Tensor:
        """Positions of the self-loops in :attr:`incoming`, ascending."""
        source, target = self.edge_index
        if not bool((source == target).any()):
            return torch.empty(0, dtype=torch.long)
        return (self.incoming.row == self.incoming.col).nonzero().view(-1)

    @cached_property
    def incoming_entries(self) -> Tensor:
        """Position in ``edge_index`` of every entry of :attr:`incoming`, [E].

        In an undirected graph, entry e of ``edge_index`` is the reverse of the e-th of these.
        """
        return torch.argsort(column_keys(self.edge_index.flip(0), self._sizes), stable=True)

    @cached_property
    def incoming_keys(self) -> Tensor:
        """``target * N + source`` of every entry of :attr:`incoming`, ascending, [E]."""
        if self.simple and self.symmetric:
            return self.keys
        return column_keys((self.incoming.row, self.incoming.col), self._sizes)


def places(ordered: Tensor, keys: Tensor) -> Tensor:
    """Positions of all copies of some keys among ascending ones."""
    first = torch.searchsorted(ordered, keys)
    return spans(first, offsets(torch.searchsorted(ordered, keys, right=True) - first))
