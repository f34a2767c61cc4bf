from __future__ import annotations

import pytest
import torch

from graphforget.base import Recipe, TensorData
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.tasks import ImageClassification
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import FineTune


def convex(batch_size=None):
    """Softmax regression with noisy labels: a strictly convex loss once weight decay is added."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=g)
    y = (x[:, 0] + 0.8 * torch.randn(60, generator=g) > 0).long()
    data = TensorData.create(x, y, {"train": torch.arange(60)})
    recipe = Recipe(epochs=50, lr=1e-2, weight_decay=0.1, batch_size=batch_size, patience=None)
    return data, ImageClassification(build=lambda d: torch.nn.Linear(4, 2), recipe=recipe)


def converged(data, task, ids):
    """The minimiser on some samples, by LBFGS in double precision."""
    model = torch.nn.Linear(4, 2).double()
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    x, y = data.x[ids].double(), data.y[ids]

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss = loss + 0.05 * sum(p.square().sum() for p in model.parameters())
        loss.backward()
        return loss

    optimizer.step(closure)
    return model.float()


def test_converged_convex_model_stays():
    data, task = convex()
    split = task.split(data, DeletionRequest.samples([1, 4]))
    model = converged(data, task, split.retain)
    result = FineTune(epochs=100, lr=1e-5).unlearn(model, task, split)
    for before, after in zip(model.parameters(), result.model.parameters(), strict=True):
        assert torch.allclose(before, after, atol=2e-5)


def test_finds_the_retained_minimum():
    data, task = convex()
    split = task.split(data, DeletionRequest.samples(range(12)))
    start, goal = converged(data, task, torch.arange(60)), converged(data, task, split.retain)
    result = FineTune(epochs=600, lr=3e-3).unlearn(start, task, split)

    def distance(model):
        return sum(float((a - b).detach().norm()) for a, b in zip(goal.parameters(), model.parameters(), strict=True))

    assert distance(result.model) < 1e-3 < distance(start)


def test_zero_epochs_changes_nothing_but_the_input():
    case = tiny_case("node_classification")
    result = FineTune(epochs=0).unlearn(case.model(), case.task, case.task.split(case.data, case.requests["nodes"]))
    assert result.changed_parameters == () and result.serving.context == "retained"


def test_default_epochs_are_a_tenth_of_the_recipe():
    data, task = convex(batch_size=16)
    result = FineTune().unlearn(task.new_model(data, seed=0), task, task.split(data, DeletionRequest.samples([0])))
    assert result.info["epochs"] == 5 == len(result.curve)


@pytest.mark.parametrize(
    "params, word",
    [
        ({"epochs": -1}, "epochs"),
        ({"lr": 0.0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"epochs": 2.5}, "epochs"),
        ({"epochs": True}, "epochs"),
    ],
)
def test_refuses_bad_values(params, word):
    with pytest.raises(InputError, match=word):
        FineTune(**params)
