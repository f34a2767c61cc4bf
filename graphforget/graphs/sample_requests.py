"""Requests drawn by rule and seed: random, hubs, near or far from the test edges, one class, communities.

Node and feature requests are drawn from training nodes (all live nodes where there is no node split), edge requests from training
edges: never from validation or test. ``size`` is a count (an integer of at least 1) or a share of all training elements (a float
between 0 and 1), also where the rule leaves fewer candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.graphs.hops import k_hop
from graphforget.requests import DeletionRequest
from graphforget.requests.draws import count_of, draw_rows


def random_edges(data: GraphData, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random training edges.

    Args:
        data: The graph.
        size: Count, or share of all training edges.
        seed: Seed of the draw.

    Raises:
        InputError: Edges that derive from features, a size that is no size, or larger than the number of candidates.

    Example:
        >>> path = GraphData.create(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> random_edges(path, 2, seed=0).summary()
        '2 edges'
    """
    pairs = _train_pairs(data)
    return DeletionRequest.edges(pairs=draw_rows(pairs, size, "training edges", seed))


def inside_edges(data: GraphData, size: int | float, *, seed: int = 0, num_hops: int = 1) -> DeletionRequest:
    """Training edges that touch the region of the test edges (IN); every training edge is either inside or outside.

    The region holds the nodes within ``num_hops`` of an end of a test edge, in the whole graph (training, validation and test
    edges), followed in both directions. Cheng et al., "GNNDelete" (ICLR 2023), distinguish IN and OUT in this sense; their
    release follows the u < v half of the edges only and so calls most inside edges OUT.

    Args:
        data: A graph with a link split.
        size: Count, or share of all training edges.
        seed: Seed of the draw.
        num_hops: Radius of the region.

    Raises:
        InputError: No test edges, or a bad size.
    """
    pairs = _train_pairs(data)
    near = _near_test(data, num_hops)[pairs].any(1)
    what = f"training edges inside the {num_hops}-hop test region"
    return DeletionRequest.edges(pairs=draw_rows(pairs[near], size, what, seed, total=len(pairs)))


def outside_edges(data: GraphData, size: int | float, *, seed: int = 0, num_hops: int = 1) -> DeletionRequest:
    """Training edges with no end in the region of the test edges (OUT); see :func:`inside_edges`."""
    pairs = _train_pairs(data)
    far = ~_near_test(data, num_hops)[pairs].any(1)
    what = f"training edges outside the {num_hops}-hop test region"
    return DeletionRequest.edges(pairs=draw_rows(pairs[far], size, what, seed, total=len(pairs)))


def hub_edges(data: GraphData, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """The training edges with the largest sum of end degrees; the seed decides ties."""
    pairs = _train_pairs(data)
    return DeletionRequest.edges(pairs=_top(pairs, _degree(data)[pairs].sum(1), size, "training edges", seed))


def community_edges(data: GraphData, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Training edges inside whole communities (Louvain), one community after the other in random order."""
    pairs = _train_pairs(data)
    label = _communities(data, seed)
    own = label[pairs[:, 0]] == label[pairs[:, 1]]
    inner = pairs[own]
    drawn = _in_order(inner, label[inner[:, 0]], size, len(pairs), "training edges inside communities", seed)
    return DeletionRequest.edges(pairs=drawn)


def random_nodes(data: GraphData, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Uniformly random training nodes.

    Example:
        >>> data = GraphData.create(torch.tensor([[0, 1], [1, 0]]), 4, splits={"train": torch.tensor([1, 3])})
        >>> random_nodes(data, 2).ids("node").tolist()
        [1, 3]
    """
    nodes = _train_nodes(data)
    return DeletionRequest.nodes(draw_rows(nodes, size, "training nodes", seed))


def hub_nodes(data: GraphData, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """The training nodes with most neighbours; the seed decides ties."""
    nodes = _train_nodes(data)
    return DeletionRequest.nodes(_top(nodes, _degree(data)[nodes], size, "training nodes", seed))


def class_nodes(data: GraphData, size: int | float, *, label: int, seed: int = 0) -> DeletionRequest:
    """Random training nodes of one class; for the whole class use ``DeletionRequest.node_classes([label])``."""
    if data.y is None:
        raise InputError("the graph has no labels y, so nodes of a class cannot be drawn.")
    nodes = _train_nodes(data)
    own = nodes[data.y[nodes] == label]
    return DeletionRequest.nodes(draw_rows(own, size, f"training nodes of class {label}", seed, total=len(nodes)))


def community_nodes(data: GraphData, size: int | float, *, seed: int = 0) -> DeletionRequest:
    """Training nodes of whole communities (Louvain), one community after the other in random order."""
    nodes = _train_nodes(data)
    return DeletionRequest.nodes(_in_order(nodes, _communities(data, seed)[nodes], size, len(nodes), "training nodes", seed))


def random_node_features(data: GraphData, size: int | float, *, columns: Sequence[int] = (), seed: int = 0) -> DeletionRequest:
    """Features (all columns, or some) of uniformly random training nodes."""
    if data.x is None:
        raise InputError("the graph has no node features x, so none can be drawn.")
    nodes = _train_nodes(data)
    return DeletionRequest.node_features(draw_rows(nodes, size, "training nodes", seed), columns)


# ---- candidates and draws --------------------------------------------------------------------------------------
def _train_pairs(data: GraphData) -> Tensor:
    if data.edge_rule is not None:
        raise InputError(
            f"the edges of '{data.name}' derive from its features, so single edges cannot be forgotten: "
            f"draw nodes or features instead."
        )
    return data.pairs()


def _train_nodes(data: GraphData) -> Tensor:
    return data.splits["train"] if "train" in data.splits else data.alive.nonzero().view(-1)


def _top(rows: Tensor, score: Tensor, size: int | float, what: str, seed: int) -> Tensor:
    count = count_of(size, len(rows), len(rows), what)
    order = torch.randperm(len(rows), generator=seeds.generator(seed))
    return rows[order[score[order].sort(descending=True, stable=True).indices[:count]]]


def _in_order(rows: Tensor, label: Tensor, size: int | float, total: int, what: str, seed: int) -> Tensor:
    count = count_of(size, total, len(rows), what)
    g = seeds.generator(seed)
    groups = torch.unique(label)
    rank = torch.empty(int(label.max()) + 1, dtype=torch.long)
    rank[groups] = torch.randperm(len(groups), generator=g)
    order = torch.randperm(len(rows), generator=g)
    return rows[order[rank[label[order]].sort(stable=True).indices[:count]]]


def _degree(data: GraphData) -> Tensor:
    return data.neighbours[0].diff()


def _near_test(data: GraphData, num_hops: int) -> Tensor:
    test = data.splits.get("test")
    if test is None or test.dim() != 2 or not len(test):
        raise InputError(
            "inside and outside are about test edges, and this graph has none: "
            "use data with a link split, for example load(name, task='link_prediction')."
        )
    held = [data.splits[part] for part in ("val", "test") if part in data.splits]
    whole = torch.cat([data.edge_index, *(rows.t() for rows in held)], 1)
    return k_hop(whole, torch.unique(test), num_hops, num_nodes=data.num_nodes)


def _communities(data: GraphData, seed: int) -> Tensor:
    """Community of every node, [N]; dead nodes are communities of their own."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(data.num_nodes))
    graph.add_edges_from(data.pairs().tolist())
    label = torch.empty(data.num_nodes, dtype=torch.long)
    for number, members in enumerate(nx.community.louvain_communities(graph, seed=seed)):
        label[list(members)] = number
    return label
