from __future__ import annotations

import copy
import itertools

import pytest
import torch

from graphforget import models
from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.models import BPRMF, LightGCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import tiny_case
from graphforget.unlearners import IFRU, METHODS
from graphforget.unlearners.recommendation.ifru import pushed_weights

USERS, OWN, POOL, DIM, L2 = 6, 128, 16, 4, 0.3  # every user takes all items below OWN; the other item is always one of the POOL


class Toy(Recommendation):
    """Comparisons that are a fixed function of the pair, with items that nobody takes."""

    def draw_negatives(self, data, pairs, generator):
        return OWN + (3 * pairs[:, 0] + 5 * (pairs[:, 1] % 4)) % POOL


def toy_data():
    return Interactions.create({"train": torch.cartesian_prod(torch.arange(USERS), torch.arange(OWN))}, num_items=OWN + POOL)


def toy_task(**options):
    return Toy(build=lambda d: BPRMF(d.num_users, d.num_items, DIM), l2=L2, recipe=Recipe(batch_size=None), **options)


def toy_model():
    g = torch.Generator().manual_seed(5)
    model = BPRMF(USERS, OWN + POOL, DIM).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=g).double())
        # The first 16 items are 4 vectors, repeated: deleting 4, 8 or 16 of them takes away 1, 2 or 4 times the same.
        model.item_embedding.weight[:16] = model.item_embedding.weight[:4].repeat(4, 1)
    return model


def user_block(model, user, items):
    """Gradient and Hessian of one user's objective: the closed form H_u = sum s(1-s) d d' + n l2 I, d = q_i - q_j."""
    pairs = torch.stack([torch.full_like(items, user), items], 1)
    q = model.item_embedding.weight.detach()
    d = q[items] - q[toy_task().draw_negatives(None, pairs, None)]
    row = model.user_embedding.weight.detach()[user]
    s = (d @ row).sigmoid()
    eye = torch.eye(DIM).double()
    return -(1 - s) @ d + len(items) * L2 * row, (d * (s * (1 - s)).unsqueeze(1)).t() @ d + len(items) * L2 * eye


def train_users(model, pairs):
    """The minimum over users' rows with items held, by Newton steps."""
    model = copy.deepcopy(model)
    for user in range(USERS):
        for _ in range(30):
            grad, hessian = user_block(model, user, pairs[pairs[:, 0] == user, 1])
            model.user_embedding.weight.data[user] -= torch.linalg.solve(hessian, grad)
        assert float(grad.norm()) < 1e-10
    return model


def exact_step(**options):
    settings = {"update": "users", "num_hops": 0, "damping": 0.0, "tol": 1e-12, "num_cg_steps": 200, "draws": 1}
    return IFRU(**settings | options)


def removed_share(per_user):
    """The first pairs of every user."""
    pairs = toy_data().splits["train"]
    return DeletionRequest.interactions(pairs[pairs[:, 1] < per_user])


def test_the_step_is_the_closed_form_per_user():
    task, data = toy_task(), toy_data()
    model = train_users(toy_model(), data.splits["train"])
    split = task.split(data, removed_share(8))
    result = exact_step().unlearn(model, task, split)
    for user in range(USERS):
        lost = user_block(model, user, torch.arange(8))[0]
        hessian = user_block(model, user, torch.arange(8, OWN))[1]
        expected = model.user_embedding.weight[user] + torch.linalg.solve(hessian, lost)
        torch.testing.assert_close(result.model.user_embedding.weight[user], expected, rtol=1e-7, atol=1e-9)
    assert torch.equal(result.model.item_embedding.weight, model.item_embedding.weight)


def test_the_error_against_retraining_is_of_second_order():
    task, data = toy_task(), toy_data()
    model = train_users(toy_model(), data.splits["train"])
    errors, moved = [], []
    for count in (16, 8, 4):
        split = task.split(data, removed_share(count))
        gold = train_users(model, split.retain)
        result = exact_step().unlearn(model, task, split)
        errors.append(float((result.model.user_embedding.weight.detach() - gold.user_embedding.weight.detach()).norm()))
        moved.append(float((model.user_embedding.weight.detach() - gold.user_embedding.weight.detach()).norm()))
    for larger, smaller in itertools.pairwise(errors):
        assert 3 < larger / smaller < 5.5
    assert errors[-1] < 0.1 * moved[-1]  # and far nearer than doing nothing


def test_adam_on_the_step_agrees_with_conjugate_gradients():
    task, data = toy_task(), toy_data()
    model, split = train_users(toy_model(), data.splits["train"]), task.split(data, removed_share(8))
    cg = exact_step().unlearn(model, task, split)
    adam = exact_step(solver="adam", num_cg_steps=400, solver_lr=0.01).unlearn(model, task, split)
    torch.testing.assert_close(adam.model.user_embedding.weight, cg.model.user_embedding.weight, rtol=0, atol=2e-3)
    assert float((cg.model.user_embedding.weight - model.user_embedding.weight).detach().abs().max()) > 0.02


