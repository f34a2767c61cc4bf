from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from graphforget.base import Ensemble, Recipe, RowBlock
from graphforget.evaluation import evaluate
from graphforget.evaluation.judged import Judged
from graphforget.evaluation.ranking import answers as ranking
from graphforget.evaluation.ranking.answers import compare, measure
from graphforget.evaluation.ranking.questions import make_questions, reingested
from graphforget.evaluation.ranking.rows import RankingEvidence, membership_checks, ranking_floor, ranking_rows, relative_gaps
from graphforget.evaluation.ranking.vectors import final_vectors, fresh_parameters, row_norms, with_fresh_rows
from graphforget.interactions import Interactions
from graphforget.metrics import bootstrap_interval
from graphforget.metrics.recommendation import softmax_js
from graphforget.models import EASE, VBPR, LightGCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case

CASE = tiny_case("recommendation")
SPLIT = CASE.task.split(CASE.data, CASE.requests["items"])


class Table(nn.Module):
    """Scores from a table [users, items]: every figure can be computed by hand."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, user, item):
        return self.scores[user, item]

    def score_all(self, user):
        return self.scores[user]


def planted():
    """6 users, 5 items; item 4 goes. Users 0 and 1 took it in training, user 2 in the test part, 3 to 5 never."""
    train = [[0, 0], [0, 4], [1, 1], [1, 4], [2, 0], [3, 1], [4, 2], [5, 3]]
    data = Interactions.create({"train": train, "test": [[2, 4], [0, 1], [3, 2]]}, num_users=6, num_items=5)
    task = Recommendation(build=lambda d: Table(torch.zeros(d.num_users, d.num_items)), top_k=2)
    return data, task, task.split(data, DeletionRequest.items([4]))


def remembering(level: float) -> torch.Tensor:
    """Item 4 scores ``level`` with its takers, 0.5 with the held-out one, 0 with the rest; items 0 to 3 score 0.4 to 0.1."""
    scores = torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0]).repeat(6, 1)
    scores[:2, 4], scores[2, 4] = level, 0.5
    return scores


def judged(model, role="unlearned", **fields) -> Judged:
    return Judged(role, fields.pop("context", "retained"), fields.pop("seed", 0), model.eval(), **fields)


def answers(*levels: float):
    _data, task, split = planted()
    questions = make_questions(task, split)
    models = [judged(Table(remembering(level)), "gold" if n else "original", seed=n) for n, level in enumerate(levels)]
    return questions, models, measure(task, questions, models, models[1:])


# ---- questions ------------------------------------------------------------------------------------------------
def test_the_reingest_context_has_the_items_back_without_an_interaction():
    data, _, split = planted()
    cold = reingested(split)
    assert cold.alive_items.all() and not split.retain_data.alive_items[4]
    assert cold.splits["train"].tolist() == split.retain_data.splits["train"].tolist()
    assert data.splits["train"].size(0) == 8  # the first data are as they were


def test_content_is_back_in_the_reingest_context_of_a_model_that_reads_it():
    features = torch.eye(5)
    data = Interactions.create({"train": [[0, 0], [0, 4], [1, 1], [2, 2], [2, 3]]}, features={"text": features})
    task = Recommendation(build=lambda d: LightGCN(d.num_users, d.num_items, 4))
    task.new_model(data, seed=0)
    split = task.split(data, DeletionRequest.items([4]))
    assert split.retain_data.features["text"][4].isnan().all()
    assert torch.equal(reingested(split).features["text"], features) and reingested(split) is split.unlinked_data


def test_non_members_are_held_out_and_matched_and_never_trained_on():
    questions = make_questions(CASE.task, SPLIT)
    (side,) = questions.sides
    assert side.kind == "item" and torch.equal(side.members, SPLIT.removed)
    trained = CASE.data.keys(CASE.data.splits["train"])
    for pairs in side.others.values():
        assert len(pairs) and not torch.isin(CASE.data.keys(pairs), trained).any()
        assert set(pairs[:, 1].tolist()) <= {2, 9}
    test = CASE.data.part("test")
    assert torch.equal(side.others["held"], test[torch.isin(test[:, 1], torch.tensor([2, 9]))])
    assert side.judged_by == ("same_item_auc_matched",)  # too few held-out pairs to judge by


def test_of_many_deleted_pairs_some_are_asked_about_and_exposure_is_of_all_items(monkeypatch):
    from graphforget.evaluation.ranking import questions as module

    whole = make_questions(CASE.task, SPLIT)
    monkeypatch.setattr(module, "PAIRS", 3)
    some = make_questions(CASE.task, SPLIT)
    assert len(some.forgotten) == 3 < len(whole.forgotten) and len(some.sides[0].members) == 3
    keys = CASE.data.keys
    assert torch.isin(keys(some.forgotten), keys(SPLIT.removed)).all() and (keys(some.forgotten).diff() > 0).all()
    one = judged(CASE.model(), context="original", data=CASE.data)
    shares = [measure(CASE.task, q, [one], [])[0].values["exposure@5"][0].tolist() for q in (whole, some)]
    assert shares[0] == shares[1]


def test_quartiles_cover_the_test_pairs_in_order_of_activity_and_popularity():
    questions = make_questions(CASE.task, SPLIT)
    for name, column, counts in (
        ("users' activity", 0, CASE.task.context(SPLIT.retain_data).positives.counts()),
        ("items' popularity", 1, CASE.task.context(SPLIT.retain_data).popularity),
    ):
        parts = [rows for subset, rows in questions.groups.items() if name in subset]
        assert sorted(torch.cat(parts).tolist()) == list(range(len(questions.test)))
        means = [float(counts[questions.test[rows, column]].double().mean()) for rows in parts]
        assert means == sorted(means)


def test_users_and_single_pairs_have_sides_of_their_own():
    sides = {
        name: [(s.kind, len(s.members)) for s in make_questions(CASE.task, CASE.task.split(CASE.data, request)).sides]
        for name, request in CASE.requests.items()
    }
    assert [kind for kind, _ in sides["users"]] == ["user"] and [kind for kind, _ in sides["interactions"]] == ["item"]
    assert [kind for kind, _ in sides["two kinds"]] == ["item", "user"]
    assert sum(n for _, n in sides["two kinds"]) == len(CASE.task.split(CASE.data, CASE.requests["two kinds"]).removed)


# ---- answers, by hand -----------------------------------------------------------------------------------------
def test_every_statistic_of_deleted_data_by_hand():
    questions, _, (original, gold, _) = answers(0.9, 0.25, 0.0)
    value = {name: values.tolist() for name, (values, _) in original.values.items()}
    assert value["forget_recall@2"] == [1, 1] and value["forget_percentile"] == [1, 1]
    # Lists of two, what the user has left out: item 4 leads those of users 0 to 2 and is in no other one.
    assert value["exposure@2"] == [0.5, 0.5, 0.5, 0, 0, 0]
    assert value["same_item_auc"] == [1, 1] and value["same_item_auc_matched"] == [1, 1]
    assert value["same_item_tpr_at_fpr_0.01"] == [1, 1]
    assert value["same_item_rank_tpr_at_fpr_0.01"] == [0, 0]  # the item leads the held-out list of user 2 as well: a tie
    value = {name: values.tolist() for name, (values, _) in gold.values.items()}
    # User 0 has item 0, so items 1, 2, 3 and 4 are candidates: 0.3, 0.2, 0.1 and 0.25.
    assert value["forget_recall@2"] == [1, 1] and value["forget_percentile"] == pytest.approx([2 / 3, 2 / 3])
    assert value["same_item_auc"] == [0, 0]  # 0.25 is below the held-out user's 0.5
    assert questions.sides[0].others["held"].tolist() == [[2, 4]]


def test_utility_by_hand_and_the_mask_is_applied_where_it_is_served():
    data, task, split = planted()
    questions, model = make_questions(task, split), Table(remembering(0.9))
    deny = {"item": torch.tensor([4])}
    open_, masked, retained = (
        judged(copy.deepcopy(model), context=context, deny=denied, data=data)
        for context, denied in (("original", {}), ("original", deny), ("retained", {}))
    )
    # User 0 is to be shown item 1: item 0 is hers already, item 4 a known one on the original input. User 3: item 2.
    found = measure(task, questions, [open_, masked, retained], [retained])
    recall = [answer.utility["test", "recall@2"].tolist() for answer in found]
    assert recall == [[1, 1], [1, 1], [1, 1]]
    lists = [answer.lists[questions.audience.tolist().index(2)].tolist() for answer in found]
    assert lists == [[4, 1], [1, 2], [1, 2]]  # user 2 has item 0 and never took item 4 in training
    for answer in found:  # what is asked of deleted pairs is asked with the mask off
        assert answer.values["forget_recall@2"][0].tolist() == [1, 1]


def test_overall_utility_equals_the_task_s():
    questions = make_questions(CASE.task, SPLIT)
    one = judged(CASE.model())
    (answer,) = measure(CASE.task, questions, [one], [])
    expected = CASE.task.utility(one.model, CASE.task.view(SPLIT.retain_data, "test"))
    for name, value in expected.items():
        assert float(answer.utility["test", name].nanmean()) == pytest.approx(value)


def test_doing_nothing_has_gap_one_and_the_golds_mean_gap_is_zero():
    _, _, (original, *golds) = answers(0.9, 0.25, 0.15, 0.0)
    gaps = relative_gaps(original, original, golds)
    assert gaps["forget_percentile"].value == pytest.approx(1) and gaps["same_item_auc"].value == pytest.approx(1)
    means = [relative_gaps(gold, original, golds)["forget_percentile"].value for gold in golds]
    assert sum(means) / 3 == pytest.approx(0, abs=1e-9) and means[0] > 0 > means[2]


def test_over_forgetting_is_flagged_with_its_statistic():
    _data, task, split = planted()
    models = [
        judged(Table(remembering(level)), role, seed=n)
        for n, (role, level) in enumerate([("original", 0.9), ("gold", 0.25), ("gold", 0.25), ("unlearned", -1.0)])
    ]
    evidence = RankingEvidence(task, split, models, models[1:3])
    rows = {r.metric: r.value for r in evidence.rows(models[3], models[0])}
    assert rows["gap_forget_percentile"] == pytest.approx((0 - 2 / 3) / (1 - 2 / 3))
    flagged = {fact["statistic"]: fact["over_forgotten"] for fact in evidence.facts}
    assert flagged["forget_percentile"] and "gap_same_item_rank_auc" in rows


# ---- between models -------------------------------------------------------------------------------------------
def test_a_model_agrees_with_itself_and_the_floor_is_between_golds():
    questions, models, found = answers(0.9, 0.25, 0.25)
    same = compare(questions, found[1], found[2], 1)
    assert same["lists", "jaccard@2"].tolist() == [1] * 6 and same["lists", "softmax_js"].tolist() == pytest.approx([0] * 6)
    floor = {(r.subset, r.metric): r.value for r in ranking_floor(questions, found[1:])}
    assert floor["lists", "rbo@2"] == pytest.approx(1) and floor["lists", "softmax_js"] == pytest.approx(0, abs=1e-9)
    rows = {(r.subset, r.metric) for r in ranking_rows(questions, models[1], found[1], found[1:])}
    assert ("lists", "jaccard@2") in rows and ("deleted", "forget_percentile") in rows


def test_neighbourhoods_of_forgotten_items_follow_final_vectors():
    questions = make_questions(CASE.task, SPLIT)
    other = CASE.model()
    with torch.no_grad():  # the same geometry turned: every neighbourhood stays
        turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0))).Q
        other.item_embedding.weight.copy_(other.item_embedding.weight @ turn)
    lost = CASE.model()
    with torch.no_grad():
        lost.item_embedding.weight[[2, 9]] = -lost.item_embedding.weight[[2, 9]]
    models = [judged(m) for m in (CASE.model(), other, lost)]
    found = measure(CASE.task, questions, models, models[:1])
    key = ("forgotten items", "neighbourhood_overlap")
    assert compare(questions, found[1], found[0], 0)[key].tolist() == [1, 1]
    assert float(compare(questions, found[2], found[0], 0)[key].mean()) < 0.5


def test_models_without_vectors_or_rows_go_without():
    data, task, _ = planted()
    plain = Table(remembering(0.9))
    assert final_vectors(task, plain, data, "item") is None
    *_, found = answers(0.9, 0.2)
    assert not found[0].vectors and not {"reingest_percentile", "item_row_norm", "taker_probe_auc"} & set(found[0].values)
    assert final_vectors(task, Ensemble([plain]), data, "item") is None
    ease = EASE(6, 5)
    assert final_vectors(task, ease, data, "item") is None


class Shared(nn.Module):
    """Users and items in one table: rows of an item start after the users'."""

    def __init__(self, users: int, items: int) -> None:
        super().__init__()
        self.users, self.table = users, nn.Parameter(torch.randn(users + items, 3))

    def entity_rows(self):
        return {"user": [RowBlock("table")], "item": [RowBlock("table", self.users)]}

    def forward(self, user, item):
        return (self.table[user] * self.table[item + self.users]).sum(1)


