from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget import seed as seeds


def draw():
    return torch.rand(1).item(), random.random(), float(np.random.rand())


def test_generators_are_independent_of_global_state():
    torch.manual_seed(1)
    a = torch.rand(3, generator=seeds.generator(5))
    torch.manual_seed(2)
    assert torch.equal(a, torch.rand(3, generator=seeds.generator(5))) and seeds.generator(5).device.type == "cpu"


@settings(deadline=None, max_examples=30)
@given(st.integers(-(2**40), 2**40), st.text(max_size=8), st.integers(0, 100))
def test_derived_seeds_are_stable_31_bit_numbers(seed, label, number):
    one = seeds.derive(seed, label, number)
    assert one == seeds.derive(seed, label, number) and 0 <= one < 2**31
    assert one != seeds.derive(seed, label, number + 1) and one != seeds.derive(seed + 1, label, number)


def test_labels_are_not_joined_into_each_other():
    assert seeds.derive(0, "a", "b") != seeds.derive(0, "ab") and seeds.derive(0, 1, 23) != seeds.derive(0, 12, 3)


def test_isolated_fixes_all_three_libraries_and_gives_the_callers_state_back():
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = draw()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    with seeds.isolated(7):
        inside = draw()
    assert draw() == expected
    with seeds.isolated(7):
        assert draw() == inside


def test_isolated_restores_after_an_error():
    torch.manual_seed(4), random.seed(4), np.random.seed(4)
    expected = draw()
    torch.manual_seed(4), random.seed(4), np.random.seed(4)
    with pytest.raises(RuntimeError):
        with seeds.isolated(1):
            draw()
            raise RuntimeError
    assert draw() == expected


def test_isolated_nests_and_takes_seeds_beyond_numpys_range():
    with seeds.isolated(2**40):
        first = draw()
        with seeds.isolated(1):
            draw()
        second = draw()
    with seeds.isolated(2**40):
        assert (draw(), draw()) == (first, second)
