"""check_metric: a metric keeps the range that its record declares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from graphforget.base.metric import MetricRecord
from graphforget.testing.report import CheckReport, require


def check_metric(record: MetricRecord, fn: Callable[..., Any], samples: Iterable[tuple[Any, ...]]) -> CheckReport:
    """Call a metric on sample arguments and check that it is a number inside its declared range, and repeatable.

    Args:
        record: The metric's declaration.
        fn: The metric; called as ``fn(*arguments)``.
        samples: Argument tuples; at least one.

    Returns:
        The report, when everything held.

    Raises:
        ContractError: A value outside the range, not a number, or different when asked twice.

    Example:
        >>> from graphforget.base.metric import MetricRecord
        >>> share = MetricRecord("share", "utility", (0.0, 1.0), "max", False, "example", "A share.")
        >>> len(check_metric(share, lambda a, b: a / b, [(1, 2), (3, 3)]).executed)
        3
    """
    report, cases = CheckReport(record.name), list(samples)
    report.run("has samples", "", "", lambda: require(cases, "no sample arguments were given, so nothing was checked"))
    low, high = record.range
    for number, arguments in enumerate(cases):

        def check(arguments: tuple[Any, ...] = arguments) -> None:
            value = float(fn(*arguments))
            require(not math.isnan(value), "the value is NaN")
            slack = 1e-6 * max(1.0, abs(value))
            require(low - slack <= value <= high + slack, f"{value:.6g} lies outside the declared range [{low:g}, {high:g}]")
            require(float(fn(*arguments)) == value, "the same arguments gave two different values")

        report.run("in range", "", f"sample {number}", check)
    return report.raise_if_failed()
