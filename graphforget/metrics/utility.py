"""Is the model still good at its task? Classification, link scores, ranked lists."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphforget.base.metric import MetricRecord
from graphforget.exceptions import InputError
from graphforget.requests.keys import column_keys, key_columns

__all__ = [
    "accuracy",
    "average_precision",
    "macro_f1",
    "map_at_k",
    "mean_absolute_error",
    "mean_label_precision",
    "micro_f1",
    "ndcg_at_k",
    "precision_at_k",
    "r2",
    "ranking_summary",
    "recall_at_k",
    "roc_auc",
    "root_mean_squared_error",
    "top_items",
]


def _predicted(outputs: Tensor, y: Tensor) -> Tensor:
    if outputs.shape[:1] != y.shape[:1] or y.numel() == 0:
        raise InputError(
            f"Outputs and labels must describe the same, at least one, elements: got {tuple(outputs.shape)} and {tuple(y.shape)}."
        )
    if bool(outputs.isnan().any()):
        raise InputError("Outputs contain NaN: they include deleted elements or a model that diverged; score live elements only.")
    return outputs.argmax(-1) if outputs.dim() == y.dim() + 1 else (outputs > 0).long()


def accuracy(outputs: Tensor, y: Tensor) -> float:
    """Share of right labels. ``outputs`` are logits ``[n, C]`` (or ``[n]`` for two classes), ``y`` labels ``[n]``.

    Example:
        >>> accuracy(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.tensor([1, 1]))
        0.5
    """
    return float((_predicted(outputs, y).cpu() == y.cpu()).double().mean())


def macro_f1(outputs: Tensor, y: Tensor) -> float:
    """Unweighted mean of the F1 scores of the classes that occur in ``y`` or in the predictions."""
    from sklearn.metrics import f1_score

    return float(f1_score(y.cpu().numpy(), _predicted(outputs, y).cpu().numpy(), average="macro", zero_division=0.0))


def micro_f1(outputs: Tensor, y: Tensor) -> float:
    """F1 over all labels of all elements together, from logits ``[n, L]`` (positive: given) and y ``[n, L]`` of 0/1."""
    from sklearn.metrics import f1_score

    logits, labels = _several(outputs, y)
    return float(f1_score(labels.numpy(), (logits > 0).long().numpy(), average="micro", zero_division=0.0))


def mean_label_precision(outputs: Tensor, y: Tensor) -> float:
    """Average precision per label, averaged over those that occur; NaN where none does. Logits and y are ``[n, L]``."""
    logits, labels = _several(outputs, y)
    values = [
        average_precision(logits[:, k], labels[:, k]) for k in range(labels.size(1)) if 0 < int(labels[:, k].sum()) < len(labels)
    ]
    return sum(values) / len(values) if values else float("nan")


def _several(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if outputs.shape != y.shape or outputs.dim() != 2 or not y.numel():
        raise InputError(f"Outputs and labels must both be [n, L], got {tuple(outputs.shape)} and {tuple(y.shape)}.")
    return outputs.detach().double().cpu(), y.long().cpu()


def _numbers(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if outputs.shape != y.shape or not y.numel():
        raise InputError(f"Predictions and targets must have one shape, got {tuple(outputs.shape)} and {tuple(y.shape)}.")
    return outputs.detach().double().cpu(), y.double().cpu()


def root_mean_squared_error(outputs: Tensor, y: Tensor) -> float:
    """Root of the mean squared error of numbers of one shape, in their unit."""
    a, b = _numbers(outputs, y)
    return float((a - b).square().mean().sqrt())


def mean_absolute_error(outputs: Tensor, y: Tensor) -> float:
    """Mean absolute error of numbers of one shape, in their unit."""
    a, b = _numbers(outputs, y)
    return float((a - b).abs().mean())


def r2(outputs: Tensor, y: Tensor) -> float:
    """Coefficient of determination, averaged over the columns: 1 is perfect, 0 no better than the mean of y."""
    from sklearn.metrics import r2_score

    a, b = _numbers(outputs, y)
    return float(r2_score(b.numpy(), a.numpy())) if len(b) > 1 else 0.0


def _binary(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if scores.shape != y.shape:
        raise InputError(f"Scores and labels must have one shape, got {tuple(scores.shape)} and {tuple(y.shape)}.")
    if bool(scores.isnan().any()):
        raise InputError("Scores contain NaN: they include deleted elements or a model that diverged; score live elements only.")
    if not (bool((y == 1).any()) and bool((y == 0).any())):
        raise InputError("A ranking metric needs labels of both kinds, 0 and 1; add negatives or positives.")
    return scores.detach().double().cpu(), y.long().cpu()


def roc_auc(scores: Tensor, y: Tensor) -> float:
    """Area under the ROC curve of scores ``[n]`` against labels 0/1 ``[n]``."""
    from sklearn.metrics import roc_auc_score

    scores, y = _binary(scores, y)
    return float(roc_auc_score(y.numpy(), scores.numpy()))


def average_precision(scores: Tensor, y: Tensor) -> float:
    """Average precision of scores ``[n]`` against labels 0/1 ``[n]``."""
    from sklearn.metrics import average_precision_score

    scores, y = _binary(scores, y)
    return float(average_precision_score(y.numpy(), scores.numpy()))


def top_items(scores: Tensor, top_k: int, *, exclude: Tensor | None = None) -> Tensor:
    """Ranked item lists, best first, with known pairs masked.

    Args:
        scores: ``[u, num_items]``, one block of users; pass users in blocks so that no full user-item matrix is kept.
        top_k: Length of the lists (shortened to ``num_items``).
        exclude: ``[m, 2]`` pairs (row of this block, item) that must not appear, usually the train positives.
            Items with score ``-inf`` or NaN (deleted ones) are left out too.

    Returns:
        ``[u, top_k]`` int64 item ids, -1 where a user has no candidate left.
    """
    if scores.dim() != 2 or top_k < 1:
        raise InputError(f"top_items needs scores [users, items] and top_k >= 1, got {tuple(scores.shape)} and {top_k}.")
    scores = scores.detach().masked_fill(scores.isnan(), -torch.inf)
    if exclude is not None and exclude.numel():
        scores.index_put_((exclude[:, 0], exclude[:, 1]), scores.new_tensor(-torch.inf))
    values, items = scores.topk(min(top_k, scores.shape[1]), dim=1)
    return items.masked_fill(values == -torch.inf, -1)


def _hits(ranked: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Hits [u, k] and the number of positives per user [u]; pairs are compared as one integer, without a loop."""
    if ranked.dim() != 2 or positives.dim() != 2 or positives.shape[1] != 2:
        raise InputError(
            f"Need ranked lists [users, k] and positives [m, 2], got {tuple(ranked.shape)} and {tuple(positives.shape)}."
        )
    if positives.numel() and int(positives[:, 0].max()) >= ranked.shape[0]:
        raise InputError(f"Positives name row {int(positives[:, 0].max())}, but there are {ranked.shape[0]} ranked lists.")
    largest = max(int(ranked.max()) if ranked.numel() else 0, int(positives[:, 1].max()) if positives.numel() else 0)
    width = largest + 2
    rows = torch.arange(ranked.shape[0], device=ranked.device).unsqueeze(1)
    # Column 0 stands for "no candidate" (-1), which no positive can match.
    sizes = (ranked.shape[0], width)
    keys = column_keys((positives[:, 0], positives[:, 1] + 1), sizes).unique()
    hits = torch.isin(column_keys((rows, ranked + 1), sizes), keys) & (ranked >= 0)
    return hits.double(), torch.bincount(key_columns(keys, sizes)[0], minlength=ranked.shape[0]).double()


