from __future__ import annotations

import pytest
import torch
from torch.nn.functional import softplus

from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.models import BPRMF
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case
from graphforget.unlearners import RRL


class Fixed(Recommendation):
    """Other items that are a fixed function of the pair."""

    def draw_negatives(self, data, pairs, generator):
        return self.fixed_negatives(data, pairs)


def setting(request_name="items"):
    case = tiny_case("recommendation")
    task = Fixed(build=lambda d: BPRMF(d.num_users, d.num_items, 8), recipe=Recipe(batch_size=None))
    return case, task, task.split(case.data, case.requests[request_name])


def gradients(task, model, view, sign):
    pairs, other = view.index, task.fixed_negatives(view.data, view.index)
    u, i = model.user_embedding.weight, model.item_embedding.weight
    margin = (u[pairs[:, 0]] * (i[pairs[:, 1]] - i[other])).sum(1)
    return torch.autograd.grad(softplus(sign * margin).mean(), [u, i])


def test_one_step_is_the_closed_form():
    case, task, split = setting()
    model = case.model()
    result = RRL(epochs=1, lr=0.01, eps=1e-3, fisher_batches=1).unlearn(model, task, split)
    kept = gradients(task, model, split.view("retain", on="retained"), -1)
    gone = gradients(task, model, split.view("forget", on="unlinked"), +1)
    for parameter, new, f, g in zip(model.parameters(), result.model.parameters(), kept, gone, strict=True):
        torch.testing.assert_close(new, parameter - 0.01 * g / (f.square() + 1e-3), rtol=1e-5, atol=1e-7)
    assert result.info["lr_over_eps"] == pytest.approx(10)
    assert result.info["fisher_max"] == pytest.approx(max(float(f.square().max()) for f in kept))


def test_a_large_eps_is_plain_reverse_descent():
    case, task, split = setting("interactions")
    model = case.model()
    result = RRL(epochs=1, lr=1e6, eps=1e7).unlearn(model, task, split)
    gone = gradients(task, model, split.view("forget", on="unlinked"), +1)
    for parameter, new, g in zip(model.parameters(), result.model.parameters(), gone, strict=True):
        torch.testing.assert_close(new, parameter - 0.1 * g, rtol=1e-4, atol=1e-6)


def test_what_retained_data_pull_at_moves_less():
    """Against the flat metric of the same lr / eps, no coordinate moves further, and some much less."""
    case, task, split = setting()
    with_fisher = RRL(epochs=1, lr=1e-5, eps=1e-6).unlearn(case.model(), task, split)
    flat = RRL(epochs=1, lr=1e6, eps=1e5).unlearn(case.model(), task, split)
    before = torch.cat([p.detach().view(-1) for p in case.trained.parameters()])
    a, b = (torch.cat([p.detach().view(-1) for p in r.model.parameters()]) - before for r in (with_fisher, flat))
    assert bool((a.abs() <= b.abs() * 1.001 + 1e-6).all())
    assert bool((a.abs() < 0.5 * b.abs()).any())


@pytest.mark.parametrize("nothing", [{"epochs": 0}, {"lr": 0.0}])
def test_no_steps_or_steps_of_no_length_change_nothing(nothing):
    result = tiny_case("recommendation").unlearn("rrl", "interactions", **nothing)
    assert result.changed_parameters == ()


def test_forgotten_margins_fall_epoch_by_epoch():
    result = tiny_case("recommendation").unlearn("rrl", "items", epochs=4)
    losses = [point["reversed_loss"] for point in result.curve]
    assert len(losses) == 4 and losses[-1] < losses[0]


@pytest.mark.parametrize("bad", [{"eps": 0.0}, {"fisher_batches": 0}, {"epochs": -1}, {"lr": float("nan")}])
def test_bad_values_are_refused(bad):
    with pytest.raises(InputError):
        RRL(**bad)
