from __future__ import annotations

import pytest
import torch
from torch.nn.functional import softplus

from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.models import BPRMF
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case
from graphforget.unlearners import SCIF


class Fixed(Recommendation):
    """Other items that are a fixed function of the pair."""

    def draw_negatives(self, data, pairs, generator):
        return self.fixed_negatives(data, pairs)


def fixed_task(l2=0.05):
    return Fixed(build=lambda d: BPRMF(d.num_users, d.num_items, 8), l2=l2, recipe=Recipe(batch_size=None))


def test_the_step_solves_the_dense_system():
    """Against a Hessian that autograd makes of an objective written out by hand."""
    case, task = tiny_case("recommendation"), fixed_task()
    split = task.split(case.data, DeletionRequest.interactions(case.data.splits["train"][:2]))
    model = case.model().double()
    result = SCIF(curvature="hessian", damping=6.0, tol=1e-12, num_cg_steps=100, draws=1).unlearn(model, task, split)
    assert result.info["damping_used"] == 6.0
    users, items = torch.unique(split.removed[:, 0]), torch.unique(split.removed[:, 1])
    p0, q0 = model.user_embedding.weight.detach(), model.item_embedding.weight.detach()
    cut = len(users) * 8

    def margins(v, pairs):
        p = p0.index_copy(0, users, v[:cut].view(-1, 8))
        q = q0.index_copy(0, items, v[cut:].view(-1, 8))
        u, i, j = p[pairs[:, 0]], q[pairs[:, 1]], q[task.fixed_negatives(split.data, pairs)]
        return (u * (i - j)).sum(1), (u.square() + i.square() + j.square()).sum() * task.l2 / 2

    def objective(v):
        kept, norms = margins(v, split.retain)
        gone, others = margins(v, split.removed)
        return softplus(-kept).sum() + norms + 0.5 * (softplus(-gone) + softplus(gone)).sum() + others

    start = torch.cat([p0[users].reshape(-1), q0[items].reshape(-1)])
    # softplus(-m) - softplus(m) = -m, so half of the difference pulls at the margins alone.
    v = torch.autograd.functional.jacobian(lambda t: -0.5 * margins(t, split.removed)[0].sum(), start)
    hessian = torch.autograd.functional.hessian(objective, start) + 6.0 * torch.eye(len(start)).double()
    expected = start + torch.linalg.solve(hessian, v)
    after = torch.cat(
        [result.model.user_embedding.weight[users].reshape(-1), result.model.item_embedding.weight[items].reshape(-1)]
    )
    assert float((expected - start).abs().max()) > 1e-3
    torch.testing.assert_close(after, expected, rtol=1e-6, atol=1e-8)


def test_the_old_label_changes_nothing():
    case = tiny_case("recommendation")
    result = case.unlearn("scif", "interactions", neutral=1.0)
    assert result.changed_parameters == ()


@pytest.mark.parametrize("request_name", ["interactions", "items", "users"])
def test_margins_fall_and_other_rows_keep_their_bits(request_name):
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests[request_name])
    result = case.unlearn("scif", request_name)
    for side, table in enumerate(("user_embedding.weight", "item_embedding.weight")):
        before, after = case.trained.state_dict()[table], result.model.state_dict()[table]
        touched = torch.isin(torch.arange(len(before)), split.removed[:, side])
        assert torch.equal(before[~touched], after[~touched])
        assert bool((before[touched] != after[touched]).any(1).all())
    (batch,) = case.task.batches(split.view("forget", on="original"))
    old, new = (float(case.task.forward(m, batch)[0].outputs.detach().mean()) for m in (case.trained, result.model))
    assert new < old


def test_same_seed_same_bits_and_another_seed_others():
    case = tiny_case("recommendation")
    one, two, other = (case.unlearn("scif", "items", seed=s).model.user_embedding.weight for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("bad", [{"neutral": 1.5}, {"damping": -0.1}, {"draws": 0}, {"batch_size": 0}])
def test_bad_values_are_refused(bad):
    with pytest.raises(InputError):
        SCIF(**bad)
