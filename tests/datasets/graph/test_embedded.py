"""Embedded datasets."""

from __future__ import annotations

import pytest
import torch

from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.graphs import KNNRule, remove_nodes


def test_digits_as_a_similarity_graph():
    data = load("digits")
    assert (data.num_nodes, data.x.shape, data.num_classes, data.edge_rule) == (1797, (1797, 64), 10, KNNRule(5))
    assert data.undirected and data.x.min() == 0 and data.x.max() == 1
    assert [len(data.splits[part]) for part in ("train", "val", "test")] == [1078, 359, 360]
    degree = data.neighbours[0].diff()
    assert degree.min() >= 5
    same_class = (data.y[data.edge_index[0]] == data.y[data.edge_index[1]]).float().mean()
    assert same_class > 0.95


def test_forgetting_a_digit_leaves_no_trace_in_the_neighbour_lists():
    data = load("digits")
    edited = remove_nodes(data, data.splits["train"][:50])
    assert edited.neighbours[0].diff()[edited.alive].min() >= 5  # rebuilt, not thinned out


def test_digits_for_links_and_other_neighbours():
    data = load("digits", task="link_prediction", seed=1, num_neighbors=3)
    assert data.edge_rule is None and sorted(data.splits) == ["test", "test_neg", "val", "val_neg"]
    assert load("digits", task="link_prediction", seed=1, num_neighbors=3).digest() == data.digest()


def test_digits_images():
    data = load("digits_images")
    assert data.x.shape == (1797, 1, 8, 8) and data.num_classes == 10 and data.name == "digits_images"
    assert sum(len(ids) for ids in data.splits.values()) == 1797
    assert torch.equal(data.x.view(1797, 64), load("digits").x)


def test_karate():
    data = load("karate")
    assert data.num_nodes == 34 and len(data.pairs()) == 78 and data.num_classes == 2
    assert torch.bincount(data.y).tolist() == [17, 17] and data.edge_rule is None
    links = load("karate", task="link_prediction")
    assert len(links.splits["test"]) == 3 and len(links.pairs()) == 72


def test_seeds_change_the_split_only():
    first, second = load("karate", seed=0), load("karate", seed=1)
    assert torch.equal(first.edge_index, second.edge_index) and first.digest() != second.digest()


def test_a_task_that_the_data_does_not_serve():
    with pytest.raises(InputError, match="'digits_images' does not serve task 'node_classification'"):
        load("digits_images", task="node_classification")
    with pytest.raises(InputError, match="'karate' does not serve task 'link_predicton': did you mean 'link_prediction'"):
        load("karate", task="link_predicton")
