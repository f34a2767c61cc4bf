from __future__ import annotations

import math

import pytest

from graphforget.exceptions import InputError
from graphforget.metrics.cost import speedup
from graphforget.metrics.relearning import ain, relearn_steps


def test_steps_until_the_original_level_or_censored():
    assert relearn_steps([0.9, 0.3, 0.104, 0.1], 0.1) == (2, False)
    assert relearn_steps([0.05], 0.1) == (0, False)
    assert relearn_steps([0.9, 0.8, 0.7], 0.1) == (2, True)
    assert relearn_steps([-1.0, -1.96], -2.0) == (1, False)  # negative losses keep the tolerance on the right side
    with pytest.raises(InputError):
        relearn_steps([], 0.1)


def test_ratios():
    assert ain(5, 10) == 0.5 and math.isnan(ain(5, 0))
    assert speedup(10.0, 4.0) == 2.5
    with pytest.raises(InputError):
        speedup(10.0, 0.0)
