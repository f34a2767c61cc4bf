from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from graphforget.exceptions import InputError
from graphforget.kernels import pair_scores


def rand(*size, seed=0):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10), st.sampled_from(["reference", "cpu"]))
def test_pair_scores(pairs, backend):
    z, pairs = rand(5, 3), torch.tensor(pairs, dtype=torch.long).view(-1, 2)
    assert torch.allclose(pair_scores(z, pairs, backend=backend), (z[pairs[:, 0]] * z[pairs[:, 1]]).sum(-1))
    assert gradcheck(lambda z: pair_scores(z, pairs, backend=backend), (z,))
    assert gradgradcheck(lambda z: pair_scores(z, pairs, backend=backend), (z,))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: pair_scores(torch.ones(3, 2), torch.zeros(2, 3, dtype=torch.long)), r"\.t\(\)"),
        (lambda: pair_scores(torch.ones(3), torch.zeros(1, 2, dtype=torch.long)), r"\[N, d\]"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
