"""Pure functions on tensors, each with a declared record (:data:`METRICS`): range, aim, source, and what it misses."""

from __future__ import annotations

from graphforget.base.metric import collect_records
from graphforget.metrics import (
    cost,
    divergence,
    forgetting,
    gaps,
    ranks,
    recommendation,
    recommendation_records,
    relearning,
    representation,
    utility,
)
from graphforget.metrics.bootstrap import auc_interval, bootstrap_interval
from graphforget.registry import Registry

METRICS = Registry(
    "metric",
    collect_records(
        utility.RECORDS,
        forgetting.RECORDS,
        gaps.RECORDS,
        divergence.RECORDS,
        ranks.RECORDS,
        representation.RECORDS,
        recommendation_records.RECORDS,
        relearning.RECORDS,
        cost.RECORDS,
    ),
    group="graphforget.metrics",
    base="graphforget.base.metric:MetricRecord",
    of="instance",
    name="name",
)

__all__ = [
    "METRICS",
    "auc_interval",
    "bootstrap_interval",
    "cost",
    "divergence",
    "forgetting",
    "gaps",
    "ranks",
    "recommendation",
    "relearning",
    "representation",
    "utility",
]
