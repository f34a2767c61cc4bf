"""Data that needs no download: handwritten digits (scikit-learn) as a graph and as images, and the karate club (networkx)."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.base import TensorData
from graphforget.datasets.splits import split_edges, stratified
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule, both_directions
from graphforget.registry import nearest


def check_task(name: str, task: str | None, allowed: tuple[str, ...]) -> str:
    """The task to prepare data for; the first allowed one where none is given.

    Raises:
        InputError: The dataset does not serve this task.
    """
    if task is None:
        return allowed[0]
    if task not in allowed:
        raise InputError(f"dataset '{name}' does not serve task '{task}': {nearest(task, list(allowed))}")
    return task


def _digits() -> tuple[Tensor, Tensor]:
    """1,797 images [N, 64] in 0..1 and their labels (Alpaydin and Kaynak, UCI, 1998)."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return torch.from_numpy(x / 16.0).float(), torch.from_numpy(y).long()


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
    x, y = _digits()
    rule = KNNRule(num_neighbors)
    data = GraphData.create(None, len(y), x=x, y=y, splits=stratified(y, seed=seed), edge_rule=rule, name="digits")
    return split_edges(data, seed=seed) if task == "link_prediction" else data


def digits_images(*, task: str | None = None, seed: int = 0) -> TensorData:
    """Handwritten digits as images [1797, 1, 8, 8] in 0..1, split 60 / 20 / 20 by seed, stratified.

    Args:
        task: ``"image_classification"``.
        seed: Seed of the split.
    """
    check_task("digits_images", task, ("image_classification",))
    x, y = _digits()
    return TensorData.create(x.view(-1, 1, 8, 8), y, stratified(y, seed=seed), name="digits_images")


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