def test_the_reingest_test_gives_fresh_rows_to_the_items_and_touches_nothing_else():
    data, _, split = planted()
    task = Recommendation(build=lambda d: Shared(d.num_users, d.num_items), top_k=2)
    model = task.new_model(data, seed=0)
    again = with_fresh_rows(model, fresh_parameters(task, reingested(split)), torch.tensor([4]))
    changed = (again.table != model.table).any(1).nonzero().view(-1).tolist()
    assert changed == [10] and torch.equal(final_vectors(task, model, data, "item"), model.table[6:])


def test_a_fresh_row_ranks_like_a_never_seen_item_and_the_remembered_one_does_not():
    questions = make_questions(CASE.task, SPLIT)
    one = judged(CASE.model(), context="original", data=CASE.data)
    (answer,) = measure(CASE.task, questions, [one], [])
    kept, fresh = (float(answer.values[name][0].mean()) for name in ("forget_percentile", "reingest_percentile"))
    assert kept > 0.9 and fresh < kept - 0.15


def figures(answer, pick=None):
    """Everything per user of an answer; of some of the audience, by position."""
    rows = slice(None) if pick is None else pick
    found = {f"{key}": value for key, value in answer.utility.items()}
    found |= {f"js {n}": js[rows] for n, js in enumerate(answer.js)} | {"lists": answer.lists[rows]}
    for name, (values, _) in answer.values.items():
        found[name] = values[rows] if name.startswith("exposure") else values
    return found | {f"near {kind}": ids for kind, ids in answer.neighbours.items()}


