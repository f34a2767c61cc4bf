from __future__ import annotations

import pytest
import torch

from graphforget.base import weights_digest
from graphforget.evaluation import Relearning, evaluate, relearn
from graphforget.evaluation.judged import Judged
from graphforget.evaluation.relearning import relearning_rows
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.testing import tiny_case

CASE = tiny_case("recommendation")
SPLIT = CASE.task.split(CASE.data, CASE.requests["items"])
HOW = Relearning(share=0.5, steps=8, lr=0.05)


def test_the_loss_on_the_rest_falls_and_the_model_stays():
    model = CASE.unlearn("row_reset", "items").model
    before, draws = weights_digest(model), torch.random.get_rng_state()
    losses = relearn(CASE.task, SPLIT, model, HOW)
    assert len(losses) == 9 and losses[-1] < losses[0]
    assert weights_digest(model) == before and torch.equal(draws, torch.random.get_rng_state())
    assert losses == relearn(CASE.task, SPLIT, model, HOW)


@pytest.mark.parametrize("name", ["node_classification", "link_prediction", "image_classification"])
def test_other_tasks_can_be_asked_too(name):
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    assert len(relearn(case.task, split, case.model(), Relearning(share=0.5, steps=2))) == 3


def test_nothing_done_needs_no_step_and_gold_needs_some():
    golds = [Judged("gold", "retained", s, CASE.task.new_model(CASE.data, seed=s)) for s in (1, 2)]
    start = CASE.model()
    models = [Judged("original", "original", None, start), Judged("unlearned", "retained", 0, CASE.model(), "identity"), *golds]
    rows, facts = relearning_rows(CASE.task, SPLIT, start, models, golds, HOW)
    steps = {(r.role, r.seed): r.value for r in rows if r.metric == "relearn_steps"}
    assert steps["original", None] == steps["unlearned", 0] == 0 and steps["gold", 1] > 0
    assert {r.value for r in rows if r.metric == "ain"} == {0.0}
    assert [fact["role"] for fact in facts] == ["original", "unlearned", "gold", "gold"]
    assert all(fact["at_least"] == (fact["steps"] == 8) for fact in facts if fact["role"] == "gold")


def test_the_report_shows_it_where_it_is_asked_for():
    result = CASE.unlearn("row_reset", "items")
    report = evaluate(result, gold=2, cache=False, relearning=Relearning(share=0.5, steps=3))
    assert len(report.values("gold", "relearn_steps")) == 2 and report.values("unlearned", "relearn_steps", "deleted")
    assert len(report.meta["relearning"]) == 4
    assert "relearning" not in evaluate(result, gold=1, cache=False).meta


@pytest.mark.parametrize("bad", [{"share": 0.0}, {"share": 1.0}, {"steps": 0}, {"lr": 0.0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match="relearning needs"):
        Relearning(**bad)


def test_one_example_is_too_few():
    split = CASE.task.split(CASE.data, DeletionRequest.interactions(CASE.data.splits["train"][:1]))
    with pytest.raises(InputError, match="at least two deleted"):
        relearn(CASE.task, split, CASE.model())
