from __future__ import annotations

import pytest
import torch

from graphforget.base import Forward, Recipe
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.models import BPRMF, LightGCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case
from graphforget.testing.snapshots import same_weights
from graphforget.unlearners import FineTune, MMRecUn
from graphforget.unlearners.recommendation.mmrecun import forget_recall


def forget_margin(case, model, split):
    (batch,) = case.task.batches(split.view("forget", on=split.forget_context))
    return float(case.task.forward(model, batch)[0].outputs.detach().mean())


@pytest.mark.parametrize("request_name", ["interactions", "items"])
def test_alpha_one_on_the_retained_data_is_fine_tuning(request_name):
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests[request_name])
    one = MMRecUn(alpha=1.0, epochs=3, lr=0.01).unlearn(case.model(), case.task, split, seed=4)
    two = FineTune(epochs=3, lr=0.01).unlearn(case.model(), case.task, split, seed=4)
    assert same_weights(one.model, two.model)
    assert one.changed_parameters


@pytest.mark.parametrize("nothing", [{"epochs": 0}, {"lr": 0.0}])
def test_no_steps_or_steps_of_no_length_change_nothing(nothing):
    result = tiny_case("recommendation").unlearn("mmrecun", "interactions", **nothing)
    assert result.changed_parameters == ()


def test_the_two_losses_pull_at_the_margin_as_the_paper_says():
    """Forward with -sigmoid(-m), reverse with +sigmoid(m)."""
    task, m = Recommendation(), torch.tensor([-2.0, 0.0, 1.5, 6.0], requires_grad=True)
    data = Interactions.create({"train": torch.tensor([[0, 0], [0, 1], [1, 0], [1, 2]])}, num_items=9)
    (batch,) = task.batches(task.view(data, "train"))
    wrong = task.relabel(batch, torch.Generator())
    forward, reverse = (torch.autograd.grad(task.loss(Forward(m), b, reduction="sum"), m)[0] for b in (batch, wrong))
    torch.testing.assert_close(forward, -(-m).sigmoid().detach())
    torch.testing.assert_close(reverse, m.sigmoid().detach())


def test_one_full_batch_is_the_stated_sum():
    """The first Adam step has the sign of the gradient of alpha L_r + (1 - alpha) L_f + penalty, entry by entry."""

    class Fixed(Recommendation):
        def draw_negatives(self, data, pairs, generator):
            return self.fixed_negatives(data, pairs)

    case = tiny_case("recommendation")
    task = Fixed(build=case.task.build, l2=0.2, recipe=Recipe(batch_size=None))
    split, model = task.split(case.data, case.requests["interactions"]), case.model()
    result = MMRecUn(alpha=0.3, epochs=1, lr=1e-3).unlearn(model, task, split)
    (kept,) = task.batches(split.view("retain", on="retained"))
    (gone,) = task.batches(split.view("forget", on="unlinked"))
    m_kept, m_gone = (task.forward(model, b)[0].outputs for b in (kept, gone))
    loss = -0.3 * m_kept.sigmoid().log().mean() - 0.7 * (-m_gone).sigmoid().log().mean()
    u, i = model.user_embedding.weight, model.item_embedding.weight
    rows = u[kept.index[:, 0]], i[kept.index[:, 1]], i[kept.extra["negatives"]]
    loss = loss + 0.1 * sum(r.square().sum(1).mean() for r in rows)
    for table, grad in zip((u, i), torch.autograd.grad(loss, [u, i]), strict=True):
        name = "user_embedding.weight" if table is u else "item_embedding.weight"
        step = result.model.state_dict()[name] - table.detach()
        clear = grad.abs() > 1e-6
        assert bool(clear.any())
        torch.testing.assert_close(step[clear], -1e-3 * grad[clear].sign(), rtol=0.02, atol=1e-6)


def test_the_reverse_loss_lowers_forgotten_margins_the_more_the_smaller_alpha():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["items"])
    start = forget_margin(case, case.trained, split)
    after = [forget_margin(case, case.unlearn("mmrecun", "items", alpha=a, epochs=3, lr=0.02).model, split) for a in (0.9, 0.1)]
    assert start > after[0] > after[1]


