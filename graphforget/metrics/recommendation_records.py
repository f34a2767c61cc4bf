"""What the metrics of recommenders say about themselves; see :mod:`graphforget.metrics.recommendation`."""

from __future__ import annotations

from graphforget.base.metric import MetricRecord

_INF = float("inf")
_SPEC = "graphforget: models that never saw the data as the aim"
_MIA = "Yeom et al. 2018, within items or users"


def _forgetting(name: str, description: str, warning: str = "", *, source: str = _SPEC) -> MetricRecord:
    return MetricRecord(name, "forgetting", (0.0, 1.0), "gold", False, source, description, warning)


def _membership(side: str) -> tuple[MetricRecord, ...]:
    """Records of the attacks within one item (or user)."""
    held = {"item": "users who took the item but were held out of training", "user": "held-out items of the same user"}[side]
    matched = {
        "item": "users as active as the taker who never took the item",
        "user": "items as popular that the user never took",
    }[side]

    def record(name: str, description: str, warning: str = "") -> MetricRecord:
        return MetricRecord(f"same_{side}_{name}", "privacy", (0.0, 1.0), "gold", False, _MIA, description, warning)

    blind = "Gold's value is the aim, not 0.5: non-members may be easier or harder."
    return (
        record("auc", f"Chance that a deleted pair scores above one of {held}.", blind),
        record("rank_auc", f"The same by the item's place in the user's list: against {held}.", blind),
        record("auc_matched", f"Chance that a deleted pair scores above one of {matched}.", blind),
        record(
            "auc_random",
            f"Chance that a deleted pair scores above the {side} with a random {'user' if side == 'item' else 'item'}.",
            "Never judge by it: even a model that never saw the pair tells takers from random users by their taste.",
        ),
        record(
            "tpr_at_fpr_0.01",
            f"Share of deleted pairs found while 1 % of the held-out pairs of the same {side}s are taken for deleted ones.",
            "Its resolution is one over the number of held-out pairs.",
        ),
        record(
            "rank_tpr_at_fpr_0.01",
            f"The same by the item's place in the user's list: while 1 % of the held-out pairs of the same {side}s are accused.",
            "Its resolution is one over the number of held-out pairs.",
        ),
    )


_OF_ONE_MODEL = (
    _forgetting(
        "forget_recall@20",
        "Share of deleted pairs whose item is among the user's first 20 when nothing is masked.",
        "Editing the input alone brings it down to gold's value: it separates nothing. Never judge by it alone.",
    ),
    _forgetting("exposure@20", "Share of the first 20 places that deleted items take when nothing is masked."),
    _forgetting("forget_percentile", "Mean share of all items that rank below the deleted item for its former taker."),
    _forgetting(
        "reingest_percentile",
        "Mean share of items below a deleted item that was added again with its content and a fresh row, for former takers.",
        "What is left of it in the users and in shared weights only: the item's own row is new.",
    ),
    *_membership("item"),
    *_membership("user"),
    MetricRecord(
        "taker_probe_auc",
        "privacy",
        (0.0, 1.0),
        "gold",
        False,
        "Alain and Bengio 2016, linear probes",
        "Chance that a linear probe on users' vectors puts a former taker of a deleted item above a user who never took it.",
        "Taste alone tells takers apart: gold's value is the aim, not 0.5.",
    ),
    *(
        MetricRecord(
            f"{kind}_row_norm",
            "representation",
            (0.0, _INF),
            "gold",
            False,
            _SPEC,
            f"Length of the table rows of a deleted {kind}, over the mean length of fresh ones: what a cold {kind} has is 1.",
        )
        for kind in ("item", "user")
    ),
)
GAPS = tuple(record.name for record in _OF_ONE_MODEL)
"""Statistics for which there is a relative gap, ``gap_<name>``."""

RECORDS = (
    *_OF_ONE_MODEL,
    *(
        MetricRecord(
            f"gap_{record.name}",
            record.group,
            (-_INF, _INF),
            "gold",
            True,
            _SPEC,
            f"Relative gap of {record.name}: 0 = gold, 1 = nothing forgotten, negative = over-forgotten.",
            "Without meaning where the original hardly differs from gold: read its interval.",
        )
        for record in _OF_ONE_MODEL
        if record.name in GAPS
    ),
    *(
        MetricRecord(
            f"gold_difference_{name}@20",
            "forgetting",
            (-1.0, 1.0),
            "gold",
            True,
            _SPEC,
            f"This model's {name}@20 less the golds' mean, user by user; its interval resamples users.",
        )
        for name in ("recall", "ndcg")
    ),
    MetricRecord(
        "reingest_ks",
        "forgetting",
        (0.0, 1.0),
        "min",
        True,
        "Kolmogorov 1933; Smirnov 1948",
        "Largest gap between the places of re-added items under this model and under gold.",
        "Two golds also differ: read it beside the noise floor.",
    ),
    MetricRecord(
        "jaccard@20",
        "forgetting",
        (0.0, 1.0),
        "max",
        True,
        "Jaccard 1912",
        "Common items of the first 20 of this model and of gold, over items in either list.",
        "Two golds agree far from fully: read it beside the noise floor.",
    ),
    MetricRecord(
        "rbo@20",
        "forgetting",
        (0.0, 1.0),
        "max",
        True,
        "Webber et al. 2010",
        "Agreement of the first 20 of this model and of gold, early places counting more.",
        "Two golds agree far from fully: read it beside the noise floor.",
    ),
    MetricRecord(
        "softmax_js",
        "forgetting",
        (0.0, 1.0),
        "min",
        True,
        "Lin 1991",
        "Divergence of the softmax over items between this model and gold, per user.",
        "Follows the scale of scores, which training length changes: read it beside the noise floor.",
    ),
)
