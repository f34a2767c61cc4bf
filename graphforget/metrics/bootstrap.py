"""Intervals over elements (nodes, edges, users, samples), conditional on the models at hand."""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.metrics.ranks import auc

__all__ = ["auc_interval", "bootstrap_interval"]

NORMAL_FROM = 20_000
"""From this many elements on, the percentile bootstrap of a mean is replaced by its normal limit."""
_DRAWS_AT_ONCE = 4_000_000


def _level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}; 0.95 means 95 %.")


def bootstrap_interval(values: Tensor, *, level: float = 0.95, num_resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    r"""Percentile bootstrap interval of the mean of ``values`` ``[n]`` (Efron 1979).

    Every resample has n elements drawn with replacement. For n >= ``NORMAL_FROM`` the normal limit
    :math:`\bar x \pm z \, s / \sqrt n` is used: there the two differ by less than the bootstrap's own sampling error, and
    num_resamples * n draws would take seconds for nothing.

    Returns:
        (low, high). With one element both ends are that value, as nothing is known about the spread.

    Raises:
        InputError: On empty or NaN values, or a level outside (0, 1).

    Example:
        >>> bootstrap_interval(torch.ones(5))
        (1.0, 1.0)
    """
    _level(level)
    values = torch.as_tensor(values).detach().reshape(-1).double().cpu()
    n = values.numel()
    if n == 0 or bool(values.isnan().any()):
        raise InputError("A bootstrap interval needs at least one value and no NaN; leave out deleted elements.")
    if num_resamples < 2:
        raise InputError(f"num_resamples must be at least 2, got {num_resamples}; 1000 is usual.")
    mean = float(values.mean())
    if n == 1:
        return mean, mean
    if n >= NORMAL_FROM:
        half = NormalDist().inv_cdf(0.5 + level / 2) * float(values.std()) / math.sqrt(n)
        return mean - half, mean + half
    generator = torch.Generator().manual_seed(seed)
    means = []
    step = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, num_resamples, step):
        rows = min(step, num_resamples - start)
        means.append(values[torch.randint(n, (rows, n), generator=generator)].mean(1))
    tail = (1 - level) / 2
    low, high = torch.cat(means).quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def auc_interval(positive: Tensor, negative: Tensor, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the AUC over both samples by the variance of placements (DeLong et al. 1988), kept inside [0, 1].

    Args:
        positive: ``[n]`` scores, n >= 2.
        negative: ``[m]`` scores, m >= 2.
    """
    _level(level)
    value = auc(positive, negative)
    positive, negative = positive.detach().double().cpu(), negative.detach().double().cpu()
    if min(positive.numel(), negative.numel()) < 2:
        raise InputError("An AUC interval needs at least two scores on each side.")

    def placements(x: Tensor, other: Tensor) -> Tensor:
        other = other.sort().values
        return (torch.searchsorted(other, x) + torch.searchsorted(other, x, right=True)) / (2 * other.numel())

    variance = placements(positive, negative).double().var() / positive.numel()
    variance = variance + placements(negative, positive).double().var() / negative.numel()
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(float(variance))
    return max(0.0, value - half), min(1.0, value + half)