def test_rows_outside_the_selection_are_bit_identical():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["items"])
    result = case.unlearn("ifru", "items", num_hops=0)
    users = torch.unique(split.removed[:, 0])
    before, after = case.trained, result.model
    others = ~torch.isin(torch.arange(24), users)
    assert bool(others.any())
    assert torch.equal(before.user_embedding.weight[others], after.user_embedding.weight[others])
    assert bool((before.user_embedding.weight[users] != after.user_embedding.weight[users]).any(1).all())
    kept = ~torch.isin(torch.arange(20), torch.tensor([2, 9]))
    assert torch.equal(before.item_embedding.weight[kept], after.item_embedding.weight[kept])
    assert result.info["rows"] == {"user": len(users), "item": 0}


def test_forgotten_rows_are_drawn_anew():
    case = tiny_case("recommendation")
    one, two = case.unlearn("ifru", "items"), case.unlearn("row_reset", "items")
    rows = torch.tensor([2, 9])
    assert torch.equal(one.model.item_embedding.weight[rows], two.model.item_embedding.weight[rows])
    assert one.info["fresh_rows"] == {"item_embedding.weight": 2}


def test_a_user_without_interactions_left_gets_a_fresh_row():
    case = tiny_case("recommendation")
    train = case.data.splits["train"]
    split = case.task.split(case.data, DeletionRequest.interactions(train[train[:, 0] == 3]))
    result = IFRU(num_hops=0).unlearn(case.model(), case.task, split)
    assert result.info["fresh_rows"] == {"user_embedding.weight": 1}
    assert not torch.equal(result.model.user_embedding.weight[3], case.trained.user_embedding.weight[3])


def test_the_spillover_is_the_gradient_of_what_the_graph_changes():
    """Under heavy damping the step is v / damping; v is the gradient of S(all; old graph) - S(retained; new graph)."""
    task = Toy(build=lambda d: LightGCN(d.num_users, d.num_items, DIM, num_layers=2), l2=L2, recipe=Recipe(batch_size=None))
    data = toy_data()
    split, model = task.split(data, removed_share(8)), task.new_model(data, seed=1).double()
    result = IFRU(damping=1e6, num_hops=3, tol=1e-9, draws=1).unlearn(model, task, split)

    def objective(view):
        (batch,) = task.batches(view, generator=torch.Generator())
        forward = task.forward(model, batch)[0]
        return len(batch) * (task.loss(forward, batch) + task.penalty(model, forward, batch))

    lost = objective(task.view(data, "train")) - objective(split.view("retain", on="retained"))
    (users,) = torch.autograd.grad(lost, [model.user_embedding.weight])
    step = (result.model.user_embedding.weight - model.user_embedding.weight) * 1e6
    torch.testing.assert_close(step, users, rtol=1e-3, atol=1e-3 * float(users.abs().max()))
    assert result.info["rows"]["item"] == OWN
    only_forgotten = torch.autograd.grad(objective(split.view("forget", on="original")), model.user_embedding.weight)[0]
    assert float((users - only_forgotten).norm()) > 0.02 * float(users.norm())  # far above the tolerance


def test_weights_are_pushed_by_degree():
    data = Interactions.create({"train": [[0, 0], [0, 1], [1, 1], [2, 2]]})
    removed = torch.tensor([[0, 0]])
    assert pushed_weights(data, removed, 0)["user"].tolist() == [0.5, 0.0, 0.0]
    one = pushed_weights(data, removed, 1)
    assert one["user"].tolist() == [1.5, 0.0, 0.0]  # 1/2 + (1/1)/1 from item 0
    assert one["item"].tolist() == [1.25, 0.25, 0.0]  # 1 + (1/2)/2 ; (1/2)/2
    two = pushed_weights(data, removed, 2)
    assert two["user"][1] == 0.125 and two["user"][2] == 0  # (1/4)/2 from item 1; the other component stays out


@pytest.mark.parametrize("bad", [{"update": "user"}, {"solver": "lbfgs"}, {"damping": -1}, {"draws": 0}, {"num_hops": 1.5}])
def test_bad_values_are_refused(bad):
    with pytest.raises(InputError):
        IFRU(**bad)


@pytest.mark.parametrize("method", ["ifru", "scif"])
@pytest.mark.parametrize("model_name, curvature", [("LightGCN", "gauss_newton"), ("MGCN", "gauss_newton"), ("BM3", "hessian")])
def test_models_that_read_the_graph(method, model_name, curvature):
    """MGCN's penalty shares its encoding with the margins, BM3's loss is no function of margins."""
    case = tiny_case("recommendation")
    g = torch.Generator().manual_seed(0)
    data = Interactions.create(case.data.splits, num_users=24, num_items=20, features={"image": torch.randn(20, 6, generator=g)})
    content = () if model_name == "LightGCN" else (data.modalities,)
    task = Recommendation(build=lambda d: getattr(models, model_name)(24, 20, *content, dim=8), top_k=5, recipe=Recipe(lr=0.02))
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0, epochs=5)
    split = task.split(data, DeletionRequest.users([1, 7]))
    result = METHODS[method]().unlearn(model, task, split)
    assert result.info["curvature"] == curvature and result.info["residual"] < 1e-2
    assert result.info["step_norm"] > 0
    before, after = dict(model.named_parameters()), dict(result.model.named_parameters())
    tables = {block.parameter for blocks in model.entity_rows().values() for block in blocks}
    assert all(bool(torch.isfinite(p).all()) for p in after.values())
    assert {name for name in before if not torch.equal(before[name], after[name])} <= tables
    assert not torch.equal(before["item_embedding.weight"], after["item_embedding.weight"])