def _without_empty(value: Tensor, count: Tensor) -> Tensor:
    return value.masked_fill(count == 0, torch.nan)


def recall_at_k(ranked: Tensor, positives: Tensor) -> Tensor:
    """Share of a user's positives found in the list, per user ``[u]``; NaN for users without positives.

    Args:
        ranked: ``[u, k]`` from :func:`top_items`.
        positives: ``[m, 2]`` pairs (row, item) that should be found; repeated pairs count once.

    Example:
        >>> recall_at_k(torch.tensor([[3, 1]]), torch.tensor([[0, 1], [0, 2]])).tolist()
        [0.5]
    """
    hits, count = _hits(ranked, positives)
    return _without_empty(hits.sum(1) / count.clamp_min(1), count)


def precision_at_k(ranked: Tensor, positives: Tensor) -> Tensor:
    """Share of the k list places that hold a positive, per user ``[u]``; NaN for users without positives."""
    hits, count = _hits(ranked, positives)
    return _without_empty(hits.sum(1) / ranked.shape[1], count)


def ndcg_at_k(ranked: Tensor, positives: Tensor) -> Tensor:
    """Normalised discounted cumulative gain with binary relevance, per user ``[u]`` (Jarvelin and Kekalainen 2002)."""
    hits, count = _hits(ranked, positives)
    discount = 1 / torch.arange(2, ranked.shape[1] + 2, device=ranked.device).double().log2()
    ideal = torch.cat([discount.new_zeros(1), discount.cumsum(0)])[count.clamp(max=ranked.shape[1]).long()]
    return _without_empty(hits @ discount / ideal.clamp_min(1e-12), count)


