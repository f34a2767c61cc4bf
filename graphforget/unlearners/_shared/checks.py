"""Checks of method parameters: one sentence when a value is out of range."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphforget.exceptions import InputError
from graphforget.registry import nearest


def check_number(
    name: str, value: object, *, low: float, high: float = math.inf, open_low: bool = False, none: str | None = None
) -> None:
    """Refuse ``value`` unless it is a finite number in [low, high] (without ``low`` where ``open_low``).

    Args:
        name: Parameter name.
        value: What was given.
        low: Smallest value.
        high: Largest value.
        open_low: Whether ``low`` itself is refused.
        none: What None means, where None is allowed.

    Raises:
        InputError: Out of range, or no number.
    """
    if value is None and none is not None:
        return
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if math.isfinite(number) and low <= number <= high and not (open_low and number == low):
        return
    bound = f"greater than {low:g}" if open_low else f"at least {low:g}"
    bound += "" if high == math.inf else f" and at most {high:g}"
    also = f", or None for {none}" if none is not None else ""
    raise InputError(f"{name} must be a number {bound}{also}; got {value!r}.")


def check_count(name: str, value: object, *, low: int = 0, none: str | None = None) -> None:
    """Refuse ``value`` unless it is an integer of at least ``low``.

    Raises:
        InputError: Too small, or no integer.
    """
    if value is None and none is not None:
        return
    if isinstance(value, int) and not isinstance(value, bool) and value >= low:
        return
    also = f", or None for {none}" if none is not None else ""
    raise InputError(f"{name} must be an integer of {low} or more{also}; got {value!r}.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse ``value`` unless it is one of ``choices``.

    Raises:
        InputError: Naming the nearest ones.
    """
    if value not in choices:
        raise InputError(f"{name} has no choice {value!r}: {nearest(str(value), list(choices))}")
