"""Nodes have names of their own: the right node goes, and a number that could be a name or a position is never guessed."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.nn import GCN

import graphforget
from graphforget import DeletionRequest
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, as_graph
from graphforget.tasks import LinkPrediction


def people() -> nx.Graph:
    graph = nx.Graph()
    for name in ("bob", "alice", "zoe", "carl", "dora"):
        graph.add_node(name, x=[float(len(name)), 1.0], y=len(name) % 2)
    graph.add_weighted_edges_from([("bob", "alice", 0.1), ("alice", "zoe", 7.0), ("zoe", "carl", 3.0), ("carl", "dora", 1.0)])
    return graph


def test_a_node_goes_by_its_name():
    model = GCN(2, 8, 1, 4)
    request = DeletionRequest.nodes(names=["zoe"])
    result = graphforget.unlearn(model, people(), request, task="link_prediction", method="unlink")
    data = as_graph(people())
    assert data.node_ids(["zoe", "bob"]).tolist() == [2, 0]
    assert result.split.deny["node"].tolist() == [2] and not bool(result.data.alive[2]) and result.data.node_names[2] is None
    assert result.request.summary() == "1 node (zoe)" and result.request.to_dict()["targets"][0]["names"] == ["zoe"]


def test_edges_go_by_the_names_of_their_ends_in_either_order():
    task = LinkPrediction()
    data = task.adopt(people())
    split = task.split(data, DeletionRequest.edges(names=[("zoe", "alice"), ("dora", "carl")]))
    assert split.removed.tolist() == [[1, 2], [3, 4]]
    assert split.request.summary() == "2 edges (alice and zoe, carl and dora)"
    assert task.split(data, DeletionRequest.edges(ids=[[1, 2]])).removed.tolist() == [[1, 2]]


def test_unknown_names_are_refused_with_the_nearest():
    task = LinkPrediction()
    with pytest.raises(InputError, match="has no node named 'alise': did you mean 'alice'"):
        task.split(task.adopt(people()), DeletionRequest.nodes(names=["alise"]))
    nameless = GraphData.create(torch.tensor([[0, 1], [1, 0]]), 2, x=torch.eye(2))
    with pytest.raises(InputError, match="has no names of nodes: give ids, which count its 2 nodes from 0"):
        task.split(nameless, DeletionRequest.nodes(names=["bob"]))


def numbers() -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from((4, 2, 6, 1, 3))
    graph.add_edges_from([(4, 2), (2, 6), (6, 1), (1, 3)])
    return graph


def test_a_number_that_is_a_name_elsewhere_is_refused():
    task = LinkPrediction()
    data = task.adopt(numbers())
    words = r"node 2 could be the node named '2', which is at position 1 of 'graph', or the node at position 2, named '6'"
    with pytest.raises(InputError, match=words):
        task.split(data, DeletionRequest.nodes([2]))
    with pytest.raises(InputError, match="could be the node named '1'"):
        task.split(data, DeletionRequest.edges(pairs=[[1, 3]]))
    with pytest.raises(InputError, match="could be the node named"):
        task.split(data, DeletionRequest.node_features([2]))
    assert task.split(data, DeletionRequest.nodes(names=[2])).deny["node"].tolist() == [1]
    assert task.split(data, DeletionRequest.nodes(ids=[2])).deny["node"].tolist() == [2]
    assert task.split(data, DeletionRequest.edges(names=[(1, 3)])).removed.tolist() == [[3, 4]]


def test_names_that_are_the_positions_need_no_word():
    graph = nx.path_graph(5)
    task = LinkPrediction()
    assert task.split(task.adopt(graph), DeletionRequest.nodes([2])).deny["node"].tolist() == [2]


def test_a_later_request_finds_names_and_a_forgotten_one_is_said():
    result = graphforget.unlearn(
        GCN(2, 8, 1, 4), people(), DeletionRequest.nodes(names=["zoe"]), task="link_prediction", method="unlink"
    )
    later = result.then(DeletionRequest.nodes(names=["bob"]))
    assert later.split.deny["node"].tolist() == [0]
    with pytest.raises(InputError, match="already forgotten"):
        result.then(DeletionRequest.nodes(names=["zoe"]))


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([4, 1], index=[7, 9]),
        {1, 4},
        (i for i in (1, 4)),
        dict.fromkeys((1, 4)).keys(),
        np.array([1, 4], dtype=np.uint16),
        range(1, 5, 3),
        pd.Index([1, 4]),
    ],
)
def test_ids_in_any_container_of_integers(ids):
    assert DeletionRequest.nodes(ids).ids("node").tolist() == [1, 4]


def test_edges_in_a_frame_or_a_view():
    frame = pd.DataFrame({"u": [0, 1], "v": [1, 2]}, index=[5, 6])
    assert DeletionRequest.edges(pairs=frame).ids("edge").tolist() == [[0, 1], [1, 2]]
    assert DeletionRequest.edges(pairs=nx.path_graph(3).edges).ids("edge").tolist() == [[0, 1], [1, 2]]
    with pytest.raises(InputError, match="two tuples can be two edges or the two rows of an edge_index"):
        DeletionRequest.edges([(0, 1), (0, 3)])


def test_a_mask_of_the_wrong_length_is_refused():
    task = LinkPrediction()
    with pytest.raises(InputError, match="boolean mask of length 8, but 'graph' has 5 nodes"):
        task.split(task.adopt(numbers()), DeletionRequest.nodes(np.arange(8) > 5))
