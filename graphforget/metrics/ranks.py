"""Rank statistics of two samples: AUC, its two-sided form, true positives at few false ones. O(n log n), torch only."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError

__all__ = ["auc", "auc_two_sided", "average_ranks", "spearman", "threshold_at_fpr", "tpr_at_fpr"]


def _scores(values: Tensor, name: str) -> Tensor:
    values = torch.as_tensor(values).detach().reshape(-1).double().cpu()
    if values.numel() == 0:
        raise InputError(f"{name} is empty; give at least one score.")
    if bool(values.isnan().any()):
        raise InputError(f"{name} contains NaN: it includes deleted elements or a model that diverged; score live elements only.")
    return values


def average_ranks(values: Tensor) -> Tensor:
    """Ranks from 1 to n, equal values sharing their mean rank. Shape ``[n]``, float64.

    Example:
        >>> average_ranks(torch.tensor([3.0, 1.0, 3.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    values = _scores(values, "values")
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts.double() - 1) / 2)[inverse]


def auc(positive: Tensor, negative: Tensor) -> float:
    """P(positive > negative) + P(equal) / 2, the Mann-Whitney form of the area under the ROC curve.

    Example:
        >>> auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
        0.875
    """
    positive, negative = _scores(positive, "positive"), _scores(negative, "negative")
    n, m = positive.numel(), negative.numel()
    ranks = average_ranks(torch.cat([positive, negative]))[:n]
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def auc_two_sided(positive: Tensor, negative: Tensor) -> float:
    """max(AUC, 1 - AUC): an attacker may flip the sign, so an AUC of 0.1 leaks as much as one of 0.9."""
    value = auc(positive, negative)
    return max(value, 1 - value)


def threshold_at_fpr(negative: Tensor, fpr: float) -> float:
    """Smallest score above which at most ``fpr`` of the negatives lie; ties with it are refused on both sides.

    Raises:
        InputError: If ``fpr`` is not in [0, 1), or there is no score.

    Example:
        >>> threshold_at_fpr(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0.25)
        3.0
    """
    if not 0 <= fpr < 1:
        raise InputError(f"fpr must be in [0, 1), got {fpr}; 0.01 means one per cent.")
    negative = _scores(negative, "negative")
    allowed = int(fpr * negative.numel() + 1e-9)
    return float(negative.topk(allowed + 1).values[-1])


def tpr_at_fpr(positive: Tensor, negative: Tensor, fpr: float) -> float:
    """Largest share of positives accepted while at most ``fpr`` of the negatives are (Carlini et al. 2022).

    With fewer than 1/fpr negatives no false acceptance is allowed, so the value can only be too small: the resolution
    is that of the sample.

    Raises:
        InputError: If ``fpr`` is not in [0, 1).
    """
    return float((_scores(positive, "positive") > threshold_at_fpr(negative, fpr)).double().mean())


def spearman(a: Tensor, b: Tensor) -> float:
    """Spearman rank correlation of two score vectors ``[n]``, ties averaged; NaN when one of them is constant."""
    if a.numel() != b.numel():
        raise InputError(f"Both score vectors must have one length, got {a.numel()} and {b.numel()}.")
    x, y = average_ranks(a), average_ranks(b)
    x, y = x - x.mean(), y - y.mean()
    norm = x.norm() * y.norm()
    return float(x @ y / norm) if norm > 0 else float("nan")


_MIA = "Yeom et al. 2018; Carlini et al. 2022"
RECORDS = (
    MetricRecord(
        "mia_auc",
        "privacy",
        (0.0, 1.0),
        "gold",
        False,
        _MIA,
        "Chance that a membership attack ranks a deleted element above one that was never trained on.",
        "0.5 is the value of a blind attack; gold's own value is the aim, because deleted elements may be easier or harder.",
    ),
    MetricRecord(
        "mia_auc_two_sided",
        "privacy",
        (0.5, 1.0),
        "gold",
        False,
        _MIA,
        "Membership AUC of an attacker who may flip the sign: over-forgetting leaks too.",
    ),
    MetricRecord(
        "confidence_mia_auc",
        "privacy",
        (0.0, 1.0),
        "gold",
        False,
        "Yeom et al. 2018",
        "Membership AUC of the plain threshold on the confidence in the label.",
        "Calls hard examples non-members whoever trained on them; RMIA corrects that with reference models.",
    ),
    MetricRecord(
        "mia_tpr_at_fpr_0.01",
        "privacy",
        (0.0, 1.0),
        "gold",
        False,
        "Carlini et al. 2022",
        "Share of deleted elements recognised while 1 % of unseen ones are wrongly accused.",
        "Needs at least 100 unseen elements to be resolved.",
    ),
    MetricRecord(
        "mia_tpr_at_fpr_0.001",
        "privacy",
        (0.0, 1.0),
        "gold",
        False,
        "Carlini et al. 2022",
        "Share of deleted elements recognised while 0.1 % of unseen ones are wrongly accused.",
        "Needs at least 1000 unseen elements to be resolved.",
    ),
    MetricRecord(
        "spearman",
        "forgetting",
        (-1.0, 1.0),
        "max",
        True,
        "Spearman 1904",
        "Rank correlation between this model's and a gold model's scores.",
        "Ignores every monotone shift: a model that lowers all scores alike still gets 1.",
    ),
)
