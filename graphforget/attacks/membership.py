"""Membership inference: was this element in the training set?

Every function receives numbers measured on models that already exist. Confidences are
:func:`graphforget.metrics.divergence.confidence`, logit-scaled ones :func:`graphforget.metrics.divergence.margin`.
Scores are oriented so that higher = more likely a member.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.base.attack import AttackRecord
from graphforget.exceptions import InputError
from graphforget.metrics.ranks import auc, tpr_at_fpr

__all__ = ["confidence_attack", "lira", "membership_figures", "rmia"]


def membership_figures(member: Tensor, nonmember: Tensor) -> dict[str, float]:
    """AUC, two-sided AUC and true positives at 1 % and 0.1 % false positives of attack scores (higher = member).

    Args:
        member: ``[n]`` scores of the deleted (formerly trained) elements.
        nonmember: ``[m]`` scores of comparable elements never trained on.
    """
    value = auc(member, nonmember)
    return {
        "mia_auc": value,
        "mia_auc_two_sided": max(value, 1 - value),
        "mia_tpr_at_fpr_0.01": tpr_at_fpr(member, nonmember, 0.01),
        "mia_tpr_at_fpr_0.001": tpr_at_fpr(member, nonmember, 0.001),
    }


def confidence_attack(member: Tensor, nonmember: Tensor) -> dict[str, float]:
    """Threshold attack on the confidence in the true label (Yeom et al. 2018); a loss, negated, serves as well.

    Example:
        >>> confidence_attack(torch.tensor([0.9, 0.8]), torch.tensor([0.1, 0.2]))["mia_auc"]
        1.0
    """
    return membership_figures(member, nonmember)


def _table(values: Tensor, width: int, name: str) -> Tensor:
    values = torch.as_tensor(values).detach().double().cpu()
    if values.dim() != 2 or values.shape[1] != width or values.shape[0] == 0:
        raise InputError(
            f"{name} must be [models, elements] with {width} elements and at least one model, got {tuple(values.shape)}."
        )
    if bool(values.isnan().all(0).any()):
        raise InputError(f"{name} holds an element without any model; give every element at least one value.")
    return values


def rmia(
    target_x: Tensor, target_z: Tensor, reference_x: Tensor, reference_z: Tensor, *, gamma: float = 2.0, offline_a: float = 0.3
) -> Tensor:
    r"""Robust membership inference, offline form (Zarifzadeh et al. 2024).

    Let p(x) be a confidence of the attacked model and :math:`{\bar p}_{\text{out}}(x)` its mean over reference models that never
    saw x. The score is the share of population points z that x beats:

    .. math::

        \Pr(x) &= \tfrac{1}{2} \bigl( (1 + a) \, {\bar p}_{\text{out}}(x) + 1 - a \bigr) \\
        \mathrm{LR}(x) &= \frac{p(x)}{\Pr(x)} \\
        \text{score}(x) &= \operatorname{share}_z \Bigl[ \frac{\mathrm{LR}(x)}{\mathrm{LR}(z)} \ge \gamma \Bigr]

    with a the ``offline_a``. Sorting LR(z) makes it O((n + m) log m).

    Args:
        target_x: ``[n]`` confidences of the attacked model on the elements in question.
        target_z: ``[m]`` its confidences on population points that nobody trained on.
        reference_x: ``[k, n]`` confidences of k reference models; NaN where a model did train on the element.
        reference_z: ``[k, m]`` confidences of the reference models on the population.
        gamma: Factor by which x must beat z; 1 gives the most graded scores, 2 is the paper's.
        offline_a: How close Pr_IN is to 1 for elements a model trained on; 1 means it equals Pr_OUT.

    Returns:
        ``[n]`` scores in [0, 1]; about half of the population is beaten at gamma 1 by a non-member.

    Raises:
        InputError: On confidences outside [0, 1], shapes that do not fit, or gamma <= 0.
    """
    target_x, target_z = target_x.detach().double().cpu(), target_z.detach().double().cpu()
    if target_x.dim() != 1 or target_z.dim() != 1 or target_z.numel() == 0:
        raise InputError("rmia needs confidences [n] of elements and [m] of a non-empty population.")
    reference_x = _table(reference_x, target_x.numel(), "reference_x")
    reference_z = _table(reference_z, target_z.numel(), "reference_z")
    for name, values in (
        ("target_x", target_x),
        ("target_z", target_z),
        ("reference_x", reference_x),
        ("reference_z", reference_z),
    ):
        if bool(((values < 0) | (values > 1)).any()) or (name.startswith("target") and bool(values.isnan().any())):
            raise InputError(f"{name} must hold probabilities in [0, 1]; pass confidences, not logits.")
    if not gamma > 0 or not 0 <= offline_a <= 1:
        raise InputError(f"gamma must be positive and offline_a in [0, 1], got {gamma} and {offline_a}.")

    tiny = torch.finfo(torch.float64).tiny

    def ratio(target: Tensor, reference: Tensor) -> Tensor:
        overall = ((1 + offline_a) * reference.nanmean(0) + 1 - offline_a) / 2
        return target / overall.clamp_min(tiny)

    ratio_z = ratio(target_z, reference_z).sort().values
    return torch.searchsorted(ratio_z, ratio(target_x, reference_x) / gamma, right=True).double() / ratio_z.numel()


def _moments(values: Tensor, fixed_variance: bool, name: str) -> tuple[Tensor, Tensor]:
    present = ~values.isnan()
    count, mean = present.sum(0), values.nanmean(0)
    square = torch.where(present, values - mean, torch.zeros_like(values)).square()
    if fixed_variance:
        freedom = (count - 1).clamp_min(0).sum()
        if freedom == 0:
            raise InputError(f"{name} needs at least two models for one element, else there is no spread to estimate.")
        return mean, (square.sum() / freedom).expand_as(mean)
    if bool((count < 2).any()):
        raise InputError(f"{name} has elements with fewer than two models; add models or pass fixed_variance=True.")
    return mean, square.sum(0) / (count - 1)


def lira(target: Tensor, out: Tensor, in_: Tensor | None = None, *, fixed_variance: bool = True) -> Tensor:
    r"""Likelihood ratio attack with one Gaussian per element (Carlini et al. 2022).

    With the attacked model's value x, and mean and standard deviation over the models with (in) and without (out) the element,
    the score is, online (``in_`` given) and offline,

    .. math::

        \ln \mathcal{N}(x; \mu_{\text{in}}, \sigma_{\text{in}}) - \ln \mathcal{N}(x; \mu_{\text{out}}, \sigma_{\text{out}})
        \qquad \text{or} \qquad \frac{x - \mu_{\text{out}}}{\sigma_{\text{out}}}

    The second orders elements as the paper's 1 - Pr[Z > x] does, without saturating.
    U-LiRA (Hayes et al. 2024) is this attack with ``in_`` from models trained with x and then unlearned, ``out`` from
    models that never saw it.

    Args:
        target: ``[n]`` logit-scaled confidences of the attacked model.
        out: ``[k, n]`` those of models without x; NaN where a model trained on it.
        in_: ``[k, n]`` those of models with x; NaN where a model did not train on it.
        fixed_variance: One variance shared by all elements (the paper's advice below some 64 models).

    Returns:
        ``[n]`` scores.
    """
    target = target.detach().double().cpu()
    if target.dim() != 1 or bool(target.isnan().any()):
        raise InputError("lira needs finite logit-scaled confidences [n] of the attacked model.")
    # A floor far below any real spread: it only keeps identical models from dividing by zero.
    floor = 1e-12
    mean_out, var_out = _moments(_table(out, target.numel(), "out"), fixed_variance, "out")
    var_out = var_out.clamp_min(floor)
    if in_ is None:
        return (target - mean_out) / var_out.sqrt()
    mean_in, var_in = _moments(_table(in_, target.numel(), "in_"), fixed_variance, "in_")
    var_in = var_in.clamp_min(floor)

    def log_density(mean: Tensor, variance: Tensor) -> Tensor:
        return -0.5 * ((target - mean).square() / variance + variance.log())

    return log_density(mean_in, var_in) - log_density(mean_out, var_out)


def lira_figures(deleted: Tensor, gold_deleted: Tensor, test: Tensor, gold_test: Tensor) -> dict[str, float]:
    """:func:`lira`, offline with the gold models as those that never saw x, on deleted against test elements.

    Args:
        deleted: ``[n]`` margins of the attacked model.
        gold_deleted: ``[k, n]`` margins of gold models, k >= 2.
        test: ``[m]`` margins of the attacked model.
        gold_test: ``[k, m]`` margins of gold models.

    Raises:
        InputError: One gold model has no spread.
    """
    return membership_figures(lira(deleted, gold_deleted), lira(test, gold_test))


RECORDS = (
    AttackRecord(
        "confidence",
        ("confidences of deleted elements", "confidences of unseen elements"),
        "Yeom et al. 2018",
        "A deleted element is recognised by a high confidence.",
        "Blind to how hard an element is; compare with the same attack on gold.",
    ),
    AttackRecord(
        "rmia",
        ("target confidences on x", "target confidences on a population z", "reference confidences on x", "and on z"),
        "Zarifzadeh et al. 2024",
        "A deleted element is recognised by being surer than reference models explain; good with 1 to 4 references.",
    ),
    AttackRecord(
        "lira",
        ("margins of deleted", "gold margins of deleted", "margins of test", "gold margins of test"),
        "Carlini et al. 2022",
        "A deleted element is recognised by a likelihood ratio of two Gaussians.",
        "Needs tens of models to be strong.",
        lira_figures,
    ),
)
