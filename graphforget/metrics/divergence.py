"""Distances between the outputs of two models, for every kind of output a task can have.

Kinds (``Task.output_kind``): ``categorical`` logits ``[n, C]``; ``tokens`` logits ``[..., V]``; ``bernoulli`` logits and
``ranking`` margins ``[n]``, both read through a sigmoid; ``gaussian`` means ``[n]`` or ``[n, d]``.
Everything is computed from logits, in log space, so that nothing has to be clipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError

__all__ = [
    "OutputKind",
    "combine_outputs",
    "confidence",
    "divergence",
    "js_divergence",
    "log_probabilities",
    "margin",
    "probabilities",
    "to_outputs",
]

OutputKind = Literal["categorical", "bernoulli", "gaussian", "ranking", "tokens"]
_VECTOR = ("categorical", "tokens")
_SCALAR = ("bernoulli", "ranking")


def _check(kind: str, outputs: Tensor, name: str = "outputs") -> Tensor:
    if kind not in get_args(OutputKind):
        raise InputError(f"Unknown output kind {kind!r}; choose one of {', '.join(get_args(OutputKind))}.")
    if kind in _VECTOR and outputs.dim() < 2:
        raise InputError(
            f"{name} of kind {kind!r} must have one row per element and one column per class, got {tuple(outputs.shape)}."
        )
    if not outputs.is_floating_point():
        raise InputError(f"{name} must be floating point numbers, got {outputs.dtype}; pass logits, not labels.")
    # Half precision is for storage: log-sums in it lose three digits.
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


def _pair(kind: str, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if first.shape != second.shape:
        raise InputError(
            f"Both outputs must describe the same elements: got shapes {tuple(first.shape)} and {tuple(second.shape)}."
        )
    return _check(kind, first, "the first outputs"), _check(kind, second, "the second outputs")


def probabilities(kind: OutputKind, outputs: Tensor) -> Tensor:
    """Outputs as probabilities: softmax over the last dimension, sigmoid, or the value itself for ``gaussian``.

    Example:
        >>> probabilities("bernoulli", torch.zeros(2)).tolist()
        [0.5, 0.5]
    """
    outputs = _check(kind, outputs)
    if kind in _VECTOR:
        return outputs.softmax(-1)
    return outputs.sigmoid() if kind in _SCALAR else outputs


def log_probabilities(kind: OutputKind, outputs: Tensor) -> Tensor:
    """Logarithm of :func:`probabilities`, computed without forming them.

    For ``bernoulli`` and ``ranking`` this is log p of the positive outcome; log(1-p) is the same on ``-outputs``.

    Raises:
        InputError: For ``gaussian``, which has no probability per element.
    """
    outputs = _check(kind, outputs)
    if kind in _VECTOR:
        return outputs.log_softmax(-1)
    if kind in _SCALAR:
        return F.logsigmoid(outputs)
    raise InputError("Outputs of kind 'gaussian' are point predictions without probabilities; compare the values themselves.")


def to_outputs(kind: OutputKind, probabilities: Tensor) -> Tensor:
    """Inverse of :func:`probabilities`: log p (a valid logit vector), logit p, or the value itself.

    Probabilities of exactly 0 or 1 become the largest finite logit of the dtype.

    Example:
        >>> to_outputs("bernoulli", torch.tensor([0.5])).item()
        0.0
    """
    p = _check(kind, probabilities, "probabilities")
    if kind not in _VECTOR + _SCALAR:
        return p
    if bool(((p < 0) | (p > 1)).any()):
        raise InputError("Probabilities must lie in [0, 1]; pass logits to the other functions of this module instead.")
    tiny = torch.finfo(p.dtype).tiny
    if kind in _VECTOR:
        return p.clamp_min(tiny).log()
    return p.clamp_min(tiny).log() - (1 - p).clamp_min(torch.finfo(p.dtype).eps / 4).log()


def combine_outputs(kind: OutputKind, outputs: Sequence[Tensor]) -> Tensor:
    """Outputs of the ensemble whose probability is the mean of its members' (mean value for ``gaussian``).

    Done in log space, so confident members lose nothing: an ensemble of one model is that model up to a constant.

    Args:
        outputs: One tensor per member, equal shapes.
    """
    if not outputs:
        raise InputError("An ensemble needs at least one member's outputs, got none.")
    stacked = torch.stack([_check(kind, member) for member in outputs])
    if kind in _VECTOR:
        return stacked.log_softmax(-1).logsumexp(0) - math.log(len(outputs))
    if kind in _SCALAR:
        return F.logsigmoid(stacked).logsumexp(0) - F.logsigmoid(-stacked).logsumexp(0)
    return stacked.mean(0)


def _weighted_difference(weight: Tensor, first: Tensor, second: Tensor) -> Tensor:
    # 0 * log 0 = 0: impossible outcomes (masked logits at -inf) must not become NaN, in the gradient neither.
    return weight * torch.where(weight > 0, first - second, torch.zeros_like(weight))


def divergence(
    kind: OutputKind,
    teacher: Tensor,
    student: Tensor,
    *,
    temperature: float = 1.0,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    r"""Kullback-Leibler divergence of softened outputs (Hinton et al. 2015), in nats; squared error for ``gaussian``.

    .. math::

        T^2 \, \mathrm{KL} \bigl( p(\text{teacher} / T) \parallel p(\text{student} / T) \bigr)

    The factor keeps gradients of one size over the temperature T, and leaves the squared error untouched. Differentiable in
    both arguments: detach the teacher to hold it fixed.

    Args:
        teacher: Outputs of the reference, shape as in the module's introduction.
        student: Outputs of the same shape.
        reduction: ``mean`` over elements (for ``tokens``: over positions), ``sum``, or ``none`` for one value each.

    Raises:
        InputError: On different shapes, an unknown kind or reduction, or a temperature that is not positive.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0]])
        >>> divergence("categorical", logits, logits).item()
        0.0
    """
    teacher, student = _pair(kind, teacher, student)
    if not temperature > 0:
        raise InputError(f"temperature must be positive, got {temperature}.")
    if kind in _VECTOR:
        log_p, log_q = (teacher / temperature).log_softmax(-1), (student / temperature).log_softmax(-1)
        value = _weighted_difference(log_p.exp(), log_p, log_q).sum(-1) * temperature**2
    elif kind in _SCALAR:
        a, b = teacher / temperature, student / temperature
        value = _weighted_difference(a.sigmoid(), F.logsigmoid(a), F.logsigmoid(b))
        value = value + _weighted_difference((-a).sigmoid(), F.logsigmoid(-a), F.logsigmoid(-b))
        value = _over_outcomes(value * temperature**2)
    else:
        value = (teacher - student).square()
        value = value.flatten(1).sum(1) if value.dim() > 1 else value
    if reduction == "none":
        return value
    if reduction == "sum":
        return value.sum()
    if reduction == "mean":
        return value.mean()
    raise InputError(f"Unknown reduction {reduction!r}; choose mean, sum or none.")


def js_divergence(kind: OutputKind, a: Tensor, b: Tensor) -> Tensor:
    r"""Jensen-Shannon divergence per element, base 2, in [0, 1] (Lin 1991).

    .. math::

        \tfrac{1}{2} \mathrm{KL}(p \parallel m) + \tfrac{1}{2} \mathrm{KL}(q \parallel m), \qquad m = \tfrac{1}{2} (p + q)

    Args:
        a: Outputs; shape as in the module's introduction.
        b: Outputs of the same shape.

    Returns:
        One value per element (``tokens``: per position).

    Raises:
        InputError: For ``gaussian``, where no distribution is given.
    """
    a, b = _pair(kind, a, b)
    log_p, log_q = log_probabilities(kind, a), log_probabilities(kind, b)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    value = _weighted_difference(log_p.exp(), log_p, log_m) + _weighted_difference(log_q.exp(), log_q, log_m)
    if kind in _VECTOR:
        value = value.sum(-1)
    else:
        not_p, not_q = F.logsigmoid(-a), F.logsigmoid(-b)
        not_m = torch.logaddexp(not_p, not_q) - math.log(2)
        value = value + _weighted_difference(not_p.exp(), not_p, not_m) + _weighted_difference(not_q.exp(), not_q, not_m)
        value = _over_outcomes(value)
    return (value / (2 * math.log(2))).clamp(0.0, 1.0)


def _over_outcomes(value: Tensor) -> Tensor:
    """One value per element: the mean over its outcomes where an element has several, [n, L]."""
    return value.flatten(1).mean(1) if value.dim() > 1 else value


def _labels(kind: str, outputs: Tensor, y: Tensor) -> Tensor:
    expected = outputs.shape[:-1] if kind in _VECTOR else outputs.shape
    if y.shape != expected:
        raise InputError(f"y must hold one label per element, shape {tuple(expected)}, got {tuple(y.shape)}.")
    if kind in _VECTOR and y.numel() and (int(y.min()) < 0 or int(y.max()) >= outputs.shape[-1]):
        raise InputError(
            f"Labels must lie in 0..{outputs.shape[-1] - 1}, got {int(y.min())}..{int(y.max())}; leave out unlabelled elements."
        )
    if kind in _SCALAR and bool(((y != 0) & (y != 1)).any()):
        raise InputError(f"Labels of kind {kind!r} must be 0 or 1.")
    return y


def confidence(kind: OutputKind, outputs: Tensor, y: Tensor) -> Tensor:
    r"""Probability that the outputs give to the label, per element.

    ``categorical`` and ``tokens``: p[y]. ``bernoulli`` and ``ranking``: p where y is 1, 1-p where it is 0.
    ``gaussian``: :math:`\exp(-\lVert y - \text{output} \rVert^2 / 2)`, the unit-variance likelihood relative to its peak.

    Example:
        >>> confidence("bernoulli", torch.tensor([0.0]), torch.tensor([0])).item()
        0.5
    """
    outputs = _check(kind, outputs)
    y = _labels(kind, outputs, y)
    if kind in _VECTOR:
        return outputs.log_softmax(-1).gather(-1, y.long().unsqueeze(-1)).squeeze(-1).exp()
    if kind in _SCALAR:
        return _over_outcomes(torch.where(y == 1, outputs, -outputs).sigmoid())
    square = (outputs - y).square()
    return (-0.5 * (square.flatten(1).sum(1) if square.dim() > 1 else square)).exp()


def margin(kind: OutputKind, outputs: Tensor, y: Tensor) -> Tensor:
    r"""Logit-scaled confidence per element, from logits (Carlini et al. 2022; KLoM's margin).

    .. math::

        \ln \frac{p_y}{1 - p_y}

    ``categorical``: logit_y minus the log-sum-exp of the other logits. ``bernoulli``: the logit, negated where y is 0.
    ``gaussian``: minus half the squared error (its log-likelihood), as there is no 1-p.
    """
    outputs = _check(kind, outputs)
    y = _labels(kind, outputs, y)
    if kind in _VECTOR:
        index = y.long().unsqueeze(-1)
        others = outputs.scatter(-1, index, -math.inf).logsumexp(-1)
        return outputs.gather(-1, index).squeeze(-1) - others
    if kind in _SCALAR:
        return _over_outcomes(torch.where(y == 1, outputs, -outputs))
    square = (outputs - y).square()
    return -0.5 * (square.flatten(1).sum(1) if square.dim() > 1 else square)


RECORDS = (
    MetricRecord(
        "js",
        "forgetting",
        (0.0, 1.0),
        "min",
        True,
        "Lin 1991, Divergence measures based on the Shannon entropy",
        "Jensen-Shannon divergence (base 2) between this model's and a gold model's predictions, mean over elements.",
        "Two gold models also differ: read it beside the noise floor, not against 0.",
    ),
)
