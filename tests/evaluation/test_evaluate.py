from __future__ import annotations

import copy
import json

import pytest
import torch

from graphforget.base import Outcome, Recipe, Tags, Unlearner
from graphforget.evaluation import evaluate
from graphforget.exceptions import InputError
from graphforget.metrics import METRICS
from graphforget.reporting import Report
from graphforget.requests import DeletionRequest
from graphforget.testing import tiny_case
from graphforget.unlearners import METHODS

TASKS = {
    "node_classification": "nodes",
    "link_prediction": "edges",
    "image_classification": "samples",
    "recommendation": "interactions",
}


class Noise(Unlearner):
    """A strawman: random noise on every weight."""

    tags = Tags(key="noise", summary="noise", citation="test")

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def _unlearn(self, run):
        with torch.no_grad():
            for parameter in run.model.parameters():
                parameter.add_(self.scale * torch.randn(parameter.shape, generator=run.generator))
        return Outcome()


def run(name: str, *methods, gold=3, request=None, **options) -> Report:
    case = tiny_case(name)
    split = case.task.split(case.data, case.requests[request or next(iter(case.requests))])
    made = [METHODS[m](**METHODS[m].test_params()[0]) if isinstance(m, str) else m for m in methods]
    return evaluate([m.unlearn(case.model(), case.task, split) for m in made], gold=gold, cache=False, **options)


def value(report: Report, role: str, metric: str, subset: str, method: str = "") -> float:
    rows = [
        r.value
        for r in report.rows
        if (r.role, r.metric, r.subset) == (role, metric, subset) and (not method or method in r.method)
    ]
    assert rows, (role, metric, subset, method)
    return sum(rows) / len(rows)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_gets_the_same_rows(name):
    report = run(name, "identity", "finetune")
    roles = {r.role for r in report.rows}
    assert {"original", "unlearned", "gold", "floor"} <= roles
    assert ("unlink" in roles) == tiny_case(name).task.has_input_graph
    for role in ("original", "unlearned", "gold"):
        for subset in ("deleted", "retained", "test"):
            assert 0 <= value(report, role, "mean_abs_dp", subset) <= 1
    assert 0 <= value(report, "gold", "mia_auc", "deleted") <= 1
    for row in report.rows:
        # The tiny recommender ranks 5 items; the record is that of 20.
        low, high = METRICS[row.metric.replace("@5", "@20")].range
        assert row.value != row.value or low - 1e-9 <= row.value <= high + 1e-9, row
    assert Report.from_json(report.to_json()) == report
    json.dumps(report.meta)


def test_gold_rows_are_distances_to_the_other_golds():
    report = run("link_prediction", "unlink")
    golds = [r.value for r in report.rows if r.role == "gold" and r.metric == "mean_abs_dp" and r.subset == "deleted"]
    assert len(golds) == 3
    assert sum(golds) / 3 == pytest.approx(value(report, "floor", "mean_abs_dp", "deleted"))


def test_identity_is_served_on_the_original_input_and_equals_the_original():
    report = run("link_prediction", "identity")
    for subset in ("deleted", "retained", "test"):
        assert value(report, "unlearned", "mean_abs_dp", subset) == value(report, "original", "mean_abs_dp", subset)


def test_unlink_equals_the_unlink_control():
    report = run("link_prediction", "unlink")
    assert value(report, "unlearned", "mean_abs_dp", "deleted") == value(report, "unlink", "mean_abs_dp", "deleted")


@pytest.mark.parametrize("name", ["node_classification", "link_prediction"])
def test_the_panel_ranks_noise_below_retraining(name):
    report = run(name, "retrain", Noise())
    for subset in ("retained", "test"):
        assert value(report, "unlearned", "mean_abs_dp", subset, "retrain") < value(
            report, "unlearned", "mean_abs_dp", subset, "noise"
        )
    assert report.meta["verdicts"]["noise"]["label"] == "insufficient"


def test_several_methods_have_a_verdict_each_and_one_method_has_one():
    several = run("node_classification", "identity", "finetune")
    assert several.verdict is None and len(several.meta["verdicts"]) == 2
    single = run("node_classification", "finetune")
    assert single.verdict is not None and "verdicts" not in single.meta


def test_a_class_request_reports_the_forgotten_side_of_the_test_part():
    case = tiny_case("image_classification")
    name = next(n for n, r in case.requests.items() if r.of("class"))
    report = run("image_classification", "retrain", request=name)
    assert {r.subset for r in report.rows if r.metric == "accuracy"} >= {"test", "test_forget"}


