from __future__ import annotations

import pytest
import torch
from scipy.spatial import distance

from graphforget.attacks.link_stealing import DISTANCES, link_stealing_attack, matched_non_edges, pair_distances
from graphforget.exceptions import InputError


def graph(num_nodes=300, seed=0):
    """A graph with hubs: end points drawn with weight 1 / rank."""
    generator = torch.Generator().manual_seed(seed)
    weight = 1 / torch.arange(1, num_nodes + 1).double().sqrt()
    pairs = torch.multinomial(weight, 4000, replacement=True, generator=generator).view(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].sort(1).values.unique(dim=0)
    return pairs, torch.bincount(pairs.flatten(), minlength=num_nodes)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_equal_scipy(name):
    x = torch.rand(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = torch.tensor([[0, 1], [2, 5], [3, 3]])
    expected = [getattr(distance, name)(x[u].numpy(), x[v].numpy()) for u, v in pairs.tolist()]
    assert pair_distances(x, pairs)[name].tolist() == pytest.approx(expected, abs=1e-12)


def test_matched_pairs_are_distinct_non_edges_of_like_degree_and_repeatable():
    edges, degrees = graph()
    deleted = edges[::10]
    matched = matched_non_edges(deleted, edges.flip(1), degrees, seed=1)
    assert matched.shape == deleted.shape and (matched[:, 0] < matched[:, 1]).all()
    taken = {tuple(e) for e in edges.tolist()}
    drawn = [tuple(e) for e in matched.tolist()]
    assert len(set(drawn)) == len(drawn) and not taken & set(drawn)
    uniform = torch.randint(300, deleted.shape, generator=torch.Generator().manual_seed(0))

    def gap(pairs):
        return (degrees[pairs].sort(1).values - degrees[deleted].sort(1).values).abs().double().mean()

    assert gap(matched) < 0.35 * gap(uniform)
    assert torch.equal(matched, matched_non_edges(deleted, edges, degrees, seed=1))
    assert not torch.equal(matched, matched_non_edges(deleted, edges, degrees, seed=2))


def test_attack_is_blind_on_noise_and_sees_attracted_end_points():
    edges, degrees = graph()
    deleted = edges[::3]
    non_edges = matched_non_edges(deleted, edges, degrees)
    x = torch.randn(300, 16, generator=torch.Generator().manual_seed(3))
    assert link_stealing_attack(x, deleted, non_edges)["link_auc_euclidean"] == pytest.approx(0.5, abs=0.08)
    smooth = x.index_add(0, deleted[:, 0], x[deleted[:, 1]]).index_add(0, deleted[:, 1], x[deleted[:, 0]])
    assert link_stealing_attack(smooth, deleted, non_edges)["link_auc_cosine"] > 0.65
    twins = torch.eye(6).repeat_interleave(2, 0)  # end points share one embedding
    pairs, apart = torch.arange(12).view(-1, 2), torch.tensor([[0, 2], [4, 6]])
    assert link_stealing_attack(twins, pairs, apart)["link_auc_correlation"] == 1.0


def test_bad_input():
    complete = torch.combinations(torch.arange(5))
    with pytest.raises(InputError, match="too dense"):
        matched_non_edges(complete[:2], complete, torch.full((5,), 4))
    with pytest.raises(InputError, match="transpose"):
        matched_non_edges(complete.T, complete, torch.full((5,), 4))
    with pytest.raises(InputError, match="degree 0"):
        matched_non_edges(complete[:1], complete, torch.zeros(5, dtype=torch.long))
    with pytest.raises(InputError, match="NaN"):
        pair_distances(torch.full((5, 2), float("nan")), complete)
