"""What recommenders answer after a deletion, asked the same questions (:mod:`graphforget.evaluation.questions`).

What is served (utility, lists) is asked on the served input, denied ids left out. What is deleted is asked in the re-ingest
context with nothing masked; a model that is served on the original input (``identity``, ``mask``) is asked there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.attacks.recommendation import same_entity_attack
from graphforget.base import Ensemble, evaluating
from graphforget.evaluation.questions import Questions
from graphforget.evaluation.scores import Judged
from graphforget.interactions import Interactions
from graphforget.metrics.recommendation import (
    exposure_at_k,
    jaccard_at_k,
    js_of_logs,
    pair_ranks,
    rank_biased_overlap,
    rank_percentile,
)
from graphforget.metrics.representation import neighbourhood_overlap
from graphforget.metrics.utility import ndcg_at_k, recall_at_k, top_items
from graphforget.requests import ForgetSplit
from graphforget.tasks.recommendation_ranking import Scorer, scorer
from graphforget.tasks.recommendation_serving import denied
from graphforget.unlearners._shared.rows import rows_by_parameter

NEIGHBOURS = 20  # or a quarter of the items, where that is less
_BLOCK = 256  # users ranked at once, by all models


@dataclass(eq=False)
class Measured:
    """What one model answered.

    Attributes:
        utility: ``{(subset, metric): per user [u]}``.
        values: ``{statistic: (per element [n], user of each [n])}``; the elements are the same for all models.
        figures: ``{statistic: value}`` for what is one number.
        lists: [audience, top_k] as served.
        js: Per gold, the divergence to it for every user of the audience.
        vectors: Final vectors of users and items in the re-ingest context, by kind, where the model has some.
    """

    utility: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    values: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    lists: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    js: list[Tensor] = field(default_factory=list)
    vectors: dict[str, Tensor] = field(default_factory=dict)


def measure(task: Any, questions: Questions, models: Sequence[Judged], golds: Sequence[Judged]) -> list[Measured]:
    """Ask every model; golds are among the models.

    Args:
        task: The recommendation task.
        questions: From :func:`make_questions`.
        models: Models, each on the input that it is served on.
        golds: Those of them that are golds.
    """
    answers = [Measured() for _ in models]
    served = [_scorer(task, one.model, served_on(questions.split, one), one.deny) for one in models]
    for answer, one, score in zip(answers, models, served, strict=True):
        _utility(task, questions, answer, score, served_on(questions.split, one))
        if len(questions.forgotten):
            _deleted(task, questions, answer, one)
    _lists(task, questions, answers, models, served, [list(models).index(g) for g in golds])
    return answers


def served_on(split: ForgetSplit, judged: Judged) -> Interactions:
    """The data that a model is served on."""
    return (judged.data or split.data) if judged.context == "original" else split.retain_data


def _scorer(task: Any, model: nn.Module, data: Interactions, deny: Mapping[str, Tensor] | None = None) -> Scorer:
    return denied(scorer(model, data, lambda device: task.context(data, device)), deny or {})


# ---- what is served -------------------------------------------------------------------------------------------
def _utility(task: Any, questions: Questions, answer: Measured, score: Scorer, data: Interactions) -> None:
    k, test = questions.top_k, questions.test
    positives = task.context(data).positives
    users = torch.unique(test[:, 0])
    found: dict[tuple[str, str], list[Tensor]] = {}
    row = torch.full((data.num_users,), -1)
    for block in users.split(_BLOCK):
        ranked = top_items(score(block), k, exclude=positives.of(block))
        row.fill_(-1)[block] = torch.arange(len(block))
        for subset, chosen in questions.groups.items():
            pairs = test[chosen]
            pairs = torch.stack([row[pairs[:, 0]], pairs[:, 1]], 1)
            pairs = pairs[pairs[:, 0] >= 0]
            for name, metric in (("recall", recall_at_k), ("ndcg", ndcg_at_k)):
                found.setdefault((subset, f"{name}@{k}"), []).append(metric(ranked, pairs))
    answer.utility = {key: torch.cat(parts) for key, parts in found.items()}


def _lists(
    task: Any,
    questions: Questions,
    answers: Sequence[Measured],
    models: Sequence[Judged],
    served: Sequence[Scorer],
    golds: Sequence[int],
) -> None:
    """Served lists of the audience, and the divergence of each model's softmax over retained items from every gold's."""
    live = questions.split.retain_data.alive_items.nonzero().view(-1)
    lists: list[list[Tensor]] = [[] for _ in models]
    js: list[list[list[Tensor]]] = [[[] for _ in golds] for _ in models]
    taken = [task.context(served_on(questions.split, one)).positives for one in models]
    for block in questions.audience.split(_BLOCK):
        logs = []
        for number, score in enumerate(served):
            table = score(block)
            lists[number].append(top_items(table, questions.top_k, exclude=taken[number].of(block)))
            logs.append(table[:, live].double().log_softmax(1))
        for number, log_p in enumerate(logs):
            for position, gold in enumerate(golds):
                js[number][position].append(js_of_logs(log_p, logs[gold]))
    for answer, ranked, divergence in zip(answers, lists, js, strict=True):
        answer.lists = torch.cat(ranked)
        answer.js = [torch.cat(parts) for parts in divergence]


# ---- what is deleted ------------------------------------------------------------------------------------------
def _deleted(task: Any, questions: Questions, answer: Measured, one: Judged) -> None:
    """Forget recall, exposure, places, membership, the re-ingest test and final vectors; nothing is masked."""
    split, k = questions.split, questions.top_k
    # In a sequence the served input may lack what earlier requests removed: such a model is asked in the context of all.
    own = one.context == "original" and (one.data is None or one.data is split.data)
    data = split.data if own else questions.cold
    score = _scorer(task, one.model, data)
    scores, rank, size = _places(questions, score, questions.pairs)
    place = rank_percentile(rank, size)

    def of(pairs: Tensor, table: Tensor) -> Tensor:
        keys = split.data.keys
        return table[torch.searchsorted(keys(questions.pairs), keys(pairs))]

    forgotten, values = questions.forgotten, answer.values
    values[f"forget_recall@{k}"] = ((of(forgotten, rank) <= k).double(), forgotten[:, 0])
    values["forget_percentile"] = (of(forgotten, place), forgotten[:, 0])
    gone = torch.unique(split.removed[~split.retain_data.alive_items[split.removed[:, 1]], 1])
    if len(gone):
        shares = [
            exposure_at_k(top_items(score(block), k, exclude=questions.positives.of(block)), gone)
            for block in questions.audience.split(_BLOCK)
        ]
        values[f"exposure@{k}"] = (torch.cat(shares), questions.audience)
        again = with_fresh_rows(task, one.model, questions.cold, gone)
        if again is not None:
            taken = forgotten[torch.isin(forgotten[:, 1], gone)]
            _, rank_again, size_again = _places(questions, _scorer(task, again, questions.cold), taken)
            values["reingest_percentile"] = (rank_percentile(rank_again, size_again), taken[:, 0])
    for side in questions.sides:
        members, name = side.members, f"same_{side.kind}"
        group, user = members[:, side.column], members[:, 0]
        for kind, pairs in side.others.items():
            if not len(pairs):
                continue
            suffix = "" if kind == "held" else f"_{kind}"
            attack = same_entity_attack(of(members, scores), group, of(pairs, scores), pairs[:, side.column])
            values[f"{name}_auc{suffix}"] = (attack[0], user)
            if kind == "held":
                answer.figures[f"{name}_tpr_at_fpr_0.01"] = attack[1]
                by_rank = same_entity_attack(of(members, place), group, of(pairs, place), pairs[:, side.column])
                values[f"{name}_rank_auc"] = (by_rank[0], user)
    for kind in ("user", "item"):
        vectors = final_vectors(task, one.model, data, kind)
        if vectors is not None:
            answer.vectors[kind] = vectors


def _places(questions: Questions, score: Scorer, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, ranks and numbers of candidates of pairs; retained training items are no candidates."""
    order = torch.argsort(pairs[:, 0], stable=True)
    users, count = torch.unique_consecutive(pairs[order, 0], return_counts=True)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    start = 0
    for block, size in zip(users.split(_BLOCK), count.split(_BLOCK), strict=True):
        rows = pairs[order[start : start + int(size.sum())]]
        start += len(rows)
        table = score(block)
        local = torch.stack([torch.searchsorted(block, rows[:, 0].contiguous()), rows[:, 1]], 1)
        found = pair_ranks(table, local, exclude=questions.positives.of(block))
        parts.append((table[local[:, 0], local[:, 1]].double(), *found))
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    back = torch.argsort(order)
    return columns[0][back], columns[1][back], columns[2][back]