def test_a_sequence_is_judged_on_everything_deleted():
    case = tiny_case("link_prediction")
    pairs = case.data.pairs()
    from graphforget.requests import DeletionRequest

    first = METHODS["unlink"]().unlearn(
        case.model(), case.task, case.task.split(case.data, DeletionRequest.edges(pairs=pairs[:3]))
    )
    second = first.then(DeletionRequest.edges(pairs=first.split.retain_data.pairs()[:2]))
    report = evaluate(second, gold=2, cache=False)
    assert report.meta["counts"]["removed"] == 5 and report.meta["requests_in_sequence"] == 2


def test_evaluation_changes_no_model():
    case = tiny_case("node_classification")
    result = case.unlearn("finetune", "nodes")
    before = copy.deepcopy(result.model.state_dict())
    evaluate(result, gold=2, cache=False)
    assert all(torch.equal(before[k], v) for k, v in result.model.state_dict().items())


def test_a_model_that_returns_nan_is_named():
    case = tiny_case("node_classification")
    result = case.unlearn("finetune", "nodes")
    with torch.no_grad():
        next(result.model.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="unlearned model returns NaN"):
        evaluate(result, gold=2, cache=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gold": 0}, "gold must be at least 1"),
        ({"margin": 0.0}, "margin must be above 0"),
        ({"tolerance": -1.0}, "tolerance not negative"),
    ],
)
def test_bad_numbers_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        run("node_classification", "identity", **options)


def test_results_of_different_requests_are_refused():
    case = tiny_case("link_prediction")
    names = [n for n in case.requests if not METHODS["unlink"]().supports(case.task, case.requests[n])][:2]
    results = [case.unlearn("unlink", n) for n in names]
    with pytest.raises(InputError, match="different data, requests or tasks"):
        evaluate(results, gold=2, cache=False)
    with pytest.raises(InputError, match="at least one result"):
        evaluate([])
    with pytest.raises(InputError, match="got dict"):
        evaluate([{}])


def test_results_that_need_different_golds_are_refused():
    results = []
    for recipe in (Recipe(epochs=2), Recipe(epochs=3)):
        case = tiny_case("node_classification")
        task = type(case.task)(build=case.task.build, recipe=recipe)
        results.append(METHODS["unlink"]().unlearn(case.model(), task, task.split(case.data, case.requests["nodes"])))
    with pytest.raises(InputError, match="golds of their own"):
        evaluate(results, gold=1, cache=False)


def test_membership_is_asked_of_removed_examples_only():
    """Affected examples were in gold's training data, so gold is no model that never saw them."""
    case = tiny_case("node_classification")
    split = case.task.split(case.data, DeletionRequest.nodes(case.data.splits["test"][:1]))
    assert split.forget_source == "affected"
    report = evaluate(METHODS["unlink"]().unlearn(case.model(), case.task, split), gold=2, cache=False)
    assert not any(r.metric.startswith("mia") for r in report.rows)


def test_each_result_is_compared_with_its_own_original():
    case = tiny_case("node_classification")
    split = case.task.split(case.data, case.requests["nodes"])
    models = case.model(), case.task.new_model(case.data, seed=9)
    report = evaluate(
        [METHODS["identity"]().unlearn(m, case.task, split, seed=i) for i, m in enumerate(models)], gold=1, cache=False
    )
    shifts = [r.value for r in report.rows if (r.role, r.metric) == ("unlearned", "shift_mia")]
    assert shifts == [0.5, 0.5]  # doing nothing shifts nothing


def test_a_sequence_is_served_priced_and_named_as_a_whole():
    case = tiny_case("link_prediction")
    from graphforget.requests import DeletionRequest

    first = METHODS["retrain"]().unlearn(case.model(), case.task, case.task.split(case.data, case.requests["nodes"]))
    pairs = first.split.retain_data.pairs()[:2]
    second = first.then(DeletionRequest.edges(pairs=pairs), method=METHODS["identity"]())
    assert second.data is first.split.retain_data
    report = evaluate(second, gold=2, cache=False)  # deleted nodes are dead in what it is served on: no NaN may come of it
    seconds = value(report, "unlearned", "seconds", "all")
    assert seconds == pytest.approx(first.cost.seconds + second.cost.seconds)
    assert {r.method for r in report.rows if r.role == "unlearned"} == {"retrain, then identity"}


def test_links_without_test_negatives_are_judged_without_utility():
    from dataclasses import replace

    case = tiny_case("link_prediction")
    bare = replace(case.data, splits={k: v for k, v in case.data.splits.items() if not k.endswith("_neg")})
    result = METHODS["unlink"]().unlearn(case.model(), case.task, case.task.split(bare, case.requests["edges"]))
    report = evaluate(result, gold=2, cache=False)
    assert not [r for r in report.rows if r.metric == "roc_auc"] and report.verdict is not None
