from __future__ import annotations

import pytest
import torch
from torch import nn

from graphforget.base import frozen_copy, weights_digest
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import LinkPrediction
from graphforget.testing import tiny_case
from graphforget.unlearners import ShadowDistill
from graphforget.unlearners.graph.shadow_distill import _merged

QUICK = {"shadow_epochs": 20, "epochs": 5, "share": 1.0}


def setting(request="edges"):
    case = tiny_case("link_prediction")
    return case, case.task.split(case.data, case.requests[request])


def test_one_seed_gives_one_shadow_and_another_graph_another():
    case, split = setting()
    method, cpu = ShadowDistill(**QUICK), torch.device("cpu")
    one, again = (method.train_shadow(case.task, case.data, 5, cpu) for _ in range(2))
    assert weights_digest(one) == weights_digest(again)
    assert weights_digest(one) != weights_digest(method.train_shadow(case.task, split.retain_data, 5, cpu))


def test_equal_shadows_leave_the_ratio_estimate_at_the_original():
    # O = R: every ratio is 1, so with shrink 0 and full trust the target is the original's own logit.
    case, split = setting()
    shadow = ShadowDistill(**QUICK).train_shadow(case.task, case.data, 5, torch.device("cpu"))
    forget = split.view("forget", on="retained")
    original = frozen_copy(case.trained)
    wanted, facts = ShadowDistill(shrink=0.0, trust=1.0).targets(case.task, split, forget, original, shadow, shadow)
    batch = next(iter(case.task.batches(forget)))
    own = case.task.forward(original, batch)[0].outputs
    assert torch.allclose(wanted, own, atol=1e-6)
    assert facts["control_ratio"] == pytest.approx(1.0)


class Halved(nn.Module):
    """Embeddings scaled so that every dot product halves."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.accepts_sparse = True

    def forward(self, x, edge_index):
        return self.model(x, edge_index) * 0.5**0.5


def test_a_drop_that_far_edges_share_is_not_taken_for_forgetting():
    # Every logit of the second shadow is half of the first's: the control says so too, and the difference is nothing.
    case, split = setting()
    shadow = ShadowDistill(**QUICK).train_shadow(case.task, case.data, 5, torch.device("cpu"))
    forget = split.view("forget", on="retained")
    _, facts = ShadowDistill(shrink=0.0).targets(
        case.task, split, forget, frozen_copy(case.trained), shadow, Halved(shadow).eval()
    )
    assert facts["control_ratio"] == pytest.approx(0.5, rel=1e-4)
    assert all(v == pytest.approx(1.0, rel=1e-3) for k, v in facts.items() if k.startswith("factor_group"))


def test_the_mean_target_of_a_group_is_its_factor_times_the_mean_logit():
    case, split = setting()
    method, cpu = ShadowDistill(**QUICK), torch.device("cpu")
    before, after = method.train_shadow(case.task, case.data, 5, cpu), method.train_shadow(case.task, split.retain_data, 5, cpu)
    forget = split.view("forget", on="retained")
    original = frozen_copy(case.trained)
    wanted, facts = method.targets(case.task, split, forget, original, before, after)
    own = case.task.forward(original, next(iter(case.task.batches(forget))))[0].outputs
    new = case.task.forward(after, next(iter(case.task.batches(forget))))[0].outputs
    factors = [v for k, v in facts.items() if k.startswith("factor_group")]
    assert len(factors) == 1 and float(new.detach().mean()) > 0.1  # few edges: one group
    assert float(wanted.mean()) == pytest.approx(factors[0] * float(own.detach().mean()), rel=1e-5)


def test_preparing_first_and_preparing_late_agree():
    case, split = setting()
    method = ShadowDistill(**QUICK)
    prepared = method.prepare(case.model(), case.task, case.data, seed=3)
    early = method.unlearn(case.model(), case.task, split, seed=3, state=prepared.state)
    late = method.unlearn(case.model(), case.task, split, seed=3)
    assert weights_digest(early.model) == weights_digest(late.model)


def test_the_second_request_starts_from_the_first_ones_shadow():
    case, split = setting()
    method = ShadowDistill(**QUICK)
    first = method.unlearn(case.model(), case.task, split, seed=0)
    after = method.train_shadow(case.task, split.retain_data, int(first.state["shadow_seed"]), torch.device("cpu"))
    assert all(torch.equal(first.state[f"shadow.{k}"], v) for k, v in after.state_dict().items())
    second = first.then(DeletionRequest.edges(pairs=split.retain_data.pairs()[:2]))
    assert second.changed_parameters and int(second.state["shadow_seed"]) == int(first.state["shadow_seed"])


def test_without_forget_and_task_terms_and_decay_only_the_anchor_pulls():
    # The original's own opinion is the anchor: its gradient at the start is zero, so one tiny step hardly moves anything.
    case, split = setting()
    method = ShadowDistill(shadow_epochs=2, epochs=1, lr=1e-9, share=1.0, forget_weight=0.0, task_weight=0.0, decay=0.0)
    result = method.unlearn(case.model(), case.task, split, seed=0)
    before, after = case.trained.state_dict(), result.model.state_dict()
    assert all(torch.allclose(before[k], after[k], atol=1e-7) for k in before)


def test_rare_groups_join_their_neighbour():
    group = torch.tensor([0] * 20 + [1] * 3 + [2] * 30)
    assert _merged(group).tolist() == [0] * 23 + [2] * 30
    assert set(_merged(torch.tensor([0, 1, 3])).tolist()) == {1}


def test_nodes_and_features_are_served_too():
    for request in ("nodes", "features"):
        case, split = setting(request)
        result = ShadowDistill(**QUICK).unlearn(case.model(), case.task, split, seed=0)
        assert all(bool(torch.isfinite(p).all()) for p in result.model.parameters()), request


def test_a_graph_without_features_is_refused():
    edges = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    data = GraphData.create(edges, 4)
    method = ShadowDistill(**QUICK)
    with pytest.raises(InputError, match="node features"):
        method.train_shadow(LinkPrediction(), data, 0, torch.device("cpu"))


def test_the_far_control_excludes_touched_nodes_where_there_are_enough(monkeypatch):
    case, split = setting()
    seen: list[View] = []
    from graphforget.unlearners.graph import shadow_distill

    inner = shadow_distill._logits

    def spy(task, model, view):
        seen.append(view)
        return inner(task, model, view)

    monkeypatch.setattr(shadow_distill, "_logits", spy)
    monkeypatch.setattr(shadow_distill, "FEWEST_FAR", 1)
    shadow = ShadowDistill(**QUICK).train_shadow(case.task, case.data, 5, torch.device("cpu"))
    forget = split.view("forget", on="retained")
    ShadowDistill().targets(case.task, split, forget, frozen_copy(case.trained), shadow, shadow)
    control = seen[3]  # after the forgotten edges under three models
    touched = torch.zeros(case.data.num_nodes, dtype=torch.bool)
    touched[forget.index.reshape(-1)] = True
    assert 0 < len(control) < len(split.retain) and not bool(touched[control.index].any())


@pytest.mark.parametrize(
    ("params", "message"),
    [({"share": 0.0}, "share"), ({"trust": 1.5}, "trust"), ({"lr": 0.0}, "lr"), ({"shadow_epochs": -1}, "shadow_epochs")],
)
def test_values_out_of_range_are_refused(params, message):
    with pytest.raises(InputError, match=message):
        ShadowDistill(**params)