def with_fresh_rows(task: Any, model: nn.Module, data: Interactions, items: Tensor) -> nn.Module | None:
    """A copy in which items have the rows of a fresh model: what a new id would get. None without ``entity_rows()``.

    A new id has a new row and the content of the item; the copy gives the same scores without growing every table.
    """
    if isinstance(model, Ensemble) or not callable(getattr(model, "entity_rows", None)):
        return None
    rows = rows_by_parameter(model, {"item": items})
    fresh = dict(task.new_model(data, seed=seeds.derive(0, "reingest")).named_parameters())
    again = copy.deepcopy(model)
    with torch.no_grad():
        for name, table in again.named_parameters():
            if name in rows:
                table[rows[name].to(table.device)] = fresh[name][rows[name]].to(table)
    return again


def final_vectors(task: Any, model: nn.Module, data: Interactions, kind: str) -> Tensor | None:
    """Vectors whose dot product is the score, [number of users or items, d]; None where a model has none."""
    if isinstance(model, Ensemble):
        return None
    if getattr(model, "reads_graph", False):
        with evaluating(model):
            encoded = model(task.context(data, next(model.parameters(), torch.empty(0)).device))
        vectors = getattr(encoded, f"{kind}s", None)
        return vectors.detach().cpu() if isinstance(vectors, Tensor) else None
    entity_rows: Any = getattr(model, "entity_rows", None)
    blocks = entity_rows().get(kind, []) if callable(entity_rows) else []
    if not blocks:
        return None
    table = dict(model.named_parameters())[blocks[0].parameter].detach().cpu()
    size = data.num_users if kind == "user" else data.num_items
    return table[blocks[0].offset + blocks[0].stride * torch.arange(size)]


