"""Many small requests, one after the other: does the model drift away from those that were retrained?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphforget.base import UnlearnResult
from graphforget.evaluation.evaluate import evaluate
from graphforget.exceptions import InputError


def sequence(result: UnlearnResult) -> list[UnlearnResult]:
    """The results of a sequence, the oldest first; made by ``result.then``."""
    chain = [result]
    while chain[0].previous is not None:
        chain.insert(0, chain[0].previous)
    return chain


def drift(result: UnlearnResult, figures: Sequence[tuple[str, str]], *, every: int = 5, **options: Any) -> list[dict[str, Any]]:
    """Figures after the 1st, every ``every``-th and the last request, beside the golds of everything deleted so far.

    Golds are trained for every point, as what is deleted differs: ``every`` is what the curve costs.

    Args:
        result: The last result of a sequence.
        figures: (metric, subset) pairs to follow, e.g. ``("recall@20", "test")``.
        every: Requests between points.
        **options: As in :func:`~graphforget.evaluation.evaluate`, e.g. ``gold=3``.

    Returns:
        Per point and figure: ``request`` (its number), ``metric``, ``subset``, ``value``, ``gold`` (mean), ``low``, ``high`` (the
        golds' smallest and largest), ``inside``.

    Raises:
        InputError: ``every`` below 1, no figure, or one that the report does not have.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> case = tiny_case("recommendation")
        >>> second = case.unlearn("row_reset", "items").then(case.later[2])
        >>> points = drift(second, [("recall@5", "test")], gold=2, cache=False)
        >>> [point["request"] for point in points]
        [1, 2]
    """
    if every < 1 or not figures:
        raise InputError(
            f"drift needs every >= 1 and at least one (metric, subset), got every={every} and {len(figures)} figures."
        )
    chain = sequence(result)
    points = []
    for number, one in enumerate(chain, 1):
        if number != 1 and number % every and number != len(chain):
            continue
        report = evaluate(one, **options)
        for metric, subset in figures:
            values, golds = report.values("unlearned", metric, subset), report.values("gold", metric, subset)
            if not values or not golds:
                raise InputError(f"the report has no figure '{metric}' on '{subset}'; its rows name what there is.")
            low, high = min(golds), max(golds)
            points.append(
                {
                    "request": number,
                    "metric": metric,
                    "subset": subset,
                    "value": values[0],
                    "gold": sum(golds) / len(golds),
                    "low": low,
                    "high": high,
                    "inside": low <= values[0] <= high,
                }
            )
    return points
