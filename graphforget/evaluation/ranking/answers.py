"""What recommenders answer after a deletion, asked the same questions (:mod:`graphforget.evaluation.ranking.questions`).

What is served (utility, lists) is asked on the served input, denied ids left out. What is deleted is asked in the re-ingest
context with nothing masked; a model that is served on the original input (``identity``, ``mask``) is asked there.

Users are read in blocks, each once per model and context; everything that needs a user's scores is taken from them then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.attacks.recommendation import same_entity_attack, taker_probe
from graphforget.base.capabilities import has_entity_rows
from graphforget.evaluation.judged import Judged
from graphforget.evaluation.ranking.questions import Questions
from graphforget.evaluation.ranking.vectors import Fresh, final_vectors, fresh_parameters, row_norms, with_fresh_rows
from graphforget.interactions import Interactions
from graphforget.metrics.recommendation import (
    entropies,
    exposure_at_k,
    jaccard_at_k,
    js_of,
    pair_ranks,
    rank_biased_overlap,
    rank_percentile,
)
from graphforget.metrics.representation import linear_cka, nearest_rows, shared_neighbours
from graphforget.metrics.utility import ndcg_at_k, recall_at_k, top_items
from graphforget.requests import ForgetSplit
from graphforget.tasks.recommendation.ranking import Scorer, scorer
from graphforget.tasks.recommendation.serving import denied

NEIGHBOURS = 20  # or a quarter of the items, where that is less
_CELLS = 2**21  # scores read at once: blocks of this size stay with the process, larger ones are mapped anew each time


@dataclass(eq=False)
class Measured:
    """What one model answered.

    Attributes:
        utility: ``{(subset, metric): per user [u]}``.
        values: ``{statistic: (per element [n], user of each [n])}``; the elements are the same for all models. Where elements
            are users or items, each is its own "user".
        lists: [audience, top_k] as served.
        js: Per gold, the divergence to it for every user of the audience.
        vectors: Final vectors of retained users and items in the re-ingest context, by kind, where the model has some.
        neighbours: Nearest users or items of every forgotten one, [n, k], likewise; those of ``"altered item"``, items that lost
            a modality, on the served input.
    """

    utility: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    values: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    lists: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    js: list[Tensor] = field(default_factory=list)
    vectors: dict[str, Tensor] = field(default_factory=dict)
    neighbours: dict[str, Tensor] = field(default_factory=dict)


def measure(task: Any, questions: Questions, models: Sequence[Judged], golds: Sequence[Judged]) -> list[Measured]:
    """Ask every model; golds are among the models.

    Args:
        task: The recommendation task.
        questions: From :func:`make_questions`.
        models: Models, each on the input that it is served on.
        golds: Those of them that are golds.
    """
    answers = [Measured() for _ in models]
    _served(task, questions, answers, models, [list(models).index(g) for g in golds])
    if len(questions.forgotten):
        fresh = fresh_parameters(task, questions.cold) if any(has_entity_rows(one.model) for one in models) else {}
        for answer, one in zip(answers, models, strict=True):
            _deleted(task, questions, answer, one, fresh)
    if len(questions.bare):
        for answer, one in zip(answers, models, strict=True):
            _altered(task, questions, answer, one)
    return answers


def served_on(split: ForgetSplit, judged: Judged) -> Interactions:
    """The data that a model is served on."""
    return (judged.data or split.data) if judged.context == "original" else split.retain_data


def _scorer(task: Any, model: nn.Module, data: Interactions, deny: Mapping[str, Tensor] | None = None) -> Scorer:
    return denied(scorer(model, data, lambda device: task.context(data, device)), deny or {})


def _block(data: Interactions) -> int:
    return max(1, _CELLS // data.num_items)


# ---- what is served -------------------------------------------------------------------------------------------
def _served(task: Any, questions: Questions, answers: Sequence[Measured], models: Sequence[Judged], golds: Sequence[int]) -> None:
    """Utility over all test users; lists of the audience, and how far softmax over retained items is from every gold's."""
    retained = questions.split.retain_data
    live = retained.alive_items.nonzero().view(-1)
    inputs = [served_on(questions.split, one) for one in models]
    scorers = [_scorer(task, one.model, data, one.deny) for one, data in zip(models, inputs, strict=True)]
    taken = [task.context(data).positives for data in inputs]
    users = torch.unique(torch.cat([questions.test[:, 0], questions.audience]))
    compared = torch.isin(users, questions.audience)
    lists: list[list[Tensor]] = [[] for _ in models]
    js: dict[tuple[int, int], list[Tensor]] = {}
    for block, asked in zip(users.split(_block(retained)), compared.split(_block(retained)), strict=True):
        known: dict[int, tuple[Tensor, Tensor]] = {}  # of the golds so far: probabilities and entropies
        for number in [*golds, *(n for n in range(len(models)) if n not in golds)]:
            table = scorers[number](block)
            lists[number].append(top_items(table, questions.top_k, exclude=taken[number].of(block)))
            if not golds or not bool(asked.any()):
                continue
            p = (table[asked][:, live] if bool((~asked).any()) else table[:, live]).double().softmax(1)
            entropy = entropies(p)
            for gold, (q, entropy_q) in known.items():
                found = js_of(p, q, entropy, entropy_q)
                js.setdefault((number, gold), []).append(found)
                if number in golds:
                    js.setdefault((gold, number), []).append(found)
            if number in golds:
                known[number] = p, entropy
    for number, answer in enumerate(answers):
        ranked = torch.cat(lists[number])
        answer.lists = ranked[compared]
        # A gold is at no distance from itself.
        answer.js = [torch.cat(js.get((number, gold), [torch.zeros(len(answer.lists)).double()])) for gold in golds]
        _utility(questions, answer, users, ranked)