def test_the_validation_rule_keeps_the_weights_before_the_drop():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["items"])
    val = case.task.view(split.retain_data, "val")
    before = case.task.utility(case.trained, val)["recall@5"]
    options = {"alpha": 0.0, "lr": 0.3, "epochs": 6}
    free = case.unlearn("mmrecun", "items", **options)
    held = case.unlearn("mmrecun", "items", **options, stop="val_drop", max_drop=0.2)
    assert case.task.utility(free.model, val)["recall@5"] < 0.8 * before
    assert case.task.utility(held.model, val)["recall@5"] >= 0.8 * before
    assert "validation fell" in held.info["stopped"]
    assert held.curve[-1]["val"] < 0.8 * before and all(point["val"] >= 0.8 * before for point in held.curve[:-1])


def test_the_validation_rule_needs_validation():
    case = tiny_case("recommendation")
    data = Interactions.create({"train": case.data.splits["train"]}, num_items=20)
    split = case.task.split(data, DeletionRequest.items([2]))
    with pytest.raises(InputError, match="validation"):
        MMRecUn(stop="val_drop").unlearn(case.model(), case.task, split)


@pytest.mark.parametrize("request_name", ["interactions", "users", "items"])
def test_forget_recall_counts_by_hand(request_name):
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests[request_name])
    model, removed = case.trained, split.removed
    gone = {tuple(pair) for pair in removed.tolist()}
    kept = {tuple(pair) for pair in split.data.splits["train"].tolist()} - gone
    hits = 0
    with torch.no_grad():
        for user, item in removed.tolist():
            scores = {i: float(model(torch.tensor([user]), torch.tensor([i]))) for i in range(20) if (user, i) not in kept}
            hits += item in sorted(scores, key=scores.__getitem__, reverse=True)[:5]
    assert 0 < hits <= len(removed)
    assert forget_recall(case.task, model, case.data, removed) == pytest.approx(hits / len(removed))


def test_the_forget_recall_rule_stops_at_the_first_epoch_that_reaches_it():
    case = tiny_case("recommendation")
    options = {"alpha": 0.1, "lr": 0.02, "epochs": 8, "stop": "forget_recall"}
    path = [p["forget_recall"] for p in case.unlearn("mmrecun", "items", **options, target_recall=0.0).curve]
    target = path[2]
    first = next(n for n, value in enumerate(path, 1) if value <= target)
    stopped = case.unlearn("mmrecun", "items", **options, target_recall=target)
    assert len(stopped.curve) == first < 8
    assert stopped.curve[-1]["forget_recall"] <= target
    assert same_weights(stopped.model, case.unlearn("mmrecun", "items", alpha=0.1, lr=0.02, epochs=first).model)


def test_on_a_graph_the_two_graphs_differ():
    case = tiny_case("recommendation")
    task = Recommendation(build=lambda d: LightGCN(d.num_users, d.num_items, 8), recipe=Recipe(lr=0.01, batch_size=64), top_k=5)
    model, split = task.new_model(case.data, seed=0), task.split(case.data, case.requests["items"])
    one, two = (MMRecUn(epochs=1, graph=graph).unlearn(model, task, split) for graph in ("original", "retained"))
    assert not same_weights(one.model, two.model)
    assert one.serving.same_as(two.serving) and one.serving.context == "retained"


def test_the_batch_size_is_the_recipes_unless_given():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["items"])
    task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 8), recipe=Recipe(batch_size=None))
    full, small = (MMRecUn(epochs=1, batch_size=size).unlearn(case.model(), task, split) for size in (None, 16))
    assert not same_weights(full.model, small.model)
    assert full.cost.forward_examples == len(split.retain) + len(split.removed)


@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": 1.2},
        {"graph": "both"},
        {"stop": "never"},
        {"stop": "forget_recall"},
        {"target_recall": 0.1},
        {"stop": "forget_recall", "target_recall": 2},
        {"batch_size": 0},
    ],
)
def test_bad_values_are_refused(bad):
    with pytest.raises(InputError):
        MMRecUn(**bad)
