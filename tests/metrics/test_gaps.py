from __future__ import annotations

import math

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.metrics import gaps as f


def test_klom_is_near_its_null_for_equal_distributions_and_large_for_shifted_ones():
    gold = torch.randn(200, 50, generator=torch.Generator().manual_seed(0))
    same = torch.randn(200, 50, generator=torch.Generator().manual_seed(1))
    equal, shifted = f.klom(same, gold), f.klom(same + 3, gold)
    assert 0 < equal["mean"] < 1.5 * equal["null_mean"]
    assert shifted["mean"] > 5 * equal["mean"] and shifted["p95"] >= shifted["mean"] * 0.5
    assert f.klom(gold, gold)["mean"] == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(InputError):
        f.klom(same[:1], gold)


def test_relative_gap_marks_gold_nothing_and_too_much():
    gold = [0.4, 0.6]
    assert f.relative_gap(0.5, 0.9, gold) == 0.0
    assert f.relative_gap(0.9, 0.9, gold) == 1.0
    assert f.relative_gap(0.3, 0.9, gold) == pytest.approx(-0.5)
    assert math.isnan(f.relative_gap(0.3, 0.5, gold))


def test_z_gap_has_unit_expected_scale_for_few_golds():
    # c4 makes the standard deviation unbiased: check it by simulation at K = 3.
    draws = torch.randn(20000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gold = [-1.0, 0.0, 1.0]
    implied = 1 / (f.z_gap(1.0, gold) * math.sqrt(4 / 3))  # sd / c4 of this sample, whose sd is 1
    assert float((draws.std(1) * implied).mean()) == pytest.approx(1.0, abs=0.02)
    assert f.z_gap(0.0, gold) == 0.0 and f.z_gap(-1.0, gold) == -f.z_gap(1.0, gold)
    assert f.z_gap(1.0, [0.0, 0.0]) == math.inf
    with pytest.raises(InputError, match="two gold"):
        f.z_gap(1.0, [0.0])