def three_models():
    models = [CASE.model(), CASE.unlearn("row_reset", "items").model, CASE.unlearn("finetune", "items").model]
    return [judged(m, role) for m, role in zip(models, ("unlearned", "gold", "gold"), strict=True)]


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    questions, models = make_questions(CASE.task, SPLIT), three_models()
    whole = measure(CASE.task, questions, models, models[1:])
    monkeypatch.setattr(ranking, "_CELLS", 3 * CASE.data.num_items)
    for one, other in zip(whole, measure(CASE.task, questions, models, models[1:]), strict=True):
        a, b = figures(one), figures(other)
        assert set(a) == set(b) and {"forget_percentile", "exposure@5", "lists", "js 1", "taker_probe_auc"} <= set(a)
        for name in a:
            torch.testing.assert_close(a[name], b[name], equal_nan=True, msg=name)


def test_a_sample_of_users_answers_what_they_answer_among_all(monkeypatch):
    from graphforget.evaluation.ranking import questions as module

    whole, models = make_questions(CASE.task, SPLIT), three_models()
    assert whole.sampled == {} and len(whole.audience) == int((whole.positives.counts() > 0).sum())
    monkeypatch.setattr(module, "AUDIENCE", len(whole.audience))
    assert torch.equal(make_questions(CASE.task, SPLIT).audience, whole.audience)  # at the limit everybody is asked
    monkeypatch.setattr(module, "AUDIENCE", 7)
    some = make_questions(CASE.task, SPLIT)
    assert some.sampled == {"users whose lists are compared": (7, len(whole.audience))}
    pick = torch.searchsorted(whole.audience, some.audience)
    assert len(pick) == 7 and torch.equal(whole.audience[pick], some.audience)
    both = (measure(CASE.task, q, models, models[1:]) for q in (whole, some))
    for one, other in zip(*both, strict=True):
        a, b = figures(one, pick), figures(other)
        for name in a:  # utility is of all test users in both
            torch.testing.assert_close(a[name], b[name], equal_nan=True, msg=name)


