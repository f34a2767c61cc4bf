from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.metrics import METRICS
from graphforget.metrics.ranks import auc
from graphforget.metrics.recommendation import (
    exposure_at_k,
    jaccard_at_k,
    mean_over_users,
    overlap_of_lists,
    pair_ranks,
    placements,
    rank_biased_overlap,
    rank_percentile,
    relative_gap_over_users,
    softmax_js,
    two_sample_distance,
)
from graphforget.metrics.recommendation_records import GAPS

SCORES = torch.tensor([[0.9, 0.1, 0.5, 0.5, float("nan")], [0.1, 0.2, 0.3, 0.4, -torch.inf]])


def test_ranks_count_candidates_share_ties_and_put_a_placed_pair_back():
    rank, size = pair_ranks(SCORES, torch.tensor([[0, 0], [0, 2], [0, 1], [1, 0]]))
    assert rank.tolist() == [1.0, 2.5, 4.0, 4.0] and size.tolist() == [4, 4, 4, 4]
    # Item 0 of user 0 is excluded, and so is the placed pair itself, which is ranked among the others all the same.
    rank, size = pair_ranks(SCORES, torch.tensor([[0, 2]]), exclude=torch.tensor([[0, 0], [0, 2]]))
    assert rank.tolist() == [1.5] and size.tolist() == [3]
    assert rank_percentile(torch.tensor([1.0, 2.5, 4.0]), torch.tensor([4, 4, 4])).tolist() == [1.0, 0.5, 0.0]
    assert rank_percentile(torch.tensor([1.0]), torch.tensor([1])).tolist() == [0.5]


@pytest.mark.parametrize("item", [4])
def test_a_pair_without_a_score_is_refused(item):
    for row in (0, 1):
        with pytest.raises(InputError, match="has no score"):
            pair_ranks(SCORES, torch.tensor([[row, item]]))


def test_exposure_is_a_share_of_the_places_there_are():
    ranked = torch.tensor([[1, 2, 3, 4], [5, -1, -1, -1], [-1, -1, -1, -1]])
    assert exposure_at_k(ranked, torch.tensor([2, 4, 5])).tolist() == [0.5, 1.0, 0.0]


def test_placements_compare_within_groups_only():
    member, group = torch.tensor([5.0, 1.0, 0.0]), torch.tensor([0, 0, 9])
    other, where = torch.tensor([1.0, 3.0, 100.0, -1.0]), torch.tensor([0, 0, 1, 9])
    assert placements(member, group, other, where).tolist() == [1.0, 0.25, 1.0]
    with pytest.raises(InputError, match="one group per score"):
        placements(member, group[:2], other, where)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
def test_the_mean_of_placements_in_one_group_is_the_auc(seed, n, m):
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randint(6, (n,), generator=g).float(), torch.randint(6, (m,), generator=g).float()
    one = placements(a, torch.full((n,), 3), b, torch.full((m,), 3))
    assert float(one.mean()) == pytest.approx(auc(a, b))


def test_lists_in_closed_form():
    a, b = torch.tensor([[1, 2, 3], [1, 2, -1]]), torch.tensor([[3, 1, 9], [7, 8, -1]])
    assert overlap_of_lists(a, b).tolist() == [[0, 1, 2], [0, 0, 0]]
    assert jaccard_at_k(a, b).tolist() == [2 / 4, 0.0]
    w = torch.tensor([1.0, 0.5, 0.25], dtype=torch.double)
    expected = float((w * torch.tensor([0, 1 / 2, 2 / 3], dtype=torch.double)).sum() / w.sum())
    assert rank_biased_overlap(a, b, persistence=0.5)[0].item() == pytest.approx(expected)
    assert rank_biased_overlap(a, a).tolist() == pytest.approx([1.0, 1.0]) and jaccard_at_k(a, a).tolist() == [1.0, 1.0]
    with pytest.raises(InputError, match="persistence"):
        rank_biased_overlap(a, b, persistence=1.0)
    with pytest.raises(InputError, match="one shape"):
        overlap_of_lists(a, b[:, :2])


def test_softmax_js_by_hand_and_at_its_ends():
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    m = torch.tensor([0.375, 0.625])
    by_hand = sum(float((d * (d / m).log2()).sum()) for d in (torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))) / 2
    assert softmax_js(p, q).item() == pytest.approx(by_hand, abs=1e-6)
    assert softmax_js(p, p + 3).item() == pytest.approx(0, abs=1e-7)  # softmax is blind to a shift
    assert softmax_js(torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 200.0]])).item() == pytest.approx(1)
    with pytest.raises(InputError, match="without NaN"):
        softmax_js(SCORES, SCORES)


def test_two_sample_distance():
    assert two_sample_distance(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([2.5, 2.6])) == pytest.approx(0.75)
    assert two_sample_distance(torch.tensor([1.0]), torch.tensor([1.0])) == 0


def test_intervals_resample_users_with_all_their_elements():
    # One user has nine elements of value 1, nine users one of value 0: over elements the spread would look small.
    values = torch.tensor([1.0] * 9 + [0.0] * 9)
    users = torch.tensor([0] * 9 + list(range(1, 10)))
    mean, low, high = mean_over_users(values, users)
    assert mean == 0.5 and low == 0.0 and high > 0.7
    together = mean_over_users(values, torch.arange(18))
    assert together[2] - together[1] < high - low
    assert mean_over_users(torch.tensor([1.0, float("nan")]), torch.tensor([0, 1])) == (1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="no element"):
        mean_over_users(torch.tensor([float("nan")]), torch.tensor([0]))


def test_relative_gap_is_one_for_nothing_done_zero_for_gold_and_flags_over_forgetting():
    g = torch.Generator().manual_seed(0)
    users = torch.arange(40) // 2
    original = 0.9 + 0.05 * torch.rand(40, generator=g)
    golds = torch.stack([level + 0.05 * torch.rand(40, generator=g) for level in (0.38, 0.4, 0.42)])
    nothing = relative_gap_over_users(original, original, golds, users)
    assert (nothing.value, nothing.low, nothing.high) == pytest.approx((1, 1, 1)) and not nothing.over_forgotten
    gold = relative_gap_over_users(golds.mean(0), original, golds, users)
    assert gold.value == pytest.approx(0, abs=1e-6) and not gold.over_forgotten
    half = relative_gap_over_users((original + golds.mean(0)) / 2, original, golds, users)
    assert half.value == pytest.approx(0.5) and half.low == pytest.approx(0.5) and half.high == pytest.approx(0.5)
    below = relative_gap_over_users(golds.mean(0) - 0.3, original, golds, users)
    assert below.value < -0.5 and below.over_forgotten
    # Within two standard deviations between golds nothing is over-forgotten.
    assert not relative_gap_over_users(golds.mean(0) - 0.02, original, golds, users).over_forgotten
    assert math.isnan(relative_gap_over_users(golds[0], golds[0], golds[:1], users).value)


def test_every_statistic_of_deleted_data_has_a_gap_that_aims_at_gold():
    for name in GAPS:
        assert METRICS[name].target == "gold" and METRICS[f"gap_{name}"].range == (-math.inf, math.inf)
    assert "Never judge" in METRICS["same_item_auc_random"].warning and "Never judge" in METRICS["forget_recall@20"].warning
