from __future__ import annotations

import pytest
import torch

from graphforget.base import rows_by_parameter
from graphforget.exceptions import UnsupportedError
from graphforget.models import EASE
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case
from graphforget.unlearners import METHODS
from graphforget.unlearners._shared.hessian import Rows, gradient
from graphforget.unlearners.recommendation._shared.pairwise import added_loss, fixed_batches, reading, sampled


def setting():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["items"])
    return case, case.model(), split.view("retain", on="retained")


def test_every_draw_lists_every_interaction_once():
    case, _, view = setting()
    batches = fixed_batches(case.task, view, 50, torch.Generator().manual_seed(0), draws=3)
    assert max(len(b) for b in batches) == 50 and sum(len(b) for b in batches) == 3 * len(view)
    per_draw = len(batches) // 3
    first, second = (torch.cat([b.extra["negatives"] for b in batches[k * per_draw : (k + 1) * per_draw]]) for k in (0, 1))
    assert torch.equal(torch.cat([b.index for b in batches[:per_draw]]), view.index)
    assert not torch.equal(first, second)


def test_what_reads_none_of_the_rows_can_be_left_out():
    case, model, view = setting()
    ids = {"user": torch.tensor([3]), "item": torch.tensor([5, 12])}
    rows = Rows(model, rows_by_parameter(model, ids))
    batches = fixed_batches(case.task, view, 40, torch.Generator().manual_seed(1))
    fewer = reading(batches, ids)
    assert 0 < sum(len(b) for b in fewer) < 0.7 * len(view)
    whole, part = (gradient(lambda bs=bs: (added_loss(case.task, model, b) for b in bs), rows) for bs in (batches, fewer))
    torch.testing.assert_close(whole, part, rtol=1e-4, atol=1e-5)
    assert reading(batches, {"user": torch.tensor([], dtype=torch.long), "item": torch.tensor([], dtype=torch.long)}) == []


def test_the_objective_is_a_sum_over_interactions():
    case, model, view = setting()
    (one,) = fixed_batches(case.task, view, 10_000, torch.Generator().manual_seed(2))
    half = len(one) // 2
    parts = [
        one.replace(index=one.index[s], y=one.y[s], extra={"negatives": one.extra["negatives"][s]})
        for s in (slice(half), slice(half, None))
    ]
    total = added_loss(case.task, model, one)
    torch.testing.assert_close(sum(added_loss(case.task, model, p) for p in parts), total)
    alone = case.task.loss(case.task.forward(model, one)[0], one, reduction="sum")
    assert float(total.detach()) > float(alone.detach())  # the regulariser is in it


def test_a_sample_is_counted_up():
    _, _, view = setting()
    some, times = sampled(view, 0.25, torch.Generator().manual_seed(3))
    assert len(some) == round(0.25 * len(view)) and times * len(some) == len(view)
    assert len(torch.unique(some.index, dim=0)) == len(some)
    assert sampled(view, 1.0, torch.Generator()) == (view, 1.0)
    assert len(sampled(view, 1e-9, torch.Generator())[0]) == 1


@pytest.mark.parametrize("method", ["mmrecun", "rrl", "amun", "scif", "ifru"])
def test_a_model_in_closed_form_is_refused_in_a_sentence(method):
    case = tiny_case("recommendation")
    task = Recommendation(build=lambda d: EASE(d.num_users, d.num_items), top_k=5)
    split = task.split(case.data, case.requests["items"])
    with pytest.raises(UnsupportedError, match="EASE"):
        METHODS[method]().unlearn(task.new_model(case.data, seed=0), task, split)