def _utility(questions: Questions, answer: Measured, users: Tensor, ranked: Tensor) -> None:
    """Recall and NDCG per test user and subset, from lists [u, top_k] of ``users``."""
    k, test = questions.top_k, questions.test
    tested, row = torch.unique(test[:, 0], return_inverse=True)
    ranked, pairs = ranked[torch.searchsorted(users, tested)], torch.stack([row, test[:, 1]], 1)
    for subset, chosen in questions.groups.items():
        for name, metric in (("recall", recall_at_k), ("ndcg", ndcg_at_k)):
            answer.utility[subset, f"{name}@{k}"] = metric(ranked, pairs[chosen])


# ---- what is deleted ------------------------------------------------------------------------------------------
def _deleted(task: Any, questions: Questions, answer: Measured, one: Judged, fresh: Fresh) -> None:
    """Forget recall, exposure, places, membership, the re-ingest test, rows and vectors; nothing is masked."""
    split, k = questions.split, questions.top_k
    # In a sequence the served input may lack what earlier requests removed: such a model is asked in the context of all.
    own = one.context == "original" and (one.data is None or one.data is split.data)
    data = split.data if own else questions.cold
    gone = questions.gone("item")
    scores, place, rank, shares = _places(questions, _scorer(task, one.model, data), questions.pairs, gone)

    def of(pairs: Tensor, table: Tensor) -> Tensor:
        keys = split.data.keys
        return table[torch.searchsorted(keys(questions.pairs), keys(pairs))]

    forgotten, values = questions.forgotten, answer.values
    values[f"forget_recall@{k}"] = ((of(forgotten, rank) <= k).double(), forgotten[:, 0])
    values["forget_percentile"] = (of(forgotten, place), forgotten[:, 0])
    if len(gone):
        values[f"exposure@{k}"] = (shares, questions.audience)
        if has_entity_rows(one.model):
            taken = forgotten[torch.isin(forgotten[:, 1], gone)]
            again = _scorer(task, with_fresh_rows(one.model, fresh, gone), questions.cold)
            values["reingest_percentile"] = (_places(questions, again, taken)[1], taken[:, 0])
    vectors = {kind: final_vectors(task, one.model, data, kind) for kind in ("user", "item")}
    for side in questions.sides:
        members, name = side.members, f"same_{side.kind}"
        group, user = members[:, side.column], members[:, 0]
        for kind, pairs in side.others.items():
            if not len(pairs):
                continue
            features = {"": scores, "rank_": place} if kind == "held" else {"": scores}
            for feature, table in features.items():
                auc, found = same_entity_attack(of(members, table), group, of(pairs, table), pairs[:, side.column])
                values[f"{name}_{feature}auc" + ("" if kind == "held" else f"_{kind}")] = (auc, user)
                if kind == "held":
                    values[f"{name}_{feature}tpr_at_fpr_0.01"] = (found, user)
        if side.kind == "item" and vectors["user"] is not None:
            values["taker_probe_auc"] = (taker_probe(vectors["user"], split.removed, members, side.others["matched"]), user)
    for kind, final in vectors.items():
        lost = questions.gone(kind)
        norms = row_norms(one.model, fresh, kind, lost) if has_entity_rows(one.model) else None
        if norms is not None:
            values[f"{kind}_row_norm"] = (norms, lost)
        if final is not None:
            _keep(questions, answer, kind, final)


