"""How far is the unlearned model from one that never saw the data? Per element first, then one figure.

``outputs`` are the judged model's, ``reference`` the gold model's, both as ``Task.forward`` gives them (logits), on the
same elements and read in the same context. Papers' own metrics are kept under their own names, with a record that says
what they miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from graphforget.base.metric import Measured, MetricRecord
from graphforget.exceptions import InputError
from graphforget.metrics.divergence import OutputKind, confidence, js_divergence, probabilities
from graphforget.metrics.gaps import GAP_SOURCE as _GAP
from graphforget.metrics.gaps import average_gap, klom, relative_gap, tow, z_gap
from graphforget.metrics.ranks import auc
from graphforget.metrics.utility import accuracy

__all__ = [
    "abs_dp",
    "agreement",
    "average_gap",
    "gnndelete_auc_f",
    "js",
    "klom",
    "mean_abs_dp",
    "mean_signed_dp",
    "mi_ratio",
    "ra",
    "relative_gap",
    "shift_mia",
    "signed_dp",
    "ta",
    "tow",
    "ua",
    "z_gap",
    "zrf",
]


def _same(outputs: Tensor, reference: Tensor) -> None:
    if outputs.shape != reference.shape:
        raise InputError(
            f"Both models must be read on the same elements: got {tuple(outputs.shape)} and {tuple(reference.shape)}."
        )


def abs_dp(kind: OutputKind, outputs: Tensor, reference: Tensor) -> Tensor:
    r"""Absolute difference in probability per element, |dp|, in [0, 1]: the total variation distance.

    .. math::

        \tfrac{1}{2} \sum_c \lvert p_c - q_c \rvert

    For two outcomes this is the difference of the probabilities of either.

    ``gaussian``: mean absolute difference of the values, in their unit.

    Example:
        >>> abs_dp("bernoulli", torch.tensor([0.0]), torch.tensor([100.0])).item()
        0.5
    """
    _same(outputs, reference)
    gap = (probabilities(kind, outputs) - probabilities(kind, reference)).abs()
    if kind in ("categorical", "tokens"):
        return gap.sum(-1) / 2
    return gap.flatten(1).mean(1) if gap.dim() > 1 else gap


def mean_abs_dp(kind: OutputKind, outputs: Tensor, reference: Tensor) -> float:
    """Mean of :func:`abs_dp` over elements."""
    return float(abs_dp(kind, outputs, reference).double().mean())


def signed_dp(kind: OutputKind, outputs: Tensor, reference: Tensor, y: Tensor | None = None) -> Tensor:
    """Signed dp per element: positive = more sure than gold (under-forgotten), negative = less sure (over-forgotten).

    The probability compared is that of the label ``y``; without it, that of the class the reference prefers
    (``categorical``, ``tokens``) or of the positive outcome (``bernoulli``, ``ranking``). ``gaussian``: the difference.
    """
    _same(outputs, reference)
    if kind == "gaussian":
        difference = outputs - reference
        return difference.flatten(1).mean(1) if difference.dim() > 1 else difference
    if y is None:
        y = reference.argmax(-1) if kind in ("categorical", "tokens") else torch.ones_like(reference)
    return confidence(kind, outputs, y) - confidence(kind, reference, y)


def mean_signed_dp(kind: OutputKind, outputs: Tensor, reference: Tensor, y: Tensor | None = None) -> float:
    """Mean of :func:`signed_dp` over elements."""
    return float(signed_dp(kind, outputs, reference, y).double().mean())


def js(kind: OutputKind, outputs: Tensor, reference: Tensor) -> float:
    """Mean Jensen-Shannon divergence (base 2) over elements; see :func:`~graphforget.metrics.divergence.js_divergence`."""
    return float(js_divergence(kind, outputs, reference).double().mean())


def agreement(kind: OutputKind, outputs: Tensor, reference: Tensor) -> Tensor:
    """1.0 where both models decide alike (same class, or same side of one half), else 0.0, per element."""
    _same(outputs, reference)
    if kind == "gaussian":
        raise InputError("Agreement needs decisions; outputs of kind 'gaussian' have none: use mean_abs_dp.")
    if kind in ("categorical", "tokens"):
        return (outputs.argmax(-1) == reference.argmax(-1)).double()
    same = ((outputs > 0) == (reference > 0)).double()
    return same.flatten(1).mean(1) if same.dim() > 1 else same


def gnndelete_auc_f(scores_retained: Tensor, scores_deleted: Tensor) -> float:
    """GNNDelete's D_f metric: AUC of retained (label 1) over deleted edges (label 0) (Cheng et al. 2023).

    The paper averages over 500 random samples of |D_f| retained edges; the AUC against all retained edges computed
    here is what that average estimates. Retraining does not maximise it: compare with gold's value.

    Args:
        scores_retained: ``[n]`` scores of retained edges.
        scores_deleted: ``[m]`` scores of deleted edges.
    """
    return auc(scores_retained, scores_deleted)


def mi_ratio(before: Tensor, after: Tensor, *, convention: Literal["before/after", "after/before"] = "before/after") -> float:
    """GNNDelete's MI ratio: mean over deleted edges of the attack's presence probability before over after.

    The paper reports before / after (above 1: the attacker is less sure now); its public code computes after / before.
    The mean of ratios is dominated by edges whose denominator is near 0.

    Args:
        before: ``[n]`` presence probabilities from the original model, in (0, 1].
        after: ``[n]`` the same from the unlearned model.
    """
    _same(before, after)
    if convention not in ("before/after", "after/before"):
        raise InputError(f"Unknown convention {convention!r}; choose before/after (paper) or after/before (code).")
    top, bottom = (before, after) if convention == "before/after" else (after, before)
    if bool((bottom <= 0).any()):
        raise InputError("mi_ratio divides by the presence probabilities, which must be above 0.")
    return float((top.double() / bottom.double()).mean())


def shift_mia(
    kind: OutputKind, before_deleted: Tensor, after_deleted: Tensor, before_other: Tensor, after_other: Tensor
) -> float:
    """AUC of the posterior shift |p_after - p_before|_2 of deleted over never-trained elements (Chen et al. 2022).

    Kept because the literature reports it with "0.5 is best", which is inverted: doing nothing scores exactly 0.5.
    """
    _same(before_deleted, after_deleted)
    _same(before_other, after_other)

    def shift(before: Tensor, after: Tensor) -> Tensor:
        gap = probabilities(kind, after) - probabilities(kind, before)
        return gap.flatten(1).norm(dim=1) if gap.dim() > 1 else gap.abs()

    return auc(shift(before_deleted, after_deleted), shift(before_other, after_other))


def zrf(kind: OutputKind, outputs: Tensor, random_outputs: Sequence[Tensor]) -> float:
    """Zero retrain forgetting: 1 - mean JS to randomly initialised networks (Chundawat et al. 2023).

    Args:
        random_outputs: Outputs of several random networks on the same elements; one is a coin toss.
    """
    if not random_outputs:
        raise InputError("zrf needs the outputs of at least one randomly initialised network; five are advised.")
    return 1.0 - sum(js(kind, outputs, other) for other in random_outputs) / len(random_outputs)


def ua(outputs: Tensor, y: Tensor) -> float:
    """Unlearning accuracy: 1 - accuracy on the deleted elements (gold's value is the aim, not 1)."""
    return 1.0 - accuracy(outputs, y)


def ra(outputs: Tensor, y: Tensor) -> float:
    """Retain accuracy: accuracy on the retained elements."""
    return accuracy(outputs, y)


def ta(outputs: Tensor, y: Tensor) -> float:
    """Test accuracy: accuracy on the test elements."""
    return accuracy(outputs, y)


_INF = float("inf")


def _right(subset: str, measured: Measured) -> Tensor | None:
    """Whether each label of a subset is right, [n]; None for other subsets, and where outputs are no classes."""
    if measured.subset != subset or measured.output_kind != "categorical":
        return None
    return (measured.outputs.argmax(-1) == measured.targets).double()


RECORDS = (
    MetricRecord(
        "mean_abs_dp",
        "forgetting",
        (0.0, 1.0),
        "min",
        True,
        _GAP,
        "Mean difference between the probabilities given by this model and by a gold model.",
        "Two gold models also differ: read it beside the noise floor, not against 0.",
    ),
    MetricRecord(
        "twin_gap",
        "forgetting",
        (-1.0, 1.0),
        "gold",
        False,
        "graphforget",
        "Mean confidence in deleted elements minus that in unseen ones beside them: what is remembered of these elements.",
        "Says nothing of what the deleted elements taught the model about their neighbourhood: both sides rise with that.",
    ),
    MetricRecord(
        "signed_dp",
        "forgetting",
        (-1.0, 1.0),
        "gold",
        True,
        _GAP,
        "Mean signed difference to gold: positive = still too sure, negative = over-forgotten.",
        "Errors of both signs cancel: a value of 0 alone proves nothing.",
    ),
    MetricRecord(
        "agreement",
        "forgetting",
        (0.0, 1.0),
        "max",
        True,
        "standard",
        "Share of elements on which this model and gold decide alike.",
    ),
    MetricRecord(
        "gnndelete_auc_f",
        "forgetting",
        (0.0, 1.0),
        "gold",
        False,
        "Cheng et al. 2023 (GNNDelete)",
        "Chance that a retained edge is scored above a deleted one.",
        "Published as higher-is-better, which rewards over-forgetting: retraining itself scored 0.76 and 0.48.",
    ),
    MetricRecord(
        "mi_ratio",
        "privacy",
        (0.0, _INF),
        "gold",
        False,
        "Cheng et al. 2023 (GNNDelete)",
        "Attack's belief that a deleted edge exists, before over after unlearning.",
        "A mean of ratios: a few edges near 0 decide it.",
    ),
    MetricRecord(
        "shift_mia",
        "privacy",
        (0.0, 1.0),
        "gold",
        False,
        "Chen et al. 2022 (GraphEraser lineage)",
        "Chance that a deleted element's prediction moved more than an unseen one's.",
        "Inverted as usually read: doing nothing scores 0.5 ('best'), exact retraining 0.88. Never judge by it.",
    ),
    MetricRecord(
        "zrf",
        "forgetting",
        (0.0, 1.0),
        "gold",
        False,
        "Chundawat et al. 2023",
        "Similarity of predictions on deleted data to those of random networks.",
        "1 is not the aim: a model that never saw the data is not random on it.",
    ),
    MetricRecord(
        "ua",
        "forgetting",
        (0.0, 1.0),
        "gold",
        False,
        "Fan et al. 2024",
        "Error rate on the deleted elements.",
        "More is not better: gold still gets many deleted elements right.",
    ),
    MetricRecord(
        "ra",
        "utility",
        (0.0, 1.0),
        "gold",
        False,
        "Fan et al. 2024",
        "Accuracy on the retained elements.",
        compute=partial(_right, "retained"),
    ),
    MetricRecord(
        "ta",
        "utility",
        (0.0, 1.0),
        "max",
        False,
        "Fan et al. 2024",
        "Accuracy on the test elements.",
        compute=partial(_right, "test"),
    ),
)