def test_the_report_says_what_was_sampled(monkeypatch):
    from graphforget.evaluation.ranking import questions as module

    monkeypatch.setattr(module, "AUDIENCE", 9)
    report = evaluate(CASE.unlearn("row_reset", "items"), gold=2, cache=False)
    drawn = report.meta["sampled"]["users whose lists are compared"]
    assert drawn["asked"] == 9 < drawn["of"]
    assert report.meta["asked"]["Users whose lists are compared"] == f"9 drawn of {drawn['of']}"


def test_js_to_every_gold_is_that_of_the_softmax_over_retained_items():
    questions, models = make_questions(CASE.task, SPLIT), three_models()
    found = measure(CASE.task, questions, models, models[1:])
    live = SPLIT.retain_data.alive_items
    tables = [CASE.task.score_all(one.model, SPLIT.retain_data, questions.audience)[:, live] for one in models]
    for number in range(3):
        for position, gold in enumerate((1, 2)):
            torch.testing.assert_close(found[number].js[position], softmax_js(tables[number], tables[gold]), atol=1e-12, rtol=0)


def test_rows_are_as_long_as_those_of_cold_items_times_what_is_planted():
    _, _, split = planted()
    task = Recommendation(build=lambda d: Shared(d.num_users, d.num_items), top_k=2)
    fresh = fresh_parameters(task, reingested(split))
    model = Shared(6, 5)
    with torch.no_grad():
        model.table.copy_(fresh["table"])
        model.table[6 + 4] *= 3
    assert row_norms(model, fresh, "item", torch.tensor([4])).tolist() == pytest.approx([3])
    assert float(row_norms(model, fresh, "user", torch.arange(6)).mean()) == pytest.approx(1)
    assert row_norms(model, fresh, "item", torch.empty(0, dtype=torch.long)) is None
    assert row_norms(model, {"table": torch.zeros(11, 3)}, "item", torch.tensor([4])) is None


