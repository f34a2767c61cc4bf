"""KNNRule: the nearest live neighbours, deterministic under ties."""

from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.graphs import EdgeRule, KNNRule


def brute(x, alive, k, metric):
    edges = set()
    live = [i for i in range(len(x)) if alive[i] and x[i].abs().sum() > 0]
    for i in live:

        def distance(j, i=i):
            if metric == "cosine":
                return round(2 - 2 * float(torch.cosine_similarity(x[i].double(), x[j].double(), dim=0)), 6)
            return float(((x[i] - x[j]) ** 2).sum())

        for j in sorted((j for j in live if j != i), key=lambda j: (distance(j), j))[:k]:
            edges |= {(i, j), (j, i)}
    return sorted(edges)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 3])
def test_equals_a_brute_force_search(metric, k):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(25, 4, generator=g) if metric == "cosine" else torch.randint(-3, 4, (25, 2), generator=g).float()
    alive = torch.rand(25, generator=g) < 0.8
    found = KNNRule(k, metric).build(x, alive)
    assert [tuple(edge) for edge in found.t().tolist()] == brute(x, alive, k, metric)


def test_dead_rows_are_not_read():
    x = torch.tensor([[1.0], [2.0], [float("nan")], [5.0]])
    alive = torch.tensor([True, True, False, True])
    assert KNNRule(1).build(x, alive).tolist() == [[0, 1, 1, 3], [1, 0, 3, 1]]


def test_chunks_do_not_change_the_result(monkeypatch):
    x = torch.randint(0, 5, (30, 3), generator=torch.Generator().manual_seed(2)).float()
    alive = torch.ones(30, dtype=torch.bool)
    whole = KNNRule(3).build(x, alive)
    monkeypatch.setattr("graphforget.graphs.edge_rules._CHUNK", 7)
    assert torch.equal(KNNRule(3).build(x, alive), whole)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_ties_go_to_the_smaller_id_whatever_the_rounding(metric):
    x = torch.tensor([[0.1, 0.7, 0.3]]).repeat(40, 1)
    assert [tuple(e) for e in KNNRule(2, metric).build(x, torch.ones(40, dtype=torch.bool)).t().tolist()] == sorted(
        {edge for i in range(40) for j in [j for j in range(4) if j != i][:2] for edge in ((i, j), (j, i))}
    )


def test_sparse_features_give_the_same_graph():
    x = torch.randint(0, 3, (12, 4), generator=torch.Generator().manual_seed(3)).float()
    alive = torch.ones(12, dtype=torch.bool)
    assert torch.equal(KNNRule(2).build(x.to_sparse_csr(), alive), KNNRule(2).build(x, alive))


def test_few_nodes_and_rows_without_content():
    x = torch.tensor([[1.0], [0.0], [2.0]])
    assert KNNRule(5).build(x, torch.ones(3, dtype=torch.bool)).tolist() == [[0, 2], [2, 0]]
    assert KNNRule(5).build(x, torch.tensor([True, True, False])).shape == (2, 0)


def test_bad_settings_and_protocol():
    assert isinstance(KNNRule(2), EdgeRule)
    with pytest.raises(InputError, match="num_neighbors must be an integer of at least 1, got 0"):
        KNNRule(0)
    with pytest.raises(InputError, match="metric must be 'euclidean' or 'cosine', got 'l1'"):
        KNNRule(1, "l1")
