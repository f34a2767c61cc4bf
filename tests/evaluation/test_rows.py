from __future__ import annotations

import pytest
import torch
from torch import nn

from graphforget.base import Batch
from graphforget.evaluation.judged import Judged, Subset
from graphforget.evaluation.rows import (
    cost_rows,
    distance_rows,
    floor_of,
    floor_rows,
    gap_per_element,
    literature_rows,
    privacy_rows,
    signed_gap,
    utility_rows,
)
from graphforget.requests import DeletionRequest
from graphforget.testing import tiny_case, tiny_task

TASK = tiny_task("link_prediction")


def subset(name: str, count: int) -> Subset:
    return Subset(name, "retained", (Batch(None, torch.zeros(count, 2, dtype=torch.long), torch.ones(count)),))


def judged(role: str, **logits: float | torch.Tensor) -> Judged:
    outputs = {n: v if isinstance(v, torch.Tensor) else torch.full((10,), v, dtype=torch.float64) for n, v in logits.items()}
    return Judged(role, "retained", 0, nn.Identity(), outputs=outputs)


SUBSETS = {"deleted": subset("deleted", 10), "test": subset("test", 10), "retained": subset("retained", 10)}


def test_gap_floor_and_sign_in_closed_form():
    half, sure = 0.0, float(torch.logit(torch.tensor(0.9, dtype=torch.float64)))
    golds = [judged("gold", deleted=half, test=half, retained=half), judged("gold", deleted=sure, test=half, retained=half)]
    model = judged("unlearned", deleted=float(torch.logit(torch.tensor(0.8, dtype=torch.float64))), test=half, retained=half)
    assert gap_per_element(TASK, model, golds, "deleted")[0].item() == pytest.approx((0.3 + 0.1) / 2)
    assert floor_of(TASK, golds, "deleted") == pytest.approx(0.4) and floor_of(TASK, golds[:1], "deleted") is None
    assert signed_gap(TASK, model, golds, SUBSETS["deleted"]) == pytest.approx((0.3 - 0.1) / 2)
    rows = {(r.metric, r.subset): r.value for r in distance_rows(TASK, SUBSETS, model, golds)}
    assert rows["mean_abs_dp", "deleted"] == pytest.approx(0.2) and rows["mean_abs_dp", "test"] == 0
    assert rows["agreement", "test"] == 1
    floors = {(r.metric, r.subset): r.value for r in floor_rows(TASK, SUBSETS, golds)}
    assert floors["mean_abs_dp", "deleted"] == pytest.approx(0.4) and floors["js", "test"] == pytest.approx(0, abs=1e-12)


def test_membership_is_blind_on_exchangeable_elements_and_sees_a_memorising_model():
    draws = torch.Generator().manual_seed(0)

    def noisy(count: int, level: float = 0.0) -> torch.Tensor:
        return level + torch.randn(count, generator=draws, dtype=torch.float64)

    subsets = {"deleted": subset("deleted", 600), "test": subset("test", 1200)}
    golds = [judged("gold", deleted=noisy(600), test=noisy(1200)) for _ in range(3)]
    blind = {r.metric: r.value for r in privacy_rows(TASK, subsets, judged("x", deleted=noisy(600), test=noisy(1200)), golds)}
    seen = {r.metric: r.value for r in privacy_rows(TASK, subsets, judged("x", deleted=noisy(600, 6.0), test=noisy(1200)), golds)}
    assert abs(blind["mia_auc"] - 0.5) < 0.05 and abs(blind["confidence_mia_auc"] - 0.5) < 0.05
    assert seen["mia_auc"] > 0.95 and seen["confidence_mia_auc"] > 0.95
    assert privacy_rows(TASK, subsets, golds[0], golds[:1]) == []


def test_the_papers_own_figures_are_there_under_their_names():
    original = judged("original", deleted=2.0, retained=2.0, test=2.0)
    now = judged("unlearned", deleted=-1.0, retained=2.0, test=2.0)
    rows = {r.metric: r.value for r in literature_rows(TASK, SUBSETS, now, original)}
    assert rows["gnndelete_auc_f"] == 1.0 and rows["shift_mia"] == 1.0
    before, after = torch.sigmoid(torch.tensor([2.0, -1.0])).tolist()
    assert rows["mi_ratio"] == pytest.approx(before / after, rel=1e-6)


def test_speedup_is_gold_over_own_processor_seconds():
    model = judged("unlearned")
    model.seconds, model.facts = 3.0, {"cpu_seconds": 2.0}
    rows = {r.metric: r.value for r in cost_rows(model, 10.0)}
    assert rows == {"cpu_seconds": 2.0, "seconds": 3.0, "speedup": 5.0}


def test_everyone_is_tested_on_the_same_examples():
    """A forgotten node takes test edges along; the original is not scored on those either."""
    case = tiny_case("link_prediction")
    node = int(case.data.splits["test"][0, 0])
    split = case.task.split(case.data, DeletionRequest.nodes([node]))
    seen = []

    class Spy:
        view = staticmethod(case.task.view)
        can_score = staticmethod(case.task.can_score)

        @staticmethod
        def utility(model, view):
            seen.append(view)
            return {}

    for context in ("original", "retained"):
        utility_rows(Spy, split, Judged("original", context, None, case.model()))
    original, retained = seen
    assert original.data is case.data and retained.data is split.retain_data
    assert torch.equal(original.index, retained.index) and len(original) < len(case.data.splits["test"])


def test_the_twin_gap_is_what_is_remembered_of_the_particular_elements():
    subsets = {name: subset(name, 10) for name in ("deleted", "twins", "retained", "test")}
    model = judged("unlearned", deleted=1.0, twins=0.0, retained=1.0, test=1.0)
    rows = {r.metric: r.value for r in literature_rows(TASK, subsets, model, model)}
    assert rows["twin_gap"] == pytest.approx(float(torch.sigmoid(torch.tensor(1.0))) - 0.5, abs=1e-6)
