from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from graphforget.base import Batch
from graphforget.evaluation.judged import Judged, Subset
from graphforget.evaluation.verdict import judge, t95
from graphforget.testing import tiny_task

COUNT = 400
TASK = tiny_task("link_prediction")
SUBSETS = {
    name: Subset(name, "retained", (Batch(None, torch.zeros(COUNT, 2, dtype=torch.long), torch.ones(COUNT)),))
    for name in ("deleted", "retained", "test")
}


def one(seed: int, *, noise: float = 0.2, shift: dict[str, float] | None = None, role: str = "gold") -> Judged:
    """A model whose logits are 1 plus its own noise, shifted on some subsets."""
    draws = torch.Generator().manual_seed(seed)
    outputs = {
        name: 1.0 + (shift or {}).get(name, 0.0) + noise * torch.randn(COUNT, generator=draws, dtype=torch.float64)
        for name in SUBSETS
    }
    return Judged(role, "retained", seed, nn.Identity(), outputs=outputs)


GOLDS = [one(seed) for seed in (1, 2, 3)]


def verdict(*artefacts: Judged, golds=GOLDS, margin=1.25, tolerance=None):
    return judge(TASK, SUBSETS, list(artefacts), list(golds), margin=margin, tolerance=tolerance)


def test_another_gold_is_sufficient_and_every_check_is_inside():
    result = verdict(one(9))
    assert result.label == "sufficient"
    assert [c.outcome for c in result.checks] == ["inside"] * 4
    assert all(c.low <= c.value <= c.high <= c.margin for c in result.checks)


@pytest.mark.parametrize(("shift", "direction"), [(1.0, "under-forgotten"), (-1.0, "over-forgotten")])
def test_a_shift_on_deleted_elements_is_insufficient_and_named(shift, direction):
    result = verdict(one(9, shift={"deleted": shift}))
    assert result.label == "insufficient"
    outside = [c for c in result.checks if c.outcome == "outside"]
    assert [(c.metric, c.subset, c.direction) for c in outside] == [
        ("mean_abs_dp", "deleted", direction),
        ("signed_dp", "deleted", direction),
    ]
    assert direction in result.headline and "deleted" in result.headline


def test_confidence_lost_on_retained_elements_is_over_forgetting_too():
    result = verdict(one(9, shift={"retained": -1.0}))
    assert result.label == "insufficient" and "retained" in result.headline and "over-forgotten" in result.headline


def test_an_interval_across_the_margin_is_inconclusive():
    value = verdict(one(9, shift={"retained": 0.25})).checks[1]
    result = verdict(one(9, shift={"retained": 0.25}), margin=value.value / value.floor, tolerance=0.0)
    assert result.checks[1].outcome == "unclear" and result.label == "inconclusive"


@pytest.mark.parametrize(("shift", "direction"), [(0.5, "under-forgotten"), (-0.5, "over-forgotten")])
def test_a_small_shift_shared_by_all_deleted_elements_does_not_hide_in_the_noise(shift, direction):
    golds = [one(seed, noise=1.0) for seed in range(1, 7)]
    result = verdict(one(9, noise=1.0, shift={"deleted": shift}), golds=golds)
    gap, mean_shift = result.checks[0], result.checks[3]
    assert gap.outcome == "inside" and mean_shift.outcome == "outside"
    assert result.label == "insufficient" and direction in result.headline and "mean shift" in result.headline


def test_the_shift_is_judged_by_a_prediction_interval_of_one_more_gold():
    check = verdict(one(9), tolerance=0.001).checks[3]
    levels = torch.stack([torch.sigmoid(g.outputs["deleted"]).mean() for g in GOLDS])
    assert check.floor == pytest.approx(float(levels.std()))
    assert check.margin == pytest.approx(t95(2) * float(levels.std()) * math.sqrt(4 / 3) + 0.001)


def test_one_gold_decides_nothing_and_two_are_weak():
    assert verdict(one(9), golds=GOLDS[:1]).label == "inconclusive"
    assert "gold=3" in verdict(one(9), golds=GOLDS[:1]).headline
    assert any("weak" in s for s in verdict(one(9), golds=GOLDS[:2]).sentences)


def test_golds_that_agree_exactly_ask_for_equality_within_tolerance():
    same = [one(1, noise=0.0), one(2, noise=0.0), one(3, noise=0.0)]
    assert verdict(one(4, noise=0.0), golds=same).label == "sufficient"
    off = verdict(one(4, noise=0.0, shift={"deleted": 0.1}), golds=same)
    assert off.label == "insufficient" and "agree exactly" in off.headline


def test_a_method_is_judged_over_seeds():
    seeds = [one(seed) for seed in range(10, 15)]
    result = verdict(*seeds)
    assert result.label == "sufficient" and "5 seeds" in result.headline
    check = result.checks[0]
    singles = [verdict(s).checks[0].value for s in seeds]
    mean = sum(singles) / 5
    half = t95(4) * math.sqrt(sum((v - mean) ** 2 for v in singles) / 4) / math.sqrt(5)
    assert check.value == pytest.approx(mean) and check.high - check.value == pytest.approx(half)
    assert any("5 golds" in s for s in result.sentences)


def test_the_margin_is_the_floor_times_its_factor_plus_the_tolerance():
    check = verdict(one(9), margin=2.0, tolerance=0.01).checks[1]
    assert check.margin == pytest.approx(2.0 * check.floor + 0.01)


def test_t_quantiles_are_those_of_the_tables():
    assert t95(1) == pytest.approx(12.706, abs=1e-3) and t95(4) == pytest.approx(2.776, abs=1e-3)
    assert t95(1000) == pytest.approx(1.962, abs=1e-3)

