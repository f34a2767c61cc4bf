"""Metrics and attacks that are asked for: rows for every role, the right values, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from graphforget.attacks import lira
from graphforget.base.attack import AttackRecord
from graphforget.base.metric import MetricRecord
from graphforget.evaluation import evaluate
from graphforget.exceptions import InputError
from graphforget.metrics.divergence import confidence, margin
from graphforget.metrics.ranks import auc
from graphforget.reporting import Report
from graphforget.testing import tiny_case

INF = math.inf
SEEN: list = []


def metric(name, compute, within=(-INF, INF), *, needs_gold=False):
    return MetricRecord(name, "forgetting", within, "gold", needs_gold, "a test", f"What {name} says.", "Only a test.", compute)


def attack(name, receives, compute):
    return AttackRecord(name, receives, "a test", f"What {name} recognises.", "Only a test.", compute)


def surprise(measured):
    SEEN.append(measured)
    return -confidence(measured.output_kind, measured.outputs, measured.targets).log()


def to_gold(measured):
    return (measured.outputs - measured.gold.mean(0)).abs().flatten(1).mean(1)


@pytest.fixture(scope="module")
def case():
    return tiny_case("node_classification")


@pytest.fixture(scope="module")
def result(case):
    return case.unlearn("finetune", "nodes")


@pytest.fixture(scope="module")
def report(result):
    SEEN.clear()
    return evaluate(
        result,
        gold=2,
        cache=False,
        metrics=[metric("surprise", surprise, (0.0, INF)), metric("to_gold", to_gold, (0.0, INF), needs_gold=True), "ra", "ta"],
        attacks=[
            attack("mean_gap", ("confidences of deleted", "confidences of test"), lambda a, b: float(a.mean() - b.mean())),
            attack(
                "moved",
                ("outputs of deleted", "original outputs of deleted", "targets of deleted"),
                lambda now, before, y: {"mean": float((now - before).abs().mean()), "count": len(y)},
            ),
            attack("beyond", ("margins of deleted", "gold margins of deleted"), lambda a, g: float((a - g.mean(0)).mean())),
        ],
    )


def test_every_role_has_a_row_per_subset_with_the_mean_and_its_interval(report):
    roles = {(row.role, row.context) for row in report.rows if row.metric == "surprise"}
    assert roles == {("original", "original"), ("unlink", "retained"), ("unlearned", "retained"), ("gold", "retained")}
    subsets = {row.subset for row in report.rows if row.metric == "surprise"}
    assert {"deleted", "retained", "test"} <= subsets == {one.subset for one in SEEN}
    for row in report.rows:
        if row.metric == "surprise":
            assert row.low <= row.value <= row.high


def test_values_are_those_of_the_model_on_the_elements(report, result, case):
    split = result.split
    view = case.task.view(split.retain_data, "test")
    y = case.data.y[view.index]
    outputs = case.task.predict(result.model, view).double()
    expected = float(-outputs.log_softmax(-1).gather(1, y.view(-1, 1)).mean())
    assert report.values("unlearned", "surprise", "test") == [pytest.approx(expected)]
    assert report.values("unlearned", "ta", "test") == report.values("unlearned", "accuracy", "test")
    kept = case.task.predict(result.model, split.view("retain", on="retained")).argmax(-1)
    assert report.values("unlearned", "ra", "retained") == [float((kept == case.data.y[split.retain]).double().mean())]
    assert not report.values("unlearned", "ra", "test") and not report.values("unlearned", "ta", "retained")
    one = next(m for m in SEEN if m.role == "unlearned" and m.subset == "test")
    assert torch.equal(one.index, view.index) and torch.equal(one.targets, y) and one.gold is None
    assert one.outputs.dtype == torch.float64 and one.output_kind == "categorical"


def test_gold_models_are_compared_with_the_others(report):
    assert len(report.values("gold", "to_gold", "deleted")) == 2
    a, b = report.values("gold", "to_gold", "deleted")
    assert a == pytest.approx(b) and a > 0  # with two of them each is compared with the one other


def test_attacks_receive_what_they_declare(report, result):
    split = result.split
    confidences = {m.subset: confidence("categorical", m.outputs, m.targets) for m in SEEN if m.role == "unlearned"}
    expected = float(confidences["deleted"].mean() - confidences["test"].mean())
    assert report.values("unlearned", "mean_gap", "deleted") == [pytest.approx(expected)]
    assert report.values("original", "moved_mean", "deleted") == [0.0] and report.values("unlearned", "moved_mean")[0] > 0
    assert set(report.values("gold", "moved_count")) == {float(len(split.removed))}
    golds = [m for m in SEEN if m.role == "gold" and m.subset == "deleted"]
    margins = [margin("categorical", m.outputs, m.targets) for m in golds]
    assert report.values("gold", "beyond") == [pytest.approx(float((a - b).mean())) for a, b in (margins, margins[::-1])]


def test_the_report_explains_them_wherever_it_is_read(report):
    back = Report.from_json(report.to_json())
    assert [one["name"] for one in back.meta["requested"]] == ["surprise", "to_gold", "ra", "ta", "mean_gap", "moved", "beyond"]
    for text in (back.to_markdown().replace("\\", ""), back.to_html(figures=False)):
        assert (
            "What surprise says." in text
            and "What mean_gap recognises." in text
            and text.count("Accuracy on the test elements") == 1
        )
    assert "requested" not in back.to_html(figures=False).partition("Provenance")[2]


def test_a_report_without_them_is_what_it_was(report, result):
    plain = evaluate(result, gold=2, cache=False)
    names = {"surprise", "to_gold", "ra", "ta", "mean_gap", "moved_mean", "moved_count", "beyond"}
    timed = {"seconds", "cpu_seconds", "speedup"}
    rows = [row for row in report.rows if row.metric not in names | timed]
    assert rows == [row for row in plain.rows if row.metric not in timed] and "requested" not in plain.meta
    assert plain.verdict == report.verdict


def test_our_own_attacks_are_run_on_request(result):
    report = evaluate(result, gold=3, cache=False, attacks=["lira"], metrics=[metric("seen", surprise)])
    said = {(m.role, m.subset): margin("categorical", m.outputs, m.targets) for m in SEEN[-200:]}
    assert len(report.values("gold", "lira_mia_auc")) == 3
    golds = {
        s: torch.stack([margin("categorical", m.outputs, m.targets) for m in SEEN if m.role == "gold" and m.subset == s][-3:])
        for s in ("deleted", "test")
    }
    expected = auc(lira(said["unlearned", "deleted"], golds["deleted"]), lira(said["unlearned", "test"], golds["test"]))
    assert report.values("unlearned", "lira_mia_auc", "deleted") == [pytest.approx(expected)]
    few = evaluate(result, gold=2, cache=False, attacks=["lira"])
    assert few.values("unlearned", "lira_mia_auc") and not few.values("gold", "lira_mia_auc")
    assert any("role 'gold' was not measured: out needs at least two models" in note for note in few.meta["notes"])


@pytest.mark.parametrize("name", ["link_prediction", "image_classification", "recommendation"])
def test_they_are_measured_for_every_kind_of_output(name):
    case = tiny_case(name)
    request = {"link_prediction": "edges", "image_classification": "samples", "recommendation": "items"}[name]
    result = case.unlearn("finetune", request)
    wanted = ("confidences of deleted", "gold confidences of deleted", "elements of deleted")
    one = attack("sure", wanted, lambda a, g, ids: {"gap": float((a - g.mean(0)).mean()), "elements": ids.size(0)})
    report = evaluate(result, gold=2, cache=False, metrics=[metric("surprise", surprise)], attacks=[one])
    assert report.values("unlearned", "surprise", "deleted")[0] > 0
    assert report.values("unlearned", "sure_elements") == [float(len(result.split.removed))]


def test_what_cannot_be_measured_is_said(result):
    def refuses(measured):
        raise InputError("there is nothing to say.")

    never = attack("nowhere", ("outputs of test_forget",), lambda a: 0.0)
    golden = metric("golden", to_gold, needs_gold=True)
    report = evaluate(result, gold=1, cache=False, metrics=[metric("silent", refuses), golden], attacks=[never])
    notes = " ".join(report.meta["notes"])
    assert "'silent' on the 'deleted' elements of a model of role 'original' was not measured: there is nothing to say." in notes
    assert "The attack 'nowhere' was not run: there are no 'test_forget' elements here." in notes
    assert "The metric 'golden' needs a second gold model" in notes and report.values("unlearned", "golden")


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda m: 2.0, "gives 2.0, which is outside its range from 0.0 to 1.0"),
        (lambda m: float("nan"), "gives nan"),
        (lambda m: torch.zeros(3), "must be one value per element"),
        (lambda m: "much", "must give numbers, got str|could not convert"),
        (lambda m: 1 / 0, r"the metric 'bad' on the '\w+' elements of a model of role 'original' failed \(ZeroDivisionError"),
    ],
)
def test_a_metric_that_is_wrong_is_refused(result, compute, says):
    with pytest.raises(InputError, match=says):
        evaluate(result, gold=1, cache=False, metrics=[metric("bad", compute, (0.0, 1.0))])


def test_names_are_checked_before_anything_is_trained(result):
    def none(*_):
        raise AssertionError("a gold model was trained")

    good = metric("good", surprise)
    for options, says in [
        ({"metrics": ["mean_abs_dq"]}, "unknown metric 'mean_abs_dq': did you mean 'mean_abs_dp'"),
        (
            {"metrics": ["mean_abs_dp"]},
            "'mean_abs_dp' is not measured on request: .* Of graphforget's own, ra, ta can be asked for",
        ),
        ({"attacks": ["rmia"]}, "'rmia' is not measured on request: .* Of graphforget's own, lira can be asked for"),
        ({"metrics": [metric("js", surprise)]}, "'js' has the name of one of graphforget's own"),
        ({"metrics": [good, metric("good", to_gold)]}, "two metrics are called 'good'"),
        ({"metrics": [surprise]}, "given by name, by path or as MetricRecord"),
        ({"metrics": "ra"}, r"given as a list, for example metrics=\['ra'\]"),
        ({"metrics": ["math:pi"]}, "metric 'math:pi' must be a MetricRecord"),
    ]:
        with pytest.raises(InputError, match=says):
            evaluate(result, gold=1, cache=False, progress=none, **options)
    taken = attack("mia", ("outputs of deleted",), lambda a: {"auc": 0.5})
    with pytest.raises(InputError, match="gives a figure 'mia_auc', which is the name of a metric"):
        evaluate(result, gold=1, cache=False, attacks=[taken])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("confidence of deleted", "did you mean 'confidences'"),
        ("confidences of removed", "choose one of|did you mean"),
        ("golden confidences of deleted", "did you mean 'gold'"),
        ("gold targets of deleted", "the same for every model"),
        ("confidences", "choose one of"),
    ],
)
def test_an_attack_that_receives_what_is_not_measured_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        attack("a", (text,), lambda a: 0.0)
    AttackRecord("a", (text,), "a test", "Not run by evaluate, so its words are its own.")
