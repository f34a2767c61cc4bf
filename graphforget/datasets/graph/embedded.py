"""Graphs that need no download: neighbouring handwritten digits (scikit-learn) and the karate club (networkx)."""

from __future__ import annotations

import torch

from graphforget.datasets.check import check_task
from graphforget.datasets.graph.splits import split_edges
from graphforget.datasets.samples.digits import pixels
from graphforget.datasets.splits import stratified
from graphforget.graphs import GraphData, KNNRule, both_directions


def digits(*, task: str | None = None, seed: int = 0, num_neighbors: int = 5) -> GraphData:
    """Handwritten digits as a similarity graph: every image is joined with its nearest neighbours.

    Node task: the edges derive from the features (:class:`~graphforget.graphs.KNNRule`), so forgetting a node rebuilds them.
    Link task: the same edges taken as data of their own, 5 % each held out.

    Args:
        task: ``"node_classification"`` (default) or ``"link_prediction"``.
        seed: Seed of the split.
        num_neighbors: Neighbours per node.
    """
    task = check_task("digits", task, ("node_classification", "link_prediction"))
    x, y = pixels()
    rule = KNNRule(num_neighbors)
    data = GraphData.create(None, len(y), x=x, y=y, splits=stratified(y, seed=seed), edge_rule=rule, name="digits")
    return split_edges(data, seed=seed) if task == "link_prediction" else data


def karate(*, task: str | None = None, seed: int = 0) -> GraphData:
    """Zachary's karate club (J. Anthropological Research 33, 1977): 34 members, 78 friendships, one-hot features, two factions.

    Args:
        task: ``"node_classification"`` (default) or ``"link_prediction"``.
        seed: Seed of the split.
    """
    import networkx as nx

    task = check_task("karate", task, ("node_classification", "link_prediction"))
    graph = nx.karate_club_graph()
    y = torch.tensor([int(graph.nodes[node]["club"] == "Officer") for node in graph])
    edges = both_directions(torch.tensor(list(graph.edges())), len(y))
    data = GraphData.create(edges, len(y), x=torch.eye(len(y)), y=y, splits=stratified(y, seed=seed), name="karate")
    return split_edges(data, seed=seed) if task == "link_prediction" else data
