from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.unlearners.recommendation._shared.balance import balanced_groups, capped_assignment, transport_plan


def greedy(cost: torch.Tensor, cap: int) -> list[int]:
    """The loop that RecEraser describes."""
    taken, placed = [0] * cost.size(1), [-1] * len(cost)
    for flat in cost.flatten().argsort(stable=True).tolist():
        point, centre = divmod(flat, cost.size(1))
        if placed[point] < 0 and taken[centre] < cap:
            placed[point] = centre
            taken[centre] += 1
    return placed


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), k=st.integers(1, 6), slack=st.sampled_from([1.0, 1.2, 2.0]))
def test_rounds_give_what_the_greedy_loop_gives(seed, n, k, slack):
    cost = torch.rand(n, k, generator=torch.Generator().manual_seed(seed))
    cap = math.ceil(slack * n / k)
    assert capped_assignment(cost, cap).tolist() == greedy(cost, cap)


def test_the_plan_has_uniform_marginals_and_follows_the_cost():
    cost = torch.rand(30, 3, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    plan = transport_plan(cost, iterations=500).exp()
    assert torch.allclose(plan.sum(1), torch.full((30,), 1 / 30, dtype=torch.double), atol=1e-9)
    assert torch.allclose(plan.sum(0), torch.full((3,), 1 / 3, dtype=torch.double), atol=1e-6)
    assert float((plan * cost).sum()) < float(cost.mean()) * 0.75
    assert bool(transport_plan(torch.zeros(4, 2)).isfinite().all())


@pytest.mark.parametrize("transport", [False, True])
@pytest.mark.parametrize("slack", [1.0, 1.2])
def test_groups_keep_the_cap_and_find_planted_clusters(transport, slack):
    g = torch.Generator().manual_seed(2)
    truth = torch.arange(90) % 3
    centre = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    points = centre[truth] + torch.randn(90, 2, generator=g)
    found = [
        balanced_groups([points], 3, slack=slack, rounds=50, generator=torch.Generator().manual_seed(s), transport=transport)
        for s in range(5)
    ]
    for groups in found:
        assert int(torch.bincount(groups).max()) <= math.ceil(slack * 30)
    pure = [
        float((groups == group).double()[truth == kind].mean()) for groups in found for kind in range(3) for group in range(3)
    ]
    assert sum(share == 1.0 for share in pure) >= 9  # in at least three of five starts every cluster is one group


def test_a_product_of_distances_reads_every_part():
    left = torch.tensor([[0.0], [0.0], [5.0], [5.0]])
    right = torch.tensor([[0.0], [5.0], [0.0], [5.0]])
    options = {"slack": 1.0, "rounds": 20}
    alone = balanced_groups([left], 2, **options, generator=torch.Generator().manual_seed(0))
    assert alone[0] == alone[1] != alone[2]
    both = balanced_groups([left, right], 4, **options, generator=torch.Generator().manual_seed(0))
    assert sorted(both.tolist()) == [0, 1, 2, 3]
    assert balanced_groups([left], 9, **options, generator=torch.Generator().manual_seed(0)).max() == 3
