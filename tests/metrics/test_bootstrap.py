from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.metrics import bootstrap
from graphforget.metrics.bootstrap import auc_interval, bootstrap_interval
from graphforget.metrics.ranks import auc


def test_interval_has_the_width_of_the_standard_error_and_is_repeatable():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = bootstrap_interval(values, seed=3)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std().item() / 20, rel=0.1)
    assert (low, high) == bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    narrow = bootstrap_interval(values, level=0.5, seed=3)
    assert low < narrow[0] < narrow[1] < high


def test_resampling_in_blocks_and_the_normal_limit_agree(monkeypatch):
    values = torch.rand(3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = bootstrap_interval(values)
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 5000)
    blocks = bootstrap_interval(values)
    monkeypatch.setattr(bootstrap, "NORMAL_FROM", 100)
    normal = bootstrap_interval(values)
    for other in (blocks, normal):
        assert other == pytest.approx(whole, abs=0.1 * (whole[1] - whole[0]))


def test_coverage_of_both_intervals():
    inside = inside_auc = 0
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(60, generator=generator), torch.randn(60, generator=generator)
        low, high = bootstrap_interval(x, num_resamples=300, seed=seed)
        inside += low <= 0 <= high
        low, high = auc_interval(x, y)
        inside_auc += low <= 0.5 <= high
    assert inside >= 86 and inside_auc >= 86


def test_auc_interval_contains_the_auc_and_collapses_when_separated():
    x, y = torch.tensor([3.0, 4.0, 2.0]), torch.tensor([1.0, 2.5, 0.0])
    low, high = auc_interval(x, y)
    assert 0 <= low <= auc(x, y) <= high <= 1
    assert auc_interval(x + 10, y) == (1.0, 1.0)


def test_bad_input_and_single_elements():
    assert bootstrap_interval(torch.tensor([2.0])) == (2.0, 2.0)
    for call in (
        lambda: bootstrap_interval(torch.ones(0)),
        lambda: bootstrap_interval(torch.tensor([float("nan")])),
        lambda: bootstrap_interval(torch.ones(3), level=95),
    ):
        with pytest.raises(InputError):
            call()
