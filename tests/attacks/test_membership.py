from __future__ import annotations

import pytest
import torch

from graphforget.attacks import ATTACKS, confidence_attack, lira, membership_figures, rmia
from graphforget.exceptions import InputError

N, K = 1500, 4


def world(memorised: float, seed: int = 0):
    """Margins of k reference models and one target: an element's difficulty is common, `memorised` is added to members."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    difficulty = 2 * draw(2 * N)
    reference = difficulty + 0.5 * draw(K, 2 * N)
    target = difficulty + 0.5 * draw(2 * N)
    target[:N] += memorised
    hard_z = 2 * draw(N)
    return target, reference, hard_z + 0.5 * draw(N), hard_z + 0.5 * draw(K, N)


def scores(attack, target, reference, z, reference_z):
    if attack == "rmia":
        return rmia(target.sigmoid(), z.sigmoid(), reference.sigmoid(), reference_z.sigmoid(), gamma=1.0)
    return lira(target, reference) if attack == "lira" else target


@pytest.mark.parametrize("attack", ["confidence", "rmia", "lira"])
def test_exchangeable_data_gives_one_half(attack):
    s = scores(attack, *world(0.0))
    figures = membership_figures(s[:N], s[N:])
    assert figures["mia_auc"] == pytest.approx(0.5, abs=0.04)
    assert figures["mia_tpr_at_fpr_0.01"] < 0.04


@pytest.mark.parametrize("attack", ["confidence", "rmia", "lira"])
def test_a_memorising_model_is_recognised(attack):
    s = scores(attack, *world(12.0))
    assert membership_figures(s[:N], s[N:])["mia_auc"] > (0.9 if attack == "rmia" else 0.99)


def test_references_beat_the_plain_threshold_when_difficulty_varies():
    target, *rest = world(1.5)
    auc = {
        a: membership_figures(s[:N], s[N:])["mia_auc"] for a in ("confidence", "rmia", "lira") for s in [scores(a, target, *rest)]
    }
    assert auc["lira"] > auc["confidence"] + 0.1 and auc["rmia"] > auc["confidence"] + 0.05


def test_over_forgetting_leaks_two_sidedly():
    figures = confidence_attack(torch.full((50,), 0.1), torch.full((50,), 0.9))
    assert figures["mia_auc"] == 0.0 and figures["mia_auc_two_sided"] == 1.0


def test_rmia_equals_the_double_loop_of_the_definition():
    generator = torch.Generator().manual_seed(1)
    x, z = torch.rand(7, generator=generator), torch.rand(9, generator=generator)
    rx, rz = torch.rand(3, 7, generator=generator), torch.rand(3, 9, generator=generator)
    a, gamma = 0.3, 1.3
    result = rmia(x, z, rx, rz, gamma=gamma, offline_a=a)
    px, pz = ((1 + a) * rx.double().mean(0) + 1 - a) / 2, ((1 + a) * rz.double().mean(0) + 1 - a) / 2
    for i in range(7):
        wins = [(x[i].double() / px[i]) / (z[j].double() / pz[j]) >= gamma for j in range(9)]
        assert result[i].item() == pytest.approx(sum(wins) / 9)


def test_nan_marks_reference_models_that_knew_the_element():
    x, z = torch.tensor([0.9]), torch.tensor([0.5, 0.6])
    rz = torch.full((2, 2), 0.5)
    with_nan = rmia(x, z, torch.tensor([[0.4], [float("nan")]]), rz)
    assert torch.equal(with_nan, rmia(x, z, torch.tensor([[0.4], [0.4]]), rz))


def test_lira_closed_forms_offline_and_online():
    out = torch.tensor([[0.0], [2.0]], dtype=torch.float64)  # mean 1, variance 2
    assert lira(torch.tensor([3.0]), out, fixed_variance=False).item() == pytest.approx(2 / 2**0.5)
    inside = torch.tensor([[4.0], [6.0]], dtype=torch.float64)  # mean 5, variance 2
    normal = torch.distributions.Normal
    expected = normal(5.0, 2**0.5).log_prob(torch.tensor(4.0)) - normal(1.0, 2**0.5).log_prob(torch.tensor(4.0))
    assert lira(torch.tensor([4.0]), out, inside, fixed_variance=False).item() == pytest.approx(expected.item())
    assert lira(torch.tensor([3.0]), out, inside).item() == pytest.approx(0.0)  # half way
    with pytest.raises(InputError, match="fewer than two"):
        lira(torch.tensor([3.0]), out[:1], fixed_variance=False)
    with pytest.raises(InputError, match="at least two models"):
        lira(torch.tensor([3.0]), out[:1])


def test_bad_input():
    ok = torch.rand(3)
    with pytest.raises(InputError, match="not logits"):
        rmia(ok * 5 + 2, ok, torch.rand(2, 3), torch.rand(2, 3))
    with pytest.raises(InputError, match="reference_x"):
        rmia(ok, ok, torch.rand(2, 4), torch.rand(2, 3))
    with pytest.raises(InputError, match="gamma"):
        rmia(ok, ok, torch.rand(2, 3), torch.rand(2, 3), gamma=0)


def test_records():
    expected = {"confidence", "rmia", "lira", "link_stealing", "same_item", "same_user", "taker_probe"}
    assert set(ATTACKS) == expected and all(r.receives for r in ATTACKS.values())
