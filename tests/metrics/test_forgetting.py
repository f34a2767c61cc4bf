from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.metrics import forgetting as f


def logits(n=400, c=3, seed=0):
    return torch.randn(n, c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_abs_dp_is_total_variation_and_one_formula_for_two_outcomes():
    a, b = logits(c=1)[:, 0], logits(c=1, seed=1)[:, 0]
    two = lambda z: torch.stack([torch.zeros_like(z), z], -1)  # noqa: E731
    assert torch.allclose(f.abs_dp("bernoulli", a, b), (a.sigmoid() - b.sigmoid()).abs())
    assert torch.allclose(f.abs_dp("categorical", two(a), two(b)), f.abs_dp("bernoulli", a, b))
    far = torch.tensor([[1e3, 0.0]])
    assert f.mean_abs_dp("categorical", far, far.flip(1)) == pytest.approx(1.0)
    assert f.mean_abs_dp("gaussian", torch.ones(2, 3), torch.zeros(2, 3)) == 1.0


def test_signed_dp_is_positive_when_more_sure_and_bounded_by_abs_dp():
    reference, sure = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    y = torch.tensor([1])
    assert f.mean_signed_dp("categorical", sure, reference, y) > 0 > f.mean_signed_dp("categorical", -sure, reference, y)
    a, b = logits(), logits(seed=1)
    assert (f.signed_dp("categorical", a, b).abs() <= f.abs_dp("categorical", a, b) + 1e-12).all()
    assert torch.equal(f.signed_dp("gaussian", reference, sure), (reference - sure).mean(1))  # over the numbers of an element


def test_agreement_by_hand():
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert f.agreement("categorical", a, a.flip(0)).tolist() == [0.0, 0.0]
    assert f.agreement("bernoulli", torch.tensor([1.0, -1.0]), torch.tensor([2.0, 1.0])).tolist() == [1.0, 0.0]
    with pytest.raises(InputError):
        f.agreement("gaussian", torch.zeros(2), torch.zeros(2))


def test_posterior_shift_auc_rewards_doing_nothing():
    before, other = logits(), logits(seed=1)
    assert f.shift_mia("categorical", before, before, other, other) == 0.5
    moved = before + 1.5 * logits(seed=2)
    assert f.shift_mia("categorical", before, moved, other, other + 0.01 * logits(seed=3)) > 0.9


def test_gnndelete_figures():
    assert f.gnndelete_auc_f(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1.0
    before, after = torch.tensor([0.8, 0.4]), torch.tensor([0.4, 0.4])
    assert f.mi_ratio(before, after) == pytest.approx(1.5)
    assert f.mi_ratio(before, after, convention="after/before") == pytest.approx(0.75)
    with pytest.raises(InputError):
        f.mi_ratio(before, torch.zeros(2))


def test_zrf_is_one_against_itself_and_averages_networks():
    a, b = logits(), logits(seed=1)
    assert f.zrf("categorical", a, [a]) == pytest.approx(1.0)
    assert f.zrf("categorical", a, [a, b]) == pytest.approx((1 + f.zrf("categorical", a, [b])) / 2)


def test_accuracy_family_and_tug_of_war():
    outputs, y = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    assert (f.ua(outputs, y), f.ra(outputs, y), f.ta(outputs, y)) == (0.5, 0.5, 0.5)
    assert f.tow((0.9, 0.8, 0.7), (0.9, 0.8, 0.7)) == 1.0
    assert f.tow((1.0, 1.0, 1.0), (0.0, 1.0, 1.0)) == 0.0
    assert f.average_gap({"ua": 0.5, "ra": 1.0}, {"ua": 0.3, "ra": 0.9}) == pytest.approx(0.15)
    with pytest.raises(InputError):
        f.average_gap({"ua": 0.5}, {"ra": 0.5})


def test_different_shapes_are_refused():
    with pytest.raises(InputError):
        f.abs_dp("categorical", logits(3), logits(4))