def _altered(task: Any, questions: Questions, answer: Measured, one: Judged) -> None:
    """Nearest items of those that lost a modality, on the served input."""
    table = final_vectors(task, one.model, served_on(questions.split, one), "item")
    here = questions.split.retain_data.alive_items.nonzero().view(-1)
    if table is not None and len(here) > 2:
        answer.neighbours["altered item"] = nearest_rows(
            table[here],
            num_neighbors=max(1, min(NEIGHBOURS, (len(here) - 1) // 4)),
            index=torch.searchsorted(here, questions.bare),
        )


def _keep(questions: Questions, answer: Measured, kind: str, table: Tensor) -> None:
    """Vectors of what is retained and nearest ones of what is forgotten, for comparisons with other models."""
    cold, data, lost = questions.cold, questions.split.retain_data, questions.gone(kind)
    here, kept = (cold.alive_items, data.alive_items) if kind == "item" else (cold.alive_users, data.alive_users)
    answer.vectors[kind] = table[kept]
    here = here.nonzero().view(-1)
    if len(lost) and len(here) > 2:
        answer.neighbours[kind] = nearest_rows(
            table[here], num_neighbors=max(1, min(NEIGHBOURS, (len(here) - 1) // 4)), index=torch.searchsorted(here, lost)
        )


def _places(
    questions: Questions, score: Scorer, pairs: Tensor, gone: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores, places and ranks of pairs; retained training items are no candidates.

    Returns:
        Scores, places (1 is the first, 0 the last) and ranks, each [n], and the share of the audience's lists that goes to the
        items ``gone``, [audience], empty without these.
    """
    exposed = questions.audience if gone is not None and len(gone) else questions.audience[:0]
    users = torch.unique(torch.cat([pairs[:, 0], exposed]))
    order = torch.argsort(pairs[:, 0], stable=True)
    ends = torch.searchsorted(pairs[order, 0].contiguous(), users, right=True)
    shown = torch.isin(users, exposed)
    size, start = _block(questions.cold), 0
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    shares = [torch.zeros(0, dtype=torch.double)]
    for block, listed, end in zip(users.split(size), shown.split(size), ends.split(size), strict=True):
        rows = pairs[order[start : int(end[-1])]]
        start += len(rows)
        table = score(block)
        local = torch.stack([torch.searchsorted(block, rows[:, 0].contiguous()), rows[:, 1]], 1)
        found = pair_ranks(table, local, exclude=questions.positives.of(block))
        parts.append((table[local[:, 0], local[:, 1]].double(), *found))
        if gone is not None and bool(listed.any()):
            ranked = top_items(table[listed], questions.top_k, exclude=questions.positives.of(block[listed]))
            shares.append(exposure_at_k(ranked, gone))
    scores, rank, count = (torch.cat(column)[torch.argsort(order)] for column in zip(*parts, strict=True))
    return scores, rank_percentile(rank, count), rank, torch.cat(shares)


# ---- between two models ---------------------------------------------------------------------------------------
def compare(questions: Questions, one: Measured, gold: Measured, position: int) -> dict[tuple[str, str], Tensor]:
    """``{(subset, metric): per element}`` between a model and a gold; one element for a figure of all at once.

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
    for kind in ("item", "user"):
        if kind in one.vectors and kind in gold.vectors and len(one.vectors[kind]) > 1:
            cka = linear_cka(one.vectors[kind], gold.vectors[kind])
            found[f"retained {kind}s", "linear_cka"] = torch.tensor([cka], dtype=torch.double)
    for kind, subset in (("item", "forgotten items"), ("user", "forgotten users"), ("altered item", "altered items")):
        if kind in one.neighbours and kind in gold.neighbours:
            found[subset, "neighbourhood_overlap"] = shared_neighbours(one.neighbours[kind], gold.neighbours[kind])
    return found
