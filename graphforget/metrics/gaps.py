"""Gaps between a judged figure and gold's: one figure, several figures, or distributions over many models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError

__all__ = ["average_gap", "klom", "relative_gap", "tow", "z_gap"]

GAP_SOURCE = "graphforget: distance to models that never saw the data"


def average_gap(values: dict[str, float], gold: dict[str, float]) -> float:
    """Mean absolute difference to gold over the named figures, usually UA, RA, TA and MIA (Fan et al. 2024)."""
    if not values or set(values) != set(gold):
        raise InputError(f"Both sides need the same figures, got {sorted(values)} and {sorted(gold)}.")
    return sum(abs(values[name] - gold[name]) for name in values) / len(values)


def tow(values: Sequence[float], gold: Sequence[float]) -> float:
    """Tug of war: product over (forget, retain, test) accuracy of 1 - |value - gold| (Zhao et al. 2024); 1 = gold.

    Example:
        >>> tow((0.5, 1.0, 1.0), (0.0, 1.0, 1.0))
        0.5
    """
    if len(values) != 3 or len(gold) != 3:
        raise InputError("tow needs three accuracies per model, as fractions: forget, retain, test.")
    return math.prod(1.0 - abs(a - b) for a, b in zip(values, gold, strict=True))


def _margin_kl(first: Tensor, second: Tensor, num_bins: int, clip: float, floor: float) -> Tensor:
    """KL(first || second) of margin histograms, per element; [N, n] and [M, n] -> [n]."""
    first, second = first.double().clamp(-clip, clip), second.double().clamp(-clip, clip)
    both = torch.cat([first, second])
    low, width = both.amin(0), (both.amax(0) - both.amin(0)).clamp_min(1e-12)

    def histogram(margins: Tensor) -> Tensor:
        bins = ((margins - low) / width * num_bins).long().clamp(0, num_bins - 1)
        counts = torch.zeros(margins.shape[1], num_bins, dtype=torch.float64)
        counts.scatter_add_(1, bins.T.contiguous(), torch.ones_like(margins.T))
        share = counts / margins.shape[0] + floor
        return share / share.sum(1, keepdim=True)

    p, q = histogram(first), histogram(second)
    return (p * (p / q).log()).sum(1)


def klom(
    unlearned: Tensor, gold: Tensor, *, num_bins: int = 20, clip: float = 100.0, floor: float = 1e-5, seed: int = 0
) -> dict[str, float]:
    """KL divergence of margins (Georgiev et al. 2024): per element, histograms over models; mean and 95th percentile.

    Margins are :func:`~graphforget.metrics.divergence.margin`. Histograms of few models differ even when drawn from one
    distribution, so ``null_*`` is the same figure between two random halves of the golds: read KLoM beside it.

    Args:
        unlearned: ``[N, n]`` margins of N unlearned models (100 in the paper).
        gold: ``[M, n]`` margins of M retrained models, M >= 4.

    Returns:
        ``mean``, ``p95``, ``null_mean``, ``null_p95``, in nats.
    """
    if unlearned.dim() != 2 or gold.dim() != 2 or unlearned.shape[1] != gold.shape[1]:
        raise InputError(
            f"klom needs margins [models, elements] of the same elements, got {tuple(unlearned.shape)} and {tuple(gold.shape)}."
        )
    if gold.shape[0] < 4 or unlearned.shape[0] < 2:
        raise InputError(f"klom needs at least 2 unlearned and 4 gold models, got {unlearned.shape[0]} and {gold.shape[0]}.")
    unlearned, gold = unlearned.detach().cpu(), gold.detach().cpu()
    value = _margin_kl(unlearned, gold, num_bins, clip, floor)
    order = torch.randperm(gold.shape[0], generator=torch.Generator().manual_seed(seed))
    half = gold.shape[0] // 2
    null = _margin_kl(gold[order[:half]], gold[order[half:]], num_bins, clip, floor)
    return {
        "mean": float(value.mean()),
        "p95": float(value.quantile(0.95)),
        "null_mean": float(null.mean()),
        "null_p95": float(null.quantile(0.95)),
    }


def relative_gap(value: float, original: float, gold: Sequence[float]) -> float:
    r"""Distance to gold in units of what there was to forget: 0 = gold, 1 = nothing forgotten, negative = over-forgotten.

    .. math::

        \frac{\text{value} - \text{mean gold}}{\text{original} - \text{mean gold}}

    NaN when original and gold do not differ: then the figure cannot tell forgetting from doing nothing.
    """
    if not gold:
        raise InputError("relative_gap needs at least one gold value.")
    mean = sum(gold) / len(gold)
    return (value - mean) / (original - mean) if original != mean else float("nan")


def z_gap(value: float, gold: Sequence[float]) -> float:
    r"""Distance to gold in standard deviations of one more gold, corrected for few golds.

    .. math::

        \frac{\text{value} - \text{mean gold}}{s_{\text{gold}} / c_4(K) \cdot \sqrt{1 + 1/K}}, \qquad
        c_4(K) = \sqrt{\frac{2}{K - 1}} \, \frac{\Gamma(K / 2)}{\Gamma((K - 1) / 2)}

    with s the sample standard deviation of the K golds. Division by :math:`c_4` removes its downward bias under normality; the
    root is the spread of one new model around a mean of K.

    Raises:
        InputError: With fewer than two golds.

    Example:
        >>> z_gap(0.5, [0.5, 0.5, 0.5])
        0.0
    """
    k = len(gold)
    if k < 2:
        raise InputError(f"z_gap needs at least two gold values to know their spread, got {k}; evaluate with gold=3.")
    mean = sum(gold) / k
    sd = math.sqrt(sum((g - mean) ** 2 for g in gold) / (k - 1))
    c4 = math.sqrt(2 / (k - 1)) * math.exp(math.lgamma(k / 2) - math.lgamma((k - 1) / 2))
    gap = value - mean
    if sd == 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / (sd / c4 * math.sqrt(1 + 1 / k))


_INF = float("inf")
RECORDS = (
    MetricRecord(
        "average_gap", "forgetting", (0.0, 1.0), "min", True, "Fan et al. 2024", "Mean distance to gold over UA, RA, TA and MIA."
    ),
    MetricRecord(
        "tow",
        "forgetting",
        (0.0, 1.0),
        "max",
        True,
        "Zhao et al. 2024",
        "Product of closeness to gold on forget, retain and test accuracy.",
    ),
    MetricRecord(
        "klom",
        "forgetting",
        (0.0, _INF),
        "min",
        True,
        "Georgiev et al. 2024",
        "Divergence between the margins of many unlearned and many retrained models.",
        "Positive even for equal distributions when models are few: read beside its null.",
    ),
    MetricRecord(
        "relative_gap",
        "forgetting",
        (-_INF, _INF),
        "gold",
        True,
        GAP_SOURCE,
        "0 = gold, 1 = nothing forgotten, negative = over-forgotten.",
    ),
    MetricRecord(
        "z_gap", "forgetting", (-_INF, _INF), "gold", True, GAP_SOURCE, "Distance to gold in standard deviations between golds."
    ),
)
