from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from graphforget.exceptions import InputError
from graphforget.metrics.divergence import (
    combine_outputs,
    confidence,
    divergence,
    js_divergence,
    log_probabilities,
    margin,
    probabilities,
    to_outputs,
)

KINDS = ["categorical", "bernoulli", "ranking", "gaussian", "tokens"]
SHAPE = {"categorical": (6, 4), "bernoulli": (6,), "ranking": (6,), "gaussian": (6,), "tokens": (3, 2, 5)}


def draw(kind, seed=0, dtype=torch.float64):
    return torch.randn(SHAPE[kind], generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_vanishes_on_equal_outputs_and_is_positive_elsewhere(kind):
    a, b = draw(kind), draw(kind, 1)
    assert divergence(kind, a, a).item() == pytest.approx(0, abs=1e-12)
    assert (divergence(kind, a, b, reduction="none") > 0).all()
    expected = a.shape[:-1] if kind in ("categorical", "tokens") else a.shape
    assert divergence(kind, a, b, reduction="none").shape == expected


def test_categorical_kl_equals_torch_batchmean_with_temperature():
    a, b, t = draw("categorical"), draw("categorical", 1), 3.0
    expected = torch.nn.functional.kl_div((b / t).log_softmax(-1), (a / t).softmax(-1), reduction="batchmean") * t**2
    assert torch.allclose(divergence("categorical", a, b, temperature=t), expected)
    assert torch.allclose(divergence("categorical", a, b, reduction="sum"), divergence("categorical", a, b) * 6)


@pytest.mark.parametrize("kind", ["bernoulli", "ranking"])
def test_bernoulli_kl_equals_the_two_class_softmax(kind):
    a, b = draw(kind), draw(kind, 1)
    two = lambda z: torch.stack([torch.zeros_like(z), z], -1)  # noqa: E731
    assert torch.allclose(divergence(kind, a, b), divergence("categorical", two(a), two(b)))
    assert torch.allclose(js_divergence(kind, a, b), js_divergence("categorical", two(a), two(b)))


def test_gaussian_divergence_is_the_squared_error_at_every_temperature():
    a, b = draw("gaussian"), draw("gaussian", 1)
    for temperature in (1.0, 5.0):
        assert torch.allclose(divergence("gaussian", a, b, temperature=temperature), (a - b).square().mean())


@pytest.mark.parametrize("kind", ["categorical", "bernoulli"])
def test_extreme_logits_stay_finite_with_finite_gradients(kind):
    big = torch.tensor([[200.0, -200.0], [-math.inf, 0.0]]) if kind == "categorical" else torch.tensor([300.0, -300.0])
    student = torch.zeros_like(big, requires_grad=True)
    value = divergence(kind, big, student)
    value.backward()
    assert value.item() == pytest.approx(math.log(2), rel=1e-6)
    assert torch.isfinite(student.grad).all()


def test_gradient_in_the_student_is_the_probability_gap():
    teacher, student = draw("categorical"), draw("categorical", 1).requires_grad_()
    divergence("categorical", teacher, student, reduction="sum").backward()
    assert torch.allclose(student.grad, student.detach().softmax(-1) - teacher.softmax(-1))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-8, 8), min_size=6, max_size=6))
def test_js_equals_scipy_and_is_symmetric(numbers):
    a, b = (torch.tensor(numbers[:3], dtype=torch.float64)[None], torch.tensor(numbers[3:], dtype=torch.float64)[None])
    value = js_divergence("categorical", a, b).item()
    expected = jensenshannon(a.softmax(-1)[0].numpy(), b.softmax(-1)[0].numpy(), base=2)
    assert value == pytest.approx(float(np.nan_to_num(expected)) ** 2, abs=1e-8)
    assert value == pytest.approx(js_divergence("categorical", b, a).item(), abs=1e-12)


def test_js_limits_zero_and_one():
    far = torch.tensor([[1e4, 0.0]])
    assert js_divergence("categorical", far, far.flip(1)).item() == pytest.approx(1.0)
    assert js_divergence("bernoulli", torch.tensor([1e4]), torch.tensor([-1e4])).item() == pytest.approx(1.0)
    assert js_divergence("categorical", far, far).item() == 0.0
    with pytest.raises(InputError, match="gaussian"):
        js_divergence("gaussian", torch.zeros(2), torch.zeros(2))


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_probabilities_round_trip_and_ensembles(kind):
    a, b = draw(kind), draw(kind, 1)
    p = probabilities(kind, a)
    assert torch.allclose(probabilities(kind, to_outputs(kind, p)), p)
    assert torch.allclose(probabilities(kind, combine_outputs(kind, [a, a])), p)
    assert torch.allclose(probabilities(kind, combine_outputs(kind, [a, b])), (p + probabilities(kind, b)) / 2)
    if kind != "gaussian":
        assert torch.allclose(log_probabilities(kind, a).exp(), p)


def test_certain_probabilities_become_finite_logits():
    for kind in ("bernoulli", "categorical"):
        p = torch.tensor([[0.0, 1.0]]) if kind == "categorical" else torch.tensor([0.0, 1.0])
        assert torch.isfinite(to_outputs(kind, p)).all()
        assert torch.allclose(probabilities(kind, to_outputs(kind, p)), p)


def test_confidence_and_margin_by_hand():
    logits = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).log()
    assert confidence("categorical", logits, torch.tensor([1])).item() == pytest.approx(0.5)
    assert margin("categorical", logits, torch.tensor([1])).item() == pytest.approx(0.0)
    z = torch.tensor([math.log(3), math.log(3)], dtype=torch.float64)
    assert confidence("bernoulli", z, torch.tensor([1, 0])).tolist() == pytest.approx([0.75, 0.25])
    assert margin("bernoulli", z, torch.tensor([1, 0])).tolist() == pytest.approx([math.log(3), -math.log(3)])
    assert confidence("gaussian", torch.zeros(1), torch.zeros(1)).item() == 1.0
    # Where a probability would be 1 in float32, the margin still tells apart.
    assert margin("categorical", torch.tensor([[90.0, 0.0]]), torch.tensor([0])).item() == pytest.approx(90.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: probabilities("softmax", torch.zeros(2, 2)),
        lambda: probabilities("categorical", torch.zeros(2)),
        lambda: probabilities("bernoulli", torch.zeros(2, dtype=torch.long)),
        lambda: divergence("bernoulli", torch.zeros(2), torch.zeros(3)),
        lambda: divergence("bernoulli", torch.zeros(2), torch.zeros(2), temperature=0),
        lambda: divergence("bernoulli", torch.zeros(2), torch.zeros(2), reduction="batchmean"),
        lambda: confidence("categorical", torch.zeros(2, 3), torch.tensor([0, -1])),
        lambda: confidence("bernoulli", torch.zeros(2), torch.tensor([0, 2])),
        lambda: to_outputs("bernoulli", torch.tensor([1.5])),
        lambda: combine_outputs("bernoulli", []),
    ],
)
def test_bad_input_is_one_sentence(call):
    with pytest.raises(InputError):
        call()
