from __future__ import annotations

import pytest

from graphforget.exceptions import InputError
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_numbers_in_range_pass(value):
    check_number("ratio", value, low=0, high=1)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5", None])
def test_other_numbers_are_refused_in_one_sentence(value):
    with pytest.raises(InputError, match=r"^ratio must be a number at least 0 and at most 1; got .*\.$"):
        check_number("ratio", value, low=0, high=1)


def test_open_bounds_and_none():
    check_number("lr", None, low=0, open_low=True, none="the recipe's")
    with pytest.raises(InputError, match="greater than 0, or None for the recipe's; got 0"):
        check_number("lr", 0, low=0, open_low=True, none="the recipe's")


def test_counts():
    check_count("epochs", 0)
    check_count("epochs", None, none="all")
    for value in (-1, 1.0, True, None):
        with pytest.raises(InputError, match="epochs must be an integer of 0 or more"):
            check_count("epochs", value)


def test_choices_name_the_nearest():
    check_choice("init", "warm", ("warm", "scratch"))
    with pytest.raises(InputError, match="did you mean 'scratch'"):
        check_choice("init", "scrach", ("warm", "scratch"))