def test_difference_to_gold_is_paired_over_users():
    questions, models = make_questions(CASE.task, SPLIT), three_models()
    found = measure(CASE.task, questions, models, models[1:])
    rows = {(r.subset, r.metric): r for r in ranking_rows(questions, models[0], found[0], found[1:])}
    for name in ("recall@5", "ndcg@5"):
        mine, *golds = (answer.utility["test", name] for answer in found)
        away = mine - (golds[0] + golds[1]) / 2
        row = rows["test", f"gold_difference_{name}"]
        assert row.value == pytest.approx(float(away.mean())) and (row.low, row.high) == bootstrap_interval(away)
    assert row.value != 0  # else its sign would be nobody's business
    assert rows["test, items' popularity Q1", "recall@5"].low is not None
    assert rows["retained items", "linear_cka"].low is None and 0 < rows["retained items", "linear_cka"].value <= 1


def test_items_that_lost_a_modality_are_looked_up_among_retained_items_on_the_served_input():
    task = Recommendation(build=lambda d: VBPR(d.num_users, d.num_items, d.modalities, dim=6), top_k=5)
    model = task.new_model(CASE.data, seed=0)
    with torch.no_grad():
        model.item_embedding.weight.mul_(0.1)  # content decides
    split = task.split(CASE.data, CASE.requests["images"] | DeletionRequest.items([2]))
    questions = make_questions(task, split)
    models = [judged(model, "original", context="original"), *(judged(task.new_model(CASE.data, seed=s), "gold") for s in (1, 2))]
    models.insert(1, judged(model, "unlearned"))
    found = measure(task, questions, models, models[2:])
    here = split.retain_data.alive_items.nonzero().view(-1)
    assert questions.bare.tolist() == [3, 12]
    for answer, one in zip(found, models, strict=True):
        data = CASE.data if one.role == "original" else split.retain_data
        table = nn.functional.normalize(final_vectors(task, one.model, data, "item"))
        near = answer.neighbours["altered item"]
        assert near.shape == (2, 4)
        for item, ids in zip((3, 12), here[near], strict=True):
            others = here[here != item]
            best = others[(table[others] @ table[item]).topk(4).indices]
            assert set(ids.tolist()) == set(best.tolist())
    value = compare(questions, found[0], found[1], 0)["altered items", "neighbourhood_overlap"]
    assert len(value) == 2 and float(value.mean()) < 1  # the content that is gone made neighbours
    assert float(compare(questions, found[1], found[1], 0)["altered items", "neighbourhood_overlap"].mean()) == 1


