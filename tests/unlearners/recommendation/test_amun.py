from __future__ import annotations

import collections

import pytest
import torch

from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.models import BPRMF
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case
from graphforget.testing.snapshots import same_weights
from graphforget.unlearners import AmUn, FineTune


class Fixed(Recommendation):
    """Other items that are a fixed function of the pair; counts what is relabelled."""

    def draw_negatives(self, data, pairs, generator):
        return self.fixed_negatives(data, pairs)

    def relabel(self, batch, generator):
        self.seen = getattr(self, "seen", collections.Counter())
        self.seen.update(map(tuple, batch.index.tolist()))
        return super().relabel(batch, generator)


def make(batch_size):
    return Fixed(build=lambda d: BPRMF(d.num_users, d.num_items, 8), l2=0.1, recipe=Recipe(lr=0.01, batch_size=batch_size))


@pytest.mark.parametrize("share", [1.0, 3.0])
def test_every_forgotten_interaction_is_seen_share_times_per_epoch(share):
    case, task = tiny_case("recommendation"), make(16)
    split = task.split(case.data, case.requests["items"])
    AmUn(epochs=2, share=share).unlearn(case.model(), task, split)
    assert task.seen == {tuple(pair): 2 * share for pair in split.removed.tolist()}


def test_a_vanishing_share_is_fine_tuning():
    case, task = tiny_case("recommendation"), make(None)
    split = task.split(case.data, case.requests["items"])
    one = AmUn(epochs=3, lr=0.01, share=1e-9).unlearn(case.model(), task, split)
    two = FineTune(epochs=3, lr=0.01).unlearn(case.model(), task, split)
    assert same_weights(one.model, two.model)


def test_one_full_batch_is_the_mean_over_both_parts():
    case, task = tiny_case("recommendation"), make(None)
    split, model = task.split(case.data, case.requests["interactions"]), case.model()
    result = AmUn(epochs=1, lr=1e-3).unlearn(model, task, split)
    (kept,) = task.batches(split.view("retain", on="retained"))
    (gone,) = task.batches(split.view("forget", on="unlinked"))
    m_kept, m_gone = (task.forward(model, b)[0].outputs for b in (kept, gone))
    loss = -(m_kept.sigmoid().log().sum() + (-m_gone).sigmoid().log().sum()) / (len(kept) + len(gone))
    u, i = model.user_embedding.weight, model.item_embedding.weight
    rows = u[kept.index[:, 0]], i[kept.index[:, 1]], i[kept.extra["negatives"]]
    loss = loss + 0.05 * sum(r.square().sum(1).mean() for r in rows)
    for table, new, grad in zip((u, i), result.model.parameters(), torch.autograd.grad(loss, [u, i]), strict=True):
        clear = grad.abs() > 1e-6
        torch.testing.assert_close((new - table)[clear], -1e-3 * grad[clear].sign(), rtol=0.02, atol=1e-6)
    assert result.curve[0]["forget_loss"] == pytest.approx(float(-(-m_gone).sigmoid().log().mean().detach()), rel=1e-5)


@pytest.mark.parametrize("nothing", [{"epochs": 0}, {"lr": 0.0}])
def test_no_steps_or_steps_of_no_length_change_nothing(nothing):
    result = tiny_case("recommendation").unlearn("amun", "interactions", **nothing)
    assert result.changed_parameters == ()


@pytest.mark.parametrize("bad", [{"share": 0.0}, {"epochs": 1.5}, {"lr": -1.0}])
def test_bad_values_are_refused(bad):
    with pytest.raises(InputError):
        AmUn(**bad)
