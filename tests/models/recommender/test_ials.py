from __future__ import annotations

import itertools

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_users
from graphforget.models import IALS
from graphforget.models.recommender import ials
from graphforget.tasks import Recommendation

from .conftest import NUM_ITEMS, NUM_USERS


def make(**params) -> IALS:
    torch.manual_seed(3)
    return IALS(NUM_USERS, NUM_ITEMS, **{"dim": 3, "alpha": 4.0, "regulariser": 0.5, **params})


def objective(model: IALS, data: Interactions) -> float:
    """The whole sum over all pairs, by the book."""
    x = torch.zeros(NUM_USERS, NUM_ITEMS, dtype=torch.double)
    x[data.splits["train"][:, 0], data.splits["train"][:, 1]] = 1
    p, q = model.user_embedding.weight.detach(), model.item_embedding.weight.detach()
    error = (1 + model.alpha * x) * (x - p @ q.t()).square()
    return float(error.sum() + model.regulariser * (p.square().sum() + q.square().sum()))


def test_a_half_sweep_solves_the_weighted_ridge_regression_of_every_user(data):
    model = make()
    q, old = model.item_embedding.weight.detach().clone(), model.user_embedding.weight.detach().clone()
    by_user, _ = model.sides(data)
    model.solve_users(by_user, torch.tensor([4, 1]))
    for user in (4, 1):
        x = torch.zeros(NUM_ITEMS, dtype=torch.double)
        x[by_user.of(torch.tensor([user]))[:, 1]] = 1
        c = torch.diag(1 + model.alpha * x)
        expected = torch.linalg.solve(q.t() @ c @ q + model.regulariser * torch.eye(3, dtype=torch.double), q.t() @ c @ x)
        assert torch.allclose(model.user_embedding.weight[user], expected, atol=1e-12)
    others = [0, 2, 3, 5, 6]
    assert torch.equal(model.user_embedding.weight[others], old[others]) and torch.equal(model.item_embedding.weight, q)


def test_the_objective_falls_and_the_residual_vanishes(data):
    model, values = make(sweeps=1), []
    for _ in range(300):
        model.fit_closed_form(data)
        values.append(objective(model, data))
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(values)) and values[0] > values[-1]
    assert model.residual(data) < 1e-6 < make().residual(data)


def test_the_residual_sees_a_moved_row_on_either_side(data):
    model = make(sweeps=500)
    model.fit_closed_form(data)
    with torch.no_grad():
        model.item_embedding.weight[3] += 0.01
    users, items = torch.tensor([0]), torch.tensor([0, 1])
    assert model.residual(data) > 1e-3
    assert model.residual(data, users, items[:0]) > model.residual(data, users[:0], items)  # items do not see each other
    assert model.residual(data, users[:0], items[:0]) == 0


def test_blocks_of_any_size_give_the_same(data, monkeypatch):
    one = make(sweeps=3)
    one.fit_closed_form(data)
    monkeypatch.setattr(ials, "_NUMBERS", 1)  # one row per block
    many = make(sweeps=3)
    many.fit_closed_form(data)
    assert torch.allclose(one.user_embedding.weight, many.user_embedding.weight, atol=1e-12)
    assert torch.allclose(one.item_embedding.weight, many.item_embedding.weight, atol=1e-12)


def test_without_interactions_there_is_nothing(data):
    after = remove_items(remove_users(data, [1]), [2, 5])
    model = make()
    model.fit_closed_form(after)
    assert not bool(model.user_embedding.weight[1].any()) and not bool(model.item_embedding.weight[[2, 5, 8]].any())
    assert bool(model.score_all(torch.arange(NUM_USERS)).isfinite().all())


def test_a_task_solves_it(data):
    task = Recommendation(build=lambda d: make(), top_k=3)
    first, second = task.new_model(data, seed=1), task.new_model(data, seed=1)
    assert task.fit(first, data, seed=0).epochs == 1
    second.fit_closed_form(data)
    assert torch.equal(first.user_embedding.weight, second.user_embedding.weight)
    pairs = data.splits["train"]
    scores = first.score_all(torch.arange(NUM_USERS)).detach()
    assert torch.allclose(first(pairs[:, 0], pairs[:, 1]), scores[pairs[:, 0], pairs[:, 1]])
    known = torch.zeros(NUM_USERS, NUM_ITEMS, dtype=torch.bool)
    known[pairs[:, 0], pairs[:, 1]] = True
    assert float(scores[known].mean()) > float(scores[~known].mean()) + 0.3
    assert IALS(**first.config).config == first.config


def test_settings_are_checked(data):
    with pytest.raises(InputError, match="sweeps must be at least 1"):
        make(sweeps=0)
    with pytest.raises(InputError, match="alpha and regulariser must be positive"):
        make(regulariser=0.0)
    with pytest.raises(InputError, match="made for 3 users"):
        IALS(3, NUM_ITEMS).fit_closed_form(data)