# ---- between two models ---------------------------------------------------------------------------------------
def compare(questions: Questions, one: Measured, gold: Measured, position: int) -> dict[tuple[str, str], Tensor]:
    """``{(subset, metric): per element}`` between a model and a gold.

    Args:
        questions: What was asked.
        one: The model's answers.
        gold: The gold's.
        position: Number of the gold.
    """
    k = questions.top_k
    found = {
        ("lists", f"jaccard@{k}"): jaccard_at_k(one.lists, gold.lists),
        ("lists", f"rbo@{k}"): rank_biased_overlap(one.lists, gold.lists),
        ("lists", "softmax_js"): one.js[position],
    }
    data = questions.split.retain_data
    for kind, alive in (("item", data.alive_items), ("user", data.alive_users)):
        gone = torch.unique(questions.forgotten[:, 1 if kind == "item" else 0])
        gone = gone[~alive[gone]]
        here = (questions.cold.alive_items if kind == "item" else questions.cold.alive_users).nonzero().view(-1)
        if kind in one.vectors and kind in gold.vectors and len(gone) and len(here) > 2:
            found[f"forgotten {kind}s", "neighbourhood_overlap"] = neighbourhood_overlap(
                one.vectors[kind][here],
                gold.vectors[kind][here],
                num_neighbors=max(1, min(NEIGHBOURS, (len(here) - 1) // 4)),
                index=torch.searchsorted(here, gone),
            )
    return found
