"""How far a deletion reaches: hops from some nodes, by frontier expansion.

Regions are undirected: edges are followed in both directions, whatever the direction messages take. Following the u < v half of
an edge list only, as one public release does, misses most of the true region.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.graphs.edge_index import neighbour_lists
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
    frontier = node_ids(seeds, count)
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
    around = graph.lookup.adjacent if isinstance(graph, GraphData) else SparseGraph(*_lists(graph, num_nodes)[:2])
    reached = torch.zeros(around.num_rows, dtype=torch.bool)
    for found in expand(around, node_ids(seeds, around.num_rows), num_hops).nodes:
        reached[found] = True
    return reached


def _lists(graph: GraphData | Tensor, num_nodes: int | None) -> tuple[Tensor, Tensor, int]:
    if isinstance(graph, GraphData):
        return (*graph.neighbours, graph.num_nodes)
    if num_nodes is None:
        raise InputError("num_nodes is needed beside an edge_index.")
    return (*neighbour_lists(graph, num_nodes), num_nodes)


def node_ids(nodes: Any, num_nodes: int) -> Tensor:
    """Node ids [n] or a boolean mask [N] as ascending ids, each once.

    Raises:
        InputError: No integers, a mask of another length, or unknown nodes.
    """
    ids = torch.as_tensor(nodes)
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