def map_at_k(ranked: Tensor, positives: Tensor) -> Tensor:
    """Average precision of a list: the precision at the place of every hit, summed, over min(k, number of positives).

    Per user ``[u]``; NaN for users without positives. Its mean over users is the MAP.

    Args:
        ranked: ``[u, k]`` from :func:`top_items`.
        positives: ``[m, 2]`` pairs (row, item) that should be found; repeated pairs count once.

    Example:
        >>> map_at_k(torch.tensor([[3, 1, 2]]), torch.tensor([[0, 1], [0, 2]])).tolist()
        [0.5833333333333333]
    """
    hits, count = _hits(ranked, positives)
    precision = hits.cumsum(1) / torch.arange(1, ranked.shape[1] + 1, device=ranked.device)
    return _without_empty((precision * hits).sum(1) / count.clamp(1, ranked.shape[1]), count)


def ranking_summary(ranked: Tensor, positives: Tensor, *, top_k: Sequence[int]) -> dict[str, float]:
    """Means over users with positives of recall, precision, NDCG and MAP at each cut-off: ``{"recall@20": ...}``.

    Raises:
        InputError: If a cut-off is longer than the lists.
    """
    result: dict[str, float] = {}
    for k in top_k:
        if not 1 <= k <= ranked.shape[1]:
            raise InputError(f"Cut-off {k} needs lists of at least that length, got {ranked.shape[1]}; rank more items.")
        for name, metric in _RANKED.items():
            result[f"{name}@{k}"] = float(metric(ranked[:, :k], positives).nanmean())
    return result


_RANKED = {"recall": recall_at_k, "precision": precision_at_k, "ndcg": ndcg_at_k, "map": map_at_k}


def _utility(name: str, source: str, description: str) -> MetricRecord:
    return MetricRecord(name, "utility", (0.0, 1.0), "max", False, source, description)


RECORDS = (
    _utility("accuracy", "standard", "Share of right labels."),
    _utility("macro_f1", "standard", "F1 score averaged over classes, small classes counting as much as large ones."),
    _utility("micro_f1", "standard", "F1 score over all labels of all elements together."),
    _utility("label_precision", "standard", "Average precision of each label, averaged over labels."),
    MetricRecord(
        "r2", "utility", (-float("inf"), 1.0), "max", False, "standard", "Share of the targets' variance that is predicted."
    ),
    MetricRecord("rmse", "utility", (0.0, float("inf")), "min", False, "standard", "Root of the mean squared error."),
    MetricRecord("mae", "utility", (0.0, float("inf")), "min", False, "standard", "Mean absolute error."),
    _utility("roc_auc", "Hanley and McNeil 1982", "Chance that a positive is scored above a negative."),
    _utility("average_precision", "standard", "Mean precision over the recall levels of a ranked list."),
    _utility("recall@20", "standard", "Share of a user's held-out items among the first 20 recommended."),
    _utility("precision@20", "standard", "Share of the first 20 recommendations that the user took."),
    _utility("ndcg@20", "Jarvelin and Kekalainen 2002", "Like recall@20, with early places counting more."),
    _utility("map@20", "standard", "Mean precision over the places of the hits among the first 20 recommended."),
)
