from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions, remove_items, remove_users
from graphforget.models import EASE

from .conftest import NUM_ITEMS, NUM_USERS, make_data


def fitted(data: Interactions, **params) -> EASE:
    model = EASE(NUM_USERS, NUM_ITEMS, **{"regulariser": 2.0, **params})
    model.fit_closed_form(data)
    return model


def dense(data: Interactions) -> torch.Tensor:
    x = torch.zeros(NUM_USERS, NUM_ITEMS, dtype=torch.double)
    x[data.splits["train"][:, 0], data.splits["train"][:, 1]] = 1
    return x


def test_it_minimises_its_objective_column_by_column(data, graph):
    """B's column j without its diagonal solves the ridge regression of column j on the others, features as further rows."""
    model = fitted(data, content_weight=0.5)
    x, f = dense(data), model.features(data)
    rows = torch.cat([x, 0.5**0.5 * f.t()])
    b = torch.zeros(NUM_ITEMS, NUM_ITEMS, dtype=torch.double)
    for j in range(NUM_ITEMS):
        others = [i for i in range(NUM_ITEMS) if i != j]
        left = rows[:, others]
        b[others, j] = torch.linalg.solve(
            left.t() @ left + 2 * torch.eye(NUM_ITEMS - 1, dtype=torch.double), left.t() @ rows[:, j]
        )
    scores = model(graph).scores(torch.arange(NUM_USERS))
    assert torch.allclose(scores, x @ b, atol=1e-10)
    users, items = torch.tensor([5, 0, 5, 2]), torch.tensor([1, 8, 3, 0])
    assert torch.allclose(model(graph).pair_scores(users, items), (x @ b)[users, items], atol=1e-10)
    part = model(graph, torch.tensor([2, 6]), torch.tensor([8, 0, 4]))
    assert torch.allclose(part.scores(torch.tensor([1, 0])), (x @ b)[[6, 2]][:, [8, 0, 4]], atol=1e-10)
    rows_of_part = torch.tensor([1, 0, 1])
    assert torch.allclose(part.pair_scores(rows_of_part, rows_of_part), (x @ b)[[6, 2, 6], [0, 8, 0]], atol=1e-10)


def test_forgotten_items_leave_no_row(data):
    after = remove_items(remove_users(data, [1]), [2, 5])
    model = fitted(after, content_weight=0.5)
    assert float(model.precision[[2, 5]].abs().sum() + model.precision[:, [2, 5]].abs().sum()) == 0
    left = [i for i in range(NUM_ITEMS) if i not in (2, 5)]
    smaller = Interactions.create(
        {"train": [[u, left.index(i)] for u, i in after.splits["train"].tolist()]},
        num_users=NUM_USERS,
        num_items=len(left),
        features={name: x[left] for name, x in after.features.items()},
    )
    compact = EASE(NUM_USERS, len(left), regulariser=2.0, content_weight=0.5)
    compact.fit_closed_form(smaller)
    assert torch.allclose(model.precision[left][:, left], compact.precision, atol=1e-12)
    assert bool(model(InteractionGraph(after)).scores(torch.arange(NUM_USERS)).isfinite().all())


def test_deleting_items_is_a_schur_complement(data):
    """The identity that exact forgetting stands on: P_RR - P_RS P_SS^-1 P_SR."""
    p = fitted(data, content_weight=0.5).precision
    s, r = [2, 5], [i for i in range(NUM_ITEMS) if i not in (2, 5)]
    after = fitted(remove_items(data, s), content_weight=0.5).precision
    assert torch.allclose(after[r][:, r], p[r][:, r] - p[r][:, s] @ torch.linalg.inv(p[s][:, s]) @ p[s][:, r], atol=1e-12)


def test_an_unfitted_model_says_nothing(graph):
    assert float(EASE(NUM_USERS, NUM_ITEMS)(graph).scores(torch.arange(NUM_USERS)).abs().sum()) == 0


def test_settings_are_checked():
    bare = Interactions.create({"train": make_data().splits["train"]}, num_users=NUM_USERS, num_items=NUM_ITEMS)
    with pytest.raises(InputError, match="regulariser must be positive"):
        EASE(3, 4, regulariser=0.0)
    with pytest.raises(InputError, match="the data has no item features"):
        fitted(bare, content_weight=1.0)
    with pytest.raises(InputError, match="made for 3 users"):
        EASE(3, NUM_ITEMS).fit_closed_form(bare)
