"""How far a deletion reaches: k-hop regions by frontier expansion, and induced subgraphs.

Regions are undirected: edges are followed in both directions, whatever the direction messages take. Following the u < v half of
an edge list only, as one public release does, misses most of the true region.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.graphs.features import take_rows
from graphforget.graphs.pairs import neighbour_lists
from graphforget.kernels import SparseGraph
from graphforget.kernels.csr import slices
from graphforget.kernels.sampling import expand
from graphforget.requests import show_ids


def hop_distance(graph: GraphData | Tensor, seeds: Any, max_hops: int | None = None, num_nodes: int | None = None) -> Tensor:
    """Number of hops from the nearest seed.

    The work follows the edges of the region, not those of the graph: neighbour lists are made once per graph.

    Args:
        graph: A graph, or an ``edge_index`` [2, E] (then ``num_nodes`` is needed).
        seeds: Node ids [n] or a boolean mask [N].
        max_hops: Where to stop; by default not before every reachable node is reached.
        num_nodes: Number of nodes, for an ``edge_index``.

    Returns:
        [N] int64; 0 at seeds, -1 where no seed is within ``max_hops``.

    Raises:
        InputError: Unknown seeds, a negative number of hops, or ``num_nodes`` missing.

    Example:
        >>> hop_distance(torch.tensor([[0, 1, 2], [1, 2, 3]]), [1], max_hops=1, num_nodes=4).tolist()
        [1, 0, 1, -1]
    """
    rowptr, col, count = _lists(graph, num_nodes)
    if max_hops is not None and max_hops < 0:
        raise InputError(f"the number of hops must be 0 or more, got {max_hops}.")
    frontier = _seeds(seeds, count)
    distance = torch.full((count,), -1, dtype=torch.long)
    distance[frontier] = 0
    hops = 0
    while len(frontier) and (max_hops is None or hops < max_hops):
        hops += 1
        found = col[slices(rowptr, frontier)[1]]
        frontier = torch.unique(found[distance[found] < 0])
        distance[frontier] = hops
    return distance


def k_hop(graph: GraphData | Tensor, seeds: Any, num_hops: int, num_nodes: int | None = None) -> Tensor:
    """Nodes within ``num_hops`` of a seed, seeds included, [N] bool; arguments as in :func:`hop_distance`.

    Example:
        >>> k_hop(torch.tensor([[0, 1, 2], [1, 2, 3]]), [3], 1, num_nodes=4).tolist()
        [False, False, True, True]
    """
    if num_hops < 0:
        raise InputError(f"the number of hops must be 0 or more, got {num_hops}.")
    around = graph.kept.adjacent if isinstance(graph, GraphData) else SparseGraph(*_lists(graph, num_nodes)[:2])
    reached = torch.zeros(around.num_rows, dtype=torch.bool)
    for found in expand(around, _seeds(seeds, around.num_rows), num_hops).nodes:
        reached[found] = True
    return reached


@dataclass(frozen=True, eq=False)
class Subgraph:
    """An induced subgraph and the way back.

    Attributes:
        data: The subgraph; its node i is ``ids[i]`` of the graph it comes from.
        ids: [n] int64, ascending.
        position: [N] int64: new id of every old one, -1 where it is not in the subgraph.
    """

    data: GraphData
    ids: Tensor
    position: Tensor


def induced_subgraph(data: GraphData, nodes: Any) -> Subgraph:
    """The subgraph of some nodes: edges, split nodes and split pairs with every end inside, re-indexed.

    Edges that derive from features stay as they are in the whole graph, so the subgraph has no ``edge_rule``.

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
    ids = _seeds(nodes, data.num_nodes)
    if not len(ids):
        raise InputError("a subgraph needs at least one node.")
    position = torch.full((data.num_nodes,), -1, dtype=torch.long)
    position[ids] = torch.arange(len(ids))
    edges = position[data.edge_index]
    edges = edges[:, (edges >= 0).all(0)]
    splits = {}
    for part, rows in data.splits.items():
        moved = position[rows]
        splits[part] = moved[moved >= 0] if moved.dim() == 1 else moved[(moved >= 0).all(1)]
    names = None if data.node_names is None else tuple(data.node_names[i] for i in ids.tolist())
    part_data = replace(
        data,
        edge_index=edges,
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
    return Subgraph(part_data, ids, position)


def _lists(graph: GraphData | Tensor, num_nodes: int | None) -> tuple[Tensor, Tensor, int]:
    if isinstance(graph, GraphData):
        return (*graph.neighbours, graph.num_nodes)
    if num_nodes is None:
        raise InputError("num_nodes is needed beside an edge_index.")
    return (*neighbour_lists(graph, num_nodes), num_nodes)


def _seeds(seeds: Any, num_nodes: int) -> Tensor:
    ids = torch.as_tensor(seeds)
    if ids.dtype == torch.bool:
        if tuple(ids.shape) != (num_nodes,):
            raise InputError(f"a mask of nodes must have shape [{num_nodes}], got {list(ids.shape)}.")
        return ids.nonzero().view(-1)
    if ids.numel() and (ids.is_floating_point() or ids.is_complex()):
        raise InputError(f"node ids must be integers, got dtype {str(ids.dtype).removeprefix('torch.')}.")
    ids = torch.unique(ids.long())
    unknown = ids[(ids < 0) | (ids >= num_nodes)]
    if len(unknown):
        raise InputError(f"unknown nodes {show_ids(unknown)}: the graph has nodes 0 to {num_nodes - 1}.")
    return ids