# ---- report and verdict ---------------------------------------------------------------------------------------
def test_a_membership_figure_outside_the_golds_prediction_interval_is_insufficient():
    _data, task, split = planted()
    questions = make_questions(task, split)
    found = measure(task, questions, models := [judged(Table(remembering(v))) for v in (0.9, -0.1, -0.1, -0.1)], models[1:])
    (check,) = membership_checks(questions, found[:1], found[1:])
    assert (check.outcome, check.direction, check.metric) == ("outside", "under-forgotten", "same_item_auc_matched")
    assert check.value == pytest.approx(1) and check.floor == 0
    (check,) = membership_checks(questions, found[1:2], found[1:])
    assert check.outcome == "inside" and check.value == 0
    assert membership_checks(questions, found[:1], found[1:2]) == []
    (check,) = membership_checks(questions, [found[0], found[0]], found[1:])
    assert check.outcome == "outside"


def test_the_report_has_the_evidence_for_every_role_and_words_for_the_verdict():
    results = [CASE.unlearn(method, "items") for method in ("identity", "row_reset")]
    report = evaluate(results, gold=3, cache=False)
    for role in ("original", "unlearned", "gold"):
        for metric in ("forget_recall@5", "same_item_auc_matched", "reingest_percentile", "exposure@5"):
            assert report.values(role, metric, "deleted"), (role, metric)
        assert report.values(role, "jaccard@5", "lists") and report.values(role, "recall@5", "test, users' activity Q1")
    assert report.values("floor", "jaccard@5", "lists") and report.values("floor", "reingest_ks", "deleted")
    gaps = {row.method: row.value for row in report.rows if row.metric == "gap_forget_percentile" and row.role == "unlearned"}
    assert gaps["identity"] == pytest.approx(1) and abs(gaps["row_reset"]) < 0.6
    assert {fact["method"] for fact in report.meta["relative_gaps"]} == {"identity", "row_reset"}
    assert report.meta["verdicts"]["identity"]["label"] == "insufficient"
    assert any("membership AUC" in sentence for sentence in report.meta["verdicts"]["identity"]["sentences"])


def test_a_model_that_reads_the_graph_is_asked_in_the_reingest_context():
    task = Recommendation(
        build=lambda d: LightGCN(d.num_users, d.num_items, 8, 1), top_k=5, recipe=Recipe(epochs=15, lr=0.05, batch_size=64)
    )
    model = task.new_model(CASE.data, seed=0)
    task.fit(model, CASE.data, seed=0)
    from graphforget.unlearners import METHODS

    result = METHODS["unlink"]().unlearn(model, task, task.split(CASE.data, CASE.requests["items"]))
    report = evaluate(result, gold=2, cache=False)
    before, unlinked = (report.values(role, "forget_percentile")[0] for role in ("original", "unlink"))
    assert unlinked < before  # its edges are gone, its row is not
    assert report.values("unlearned", "forget_percentile") == report.values("unlink", "forget_percentile")
    assert report.values("unlearned", "neighbourhood_overlap", "forgotten items")


def test_a_sequence_is_asked_about_everything_deleted():
    first = CASE.unlearn("row_reset", "items")
    second = first.then(CASE.later[2])
    report = evaluate(second, gold=2, cache=False)
    masked = first.then(CASE.later[2], method=CASE.unlearn("mask", "items").unlearner)
    other = evaluate(masked, gold=2, cache=False)
    for one in (report, other):
        assert one.meta["requests_in_sequence"] == 2 and one.values("unlearned", "forget_percentile", "deleted")
