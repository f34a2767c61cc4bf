"""Deletions as pure functions from graph to graph: ids never move, the input is never changed.

Whatever is incident to a forgotten node goes with it: edges in both directions, all copies, self-loops, split entries, features
and label. Node requests of one family of public code removed the wrong edges by using positions of the u < v half as positions in
the full edge list, and kept more than half of what they should have deleted; here edges are matched by content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from graphforget.base.tables import empty_table, take_tables
from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.graphs.edge_index import entry_order
from graphforget.graphs.edge_lookup import places
from graphforget.graphs.features import empty_rows, zero_entries
from graphforget.graphs.subgraph import induced_subgraph
from graphforget.requests import as_ids, show_ids
from graphforget.requests.keys import canonical_pairs, contains


def remove_edges(data: GraphData, pairs: Any) -> GraphData:
    """The graph without some edges: every copy, and both directions where it is undirected; out of every split as well.

    Args:
        data: The graph.
        pairs: [n, 2] edges, in any direction where the graph is undirected.

    Raises:
        InputError: Unknown nodes or edges, or edges that derive from features and would come back.

    Example:
        >>> triangle = GraphData.create(torch.tensor([[0, 1, 1, 2, 0, 2], [1, 0, 2, 1, 2, 0]]), 3)
        >>> remove_edges(triangle, [[1, 0]]).pairs().tolist()
        [[0, 2], [1, 2]]
    """
    if data.edge_rule is not None:
        raise InputError(
            f"the edges of '{data.name}' derive from its features, so a removed one would come back: "
            f"remove nodes or features instead."
        )
    asked = as_ids(pairs, "edge")
    _known(data, torch.unique(asked))
    rows, lookup, splits = canonical_pairs(asked, data.undirected, data.num_nodes), data.lookup, dict(data.splits)
    keys = data.keys(rows)
    both = torch.cat([keys, data.keys(rows.flip(1))]) if data.undirected else keys
    known = contains(lookup.keys, both).view(-1, len(keys)).any(0)
    for part, held in data.splits.items():
        if held.dim() == 2 and not part.endswith("_neg"):
            of_split = data.keys(held)
            splits[part] = held[~contains(keys, of_split)]
            known |= torch.isin(keys, of_split)
    if data.part is not None and data.part.pairs is not None:
        known |= torch.isin(keys, data.keys(data.part.pairs))
    if not bool(known.all()):
        raise InputError(f"unknown edges {show_ids(rows[~known])}: they are not in the graph.")
    if not lookup.in_order:  # written to in place since: what follows counts on the order
        order = entry_order(data.edge_index, data.num_nodes)
        data = replace(data, edge_index=data.edge_index[:, order], edge_data=take_tables(data.edge_data, order))
    keep = torch.ones(data.edge_index.size(1), dtype=torch.bool)
    keep[places(lookup.keys, torch.unique(both))] = False
    return replace(data, splits=splits, **_without(data, keep, lambda pairs: ~contains(keys, data.keys(pairs))))


def remove_nodes(data: GraphData, ids: Any, *, keep_content: bool = False) -> GraphData:
    """The graph without some nodes; their slots stay.

    All incident edges go. Then either everything goes (features NaN, or an empty row where sparse; label -1; name None; out of
    every split; not alive), or, with ``keep_content``, nothing else does: the *unlinked* state, in which a forgotten node can
    still be read but reaches nobody. Edges that derive from features are rebuilt among the other nodes; an unlinked graph keeps
    them as they then are and has no ``edge_rule`` any more.

    Args:
        data: The graph.
        ids: Node ids [n] or a boolean mask [N].
        keep_content: Make the unlinked state.

    Raises:
        InputError: Unknown or already forgotten nodes.

    Example:
        >>> star = GraphData.create(torch.tensor([[0, 0, 1, 2], [1, 2, 0, 0]]), 3)
        >>> remove_nodes(star, [0]).edge_index.size(1)
        0
    """
    nodes = as_ids(ids, "node")
    _known(data, nodes)
    gone = torch.zeros(data.num_nodes, dtype=torch.bool)
    gone[nodes] = True
    rest = _without(data, ~gone[data.edge_index].any(0), lambda pairs: ~gone[pairs].any(1))
    edges = rest["edge_index"]
    if data.edge_rule is not None:
        assert data.x is not None
        edges = data.edge_rule.build(data.x, data.alive & ~gone)
    part = rest.get("part")
    if part is not None:  # entries that were not read go as well
        part = replace(part, degree=part.degree.masked_fill(gone, 0))
    if keep_content:
        return replace(data, **rest | {"edge_index": edges, "edge_rule": None, "part": part})
    splits = {part: rows[~(gone[rows] if rows.dim() == 1 else gone[rows].any(1))] for part, rows in data.splits.items()}
    names = data.node_names
    if names is not None:  # a name is content too
        names = tuple(None if dead else name for name, dead in zip(names, gone.tolist()))
    return replace(
        data,
        node_names=names,
        edge_index=edges,
        edge_data=rest["edge_data"],
        node_data={name: empty_table(table, gone) for name, table in data.node_data.items()},
        x=None if data.x is None else empty_rows(data.x, gone),
        y=None if data.y is None else data.y.masked_fill(gone, -1),
        splits=splits,
        alive=data.alive & ~gone,
        part=part,
    )


def remove_features(data: GraphData, ids: Any, columns: Sequence[int] = ()) -> GraphData:
    """The graph with features of some nodes set to zero; nodes and edges stay, edges that derive from features are rebuilt.

    Args:
        data: The graph.
        ids: Node ids [n] or a boolean mask [N].
        columns: Feature columns; all of them where empty.

    Raises:
        InputError: No features, unknown columns, unknown or already forgotten nodes.

    Example:
        >>> data = GraphData.create(torch.empty(2, 0, dtype=torch.long), 2, x=torch.ones(2, 3))
        >>> remove_features(data, [1], columns=[0, 2]).x.tolist()
        [[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if data.x is None:
        raise InputError("the graph has no node features x, so none can be removed.")
    nodes = as_ids(ids, "node")
    _known(data, nodes)
    unknown = [c for c in columns if not 0 <= c < data.x.size(1)]
    if unknown:
        raise InputError(f"unknown feature columns {unknown[:5]}: x has columns 0 to {data.x.size(1) - 1}.")
    x = zero_entries(data.x, nodes, columns)
    edges = data.edge_index if data.edge_rule is None else data.edge_rule.build(x, data.alive)
    return replace(data, x=x, edge_index=edges)


def compact(data: GraphData) -> tuple[GraphData, Tensor]:
    """A re-indexed copy with live nodes only, and the map from old ids to new ones.

    Returns:
        The compact graph (without lineage, whose ids are the old ones), and [N] int64, -1 for dead nodes.

    Example:
        >>> path = GraphData.create(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), 3)
        >>> small, position = compact(remove_nodes(path, [0]))
        >>> small.pairs().tolist(), position.tolist()
        ([[0, 1]], [-1, 0, 1])
    """
    part = induced_subgraph(data, data.alive)
    return replace(part.data, edge_rule=data.edge_rule), part.position


def _without(data: GraphData, keep: Tensor, stays: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """Fields of the graph with only the entries in ``keep`` [E] bool; of a part, degrees and listed pairs follow."""
    fields: dict[str, Any] = {"edge_index": data.edge_index[:, keep], "edge_data": take_tables(data.edge_data, keep)}
    if data.part is not None:
        less = torch.bincount(data.edge_index[1, ~keep], minlength=data.num_nodes)
        pairs = data.part.pairs
        fields["part"] = replace(data.part, degree=data.part.degree - less, pairs=None if pairs is None else pairs[stays(pairs)])
    return fields


def _known(data: GraphData, ids: Tensor) -> None:
    unknown = ids[ids >= data.num_nodes]
    if len(unknown):
        raise InputError(f"unknown nodes {show_ids(unknown)}: the graph has nodes 0 to {data.num_nodes - 1}.")
    if not bool(data.alive[ids].all()):
        raise InputError(f"nodes {show_ids(ids[~data.alive[ids]])} are already forgotten.")
