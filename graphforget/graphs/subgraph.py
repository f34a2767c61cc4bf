"""Parts of a graph as graphs of their own: what some outputs are computed from (a part), or some nodes and no others (induced).

What a deletion changes lies within L hops of its ends, L being the number of message-passing layers; computing those rows exactly
reads what lies within L hops of *them*, 2L in all. :func:`take_part` takes just that, re-indexed, with the degrees of the whole
graph, so that a model gives the same outputs and the same gradients on its core rows as on the whole graph. The work follows the
part. :func:`induced_subgraph` looks at every edge, knows no degrees but its own, and serves any model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphforget.base.tables import take_tables
from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.graphs.edge_index import entry_order, sorted_edges
from graphforget.graphs.features import take_rows
from graphforget.graphs.hops import node_ids
from graphforget.graphs.part import Part
from graphforget.kernels.sampling import Expansion, expand
from graphforget.requests.keys import canonical_pairs, distinct


def take_part(
    data: GraphData,
    core: Tensor,
    hops: int,
    *,
    fanout: int | Sequence[int] | None = None,
    sampled: Tensor | None = None,
    sampled_fanout: int = 5,
    pairs: Tensor | None = None,
    force: Tensor | None = None,
    generator: torch.Generator | None = None,
    whole_from: float | None = None,
    mirror: bool = False,
) -> GraphData:
    """The part of a graph in which some nodes can be computed by a model of ``hops`` layers.

    It holds the core, everything from which messages reach it within ``hops`` steps, and the incoming entries of all rows up to
    one step before. A model that normalises with the degrees of the whole graph (``Part.degree``), as ours do, is exact on the
    core; one that counts degrees in ``edge_index`` needs one hop more.

    Args:
        data: The graph; a part of a part has the ids of the whole graph.
        core: Node ids [n].
        hops: Number of message-passing steps.
        fanout: At most so many incoming entries per row, drawn uniformly without replacement (an approximation), one number or
            one per hop; None: all.
        sampled: Further core nodes, read with at most ``sampled_fanout`` entries per row where a row is not read anyway.
        sampled_fanout: See ``sampled``.
        pairs: Examples to list although the part may not hold their entries, [m, 2]; both ends must be core or sampled.
        force: Positions in ``data.incoming`` of entries which a row that is read must hold, drawn or not.
        generator: CPU generator of the draws.
        whole_from: From this share of the entries on, read the whole graph: taking most of it costs more than it saves.
        mirror: In an undirected graph, list every entry in both directions, for a model that reads edges against their
            direction or counts degrees of sources.

    Returns:
        A graph with ``part`` set; features, labels, liveness and splits are those of its slots (splits: of its core).

    Raises:
        InputError: No node to read, unknown nodes, or a bad number of hops or fan-out; or ``mirror`` in a part of a part with
            ``edge_data``.

    Example:
        >>> path = GraphData.create(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]), 5)
        >>> small = take_part(path, torch.tensor([4]), hops=2)
        >>> small.part.ids.tolist(), small.edge_index.tolist(), small.part.degree.tolist()
        ([2, 3, 4], [[0, 1], [1, 2]], [1, 1, 1])
    """
    if hops < 0:
        raise InputError(f"the number of hops must be 0 or more, got {hops}.")
    core = distinct(core)
    also = core[:0] if sampled is None else distinct(sampled)
    if not len(core) and not len(also):
        raise InputError("a part of a graph needs at least one node.")
    graph, steps = data.incoming, max(hops, 1)  # the core's own rows are read in any case: they hold its examples
    limit = None if whole_from is None or data.part is not None else whole_from * graph.num_edges
    if limit is not None and int((graph.rowptr[core + 1] - graph.rowptr[core]).sum()) > limit:
        return _whole(data, torch.cat([core, also]))
    exact = expand(graph, core, steps, fanout, generator)
    rows, counts, entries = _read(exact)
    if limit is not None and len(entries) > limit:
        return _whole(data, torch.cat([core, also]))
    seen = torch.zeros(data.num_nodes, dtype=torch.bool)
    seen[torch.cat(exact.nodes)] = True
    if len(also):
        loose = expand(graph, also, steps, sampled_fanout, generator)
        read = torch.zeros(data.num_nodes, dtype=torch.bool)
        read[rows] = True
        seen[torch.cat(loose.nodes)] = True
        more, sizes, picked = _read(loose)
        new = ~read[more]
        rows, counts = torch.cat([rows, more[new]]), torch.cat([counts, sizes[new]])
        entries = torch.cat([entries, picked[torch.repeat_interleave(new, sizes)]])
    extra = _undrawn(data, rows, seen, force if fanout is not None else None)
    if len(extra):
        entries = distinct(torch.cat([entries, extra]))
        target = graph.row[entries]
        seen[graph.col[extra]] = True
    else:
        target = torch.repeat_interleave(rows, counts)
    ids = seen.nonzero().view(-1)
    position = torch.empty(data.num_nodes, dtype=torch.long)  # filled and read at ids only: the rest costs nothing
    position[ids] = torch.arange(len(ids))
    is_core = torch.zeros(len(ids), dtype=torch.bool)
    is_core[position[core]] = True
    is_core[position[also]] = True
    outer = data.part
    part = Part(
        ids=ids if outer is None else outer.ids[ids],
        core=is_core,
        degree=graph.rowptr[ids + 1] - graph.rowptr[ids] if outer is None else outer.degree[ids],
        num_nodes=data.num_nodes if outer is None else outer.num_nodes,
        num_entries=graph.num_edges if outer is None else outer.num_entries,
        pairs=None if pairs is None else canonical_pairs(position[pairs], data.undirected, len(ids)),
    )
    source = graph.col[entries]
    listed = data.lookup.incoming_entries[entries] if data.edge_data else entries
    if mirror and data.undirected and data.edge_data and not data.lookup.symmetric:
        raise InputError(
            "a part of a part does not hold both directions of every edge, and so not their edge data: use scope='full', or no "
            "eval_batch_size."
        )
    if mirror and data.undirected:  # rows that were read have both directions already
        lone = torch.ones(data.num_nodes, dtype=torch.bool)
        lone[rows] = False
        lone = lone[source]
        source, target = torch.cat([source, target[lone]]), torch.cat([target, source[lone]])
        listed = torch.cat([listed, entries[lone]])  # the reverse of an incoming entry is the entry at its own position
    edges, attached = torch.stack([position[source], position[target]]), dict(data.edge_data)
    if attached:
        order = entry_order(edges, len(ids))
        edges, attached = edges[:, order], take_tables(attached, listed[order])
    else:
        edges = sorted_edges(edges, len(ids))
    return replace(
        data,
        edge_index=edges,
        edge_data=attached,
        node_data=take_tables(data.node_data, ids),
        num_nodes=len(ids),
        x=None if data.x is None else take_rows(data.x, ids),
        y=None if data.y is None else data.y[ids],
        splits={name: _held(rows, seen, ids, position, is_core) for name, rows in data.splits.items()},
        alive=data.alive[ids],
        edge_rule=None,
        lineage=None,
        node_names=None,
        part=part,
    )


def _whole(data: GraphData, core: Tensor) -> GraphData:
    ids, graph = torch.arange(data.num_nodes), data.incoming
    is_core = torch.zeros(data.num_nodes, dtype=torch.bool)
    is_core[core] = True
    part = Part(ids, is_core, graph.degree(), data.num_nodes, graph.num_edges, whole=True)
    splits = {name: _held(rows, torch.ones_like(is_core), ids, ids, is_core) for name, rows in data.splits.items()}
    made = replace(data, splits=splits, edge_rule=None, lineage=None, part=part)
    made.share_lookup(data)
    return made


def _read(found: Expansion) -> tuple[Tensor, Tensor, Tensor]:
    """Rows that were read, the number of entries of each, and the entries in that order."""
    return torch.cat(found.nodes[:-1]), torch.cat([ptr.diff() for ptr in found.ptr]), torch.cat(found.entries)


def _undrawn(data: GraphData, rows: Tensor, seen: Tensor, force: Tensor | None) -> Tensor:
    """Entries to hold whatever was drawn: self-loops (normalisation counts degrees without them), and those of ``force``."""
    graph, extra = data.incoming, [rows[:0]]
    if len(data.lookup.loop_entries):
        extra.append(data.lookup.loop_entries[seen[graph.col[data.lookup.loop_entries]]])
    if force is not None and len(force):
        read = torch.zeros(data.num_nodes, dtype=torch.bool)
        read[rows] = True
        extra.append(force[read[graph.row[force]]])
    return torch.cat(extra)


def _held(rows: Tensor, seen: Tensor, ids: Tensor, position: Tensor, is_core: Tensor) -> Tensor:
    """Entries of a split of which every end is in the core, as slots."""
    if rows.dim() == 1:  # both are sorted: look up the few in the many
        if not len(rows):
            return rows
        core = is_core.nonzero().view(-1)
        at = torch.searchsorted(rows, ids[core]).clamp(max=len(rows) - 1)
        return core[rows[at] == ids[core]]
    inside = rows[seen[rows].all(1)]
    moved = position[inside]
    return moved[is_core[moved].all(1)]


@dataclass(frozen=True, eq=False)
class InducedSubgraph:
    """An induced subgraph and the way back.

    Attributes:
        data: The subgraph; its node i is ``ids[i]`` of the graph it comes from.
        ids: [n] int64, ascending.
        position: [N] int64: new id of every old one, -1 where it is not in the subgraph.
    """

    data: GraphData
    ids: Tensor
    position: Tensor


def induced_subgraph(data: GraphData, nodes: Any) -> InducedSubgraph:
    """The subgraph of some nodes: edges, split nodes and split pairs with every end inside, re-indexed.

    Edges that derive from features stay as they are in the whole graph, so the subgraph has no ``edge_rule``. At its boundary
    degrees are cut; :func:`take_part` keeps those of the whole graph.

    Args:
        data: The graph.
        nodes: Node ids [n] or a boolean mask [N].

    Raises:
        InputError: Unknown nodes, or none.

    Example:
        >>> path = GraphData.create(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> part = induced_subgraph(path, [1, 2, 3])
        >>> part.data.edge_index.tolist(), part.ids.tolist()
        ([[0, 1], [1, 2]], [1, 2, 3])
    """
    ids = node_ids(nodes, data.num_nodes)
    if not len(ids):
        raise InputError("a subgraph needs at least one node.")
    position = torch.full((data.num_nodes,), -1, dtype=torch.long)
    position[ids] = torch.arange(len(ids))
    edges = position[data.edge_index]
    inside = (edges >= 0).all(0)
    edges = edges[:, inside]
    splits = {}
    for name, rows in data.splits.items():
        moved = position[rows]
        splits[name] = moved[moved >= 0] if moved.dim() == 1 else moved[(moved >= 0).all(1)]
    names = None if data.node_names is None else tuple(data.node_names[i] for i in ids.tolist())
    made = replace(
        data,
        edge_index=edges,
        edge_data=take_tables(data.edge_data, inside),
        node_data=take_tables(data.node_data, ids),
        num_nodes=len(ids),
        x=None if data.x is None else take_rows(data.x, ids),
        y=None if data.y is None else data.y[ids],
        splits=splits,
        alive=data.alive[ids],
        edge_rule=None,
        lineage=None,
        node_names=names,
        part=None,
    )
    return InducedSubgraph(made, ids, position)
