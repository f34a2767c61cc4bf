from __future__ import annotations

import pytest
import torch

from graphforget.base import evaluating
from graphforget.exceptions import InputError
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import GradientAscent

TASKS = ["image_classification", "node_classification", "link_prediction", "recommendation"]


def forget_loss(case, model, split):
    with evaluating(model):
        values = []
        for batch in case.task.batches(split.view("forget", on=split.forget_context), generator=torch.Generator().manual_seed(3)):
            values.append(case.task.loss(case.task.forward(model, batch)[0], batch))
    return float(torch.stack(values).mean())


@pytest.mark.parametrize("name", TASKS)
def test_zero_epochs_is_the_original(name):
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    assert GradientAscent(epochs=0).unlearn(case.model(), case.task, split).changed_parameters == ()


@pytest.mark.parametrize("name", TASKS)
def test_climbs_the_forget_loss(name):
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    result = GradientAscent(epochs=4).unlearn(case.model(), case.task, split)
    assert forget_loss(case, result.model, split) > forget_loss(case, case.model(), split)
    held = GradientAscent(epochs=4, retain_weight=5.0).unlearn(case.model(), case.task, split)
    assert forget_loss(case, held.model, split) < forget_loss(case, result.model, split)


def test_only_positives_are_reversed():
    case = tiny_case("link_prediction")
    seen = []
    task_loss = case.task.loss

    class Watched(type(case.task)):
        def loss(self, forward, batch, **kwargs):
            seen.append(batch)
            return task_loss(forward, batch, **kwargs)

    task = Watched(build=case.task.build, recipe=case.task.recipe)
    split = task.split(case.data, case.requests["edges"])
    GradientAscent(epochs=2).unlearn(case.model(), task, split)
    assert seen and all(bool((b.y == 1).all()) and len(b) == len(split.removed) for b in seen)
    assert all(b.data is split.retain_data for b in seen)


def test_first_step_of_ascent_is_adams_sign_step():
    case = tiny_case("node_classification")
    split = case.task.split(case.data, case.requests["nodes"])
    model = case.model().train()
    batch = next(case.task.batches(split.view("forget", on="unlinked")))
    case.task.loss(case.task.forward(model, batch)[0], batch).backward()
    result = GradientAscent(epochs=1, lr=1e-3).unlearn(case.model(), case.task, split)
    for (name, after), before in zip(result.model.named_parameters(), model.parameters(), strict=True):
        large = before.grad.abs() > 1e-5
        assert torch.allclose((after - before)[large], 1e-3 * before.grad.sign()[large], atol=1e-5), name


def test_a_request_without_training_examples_is_said_so():
    case = tiny_case("image_classification")
    from graphforget.requests import DeletionRequest

    split = case.task.split(case.data, DeletionRequest.samples(case.data.splits["test"][:1]))
    result = GradientAscent(epochs=2).unlearn(case.model(), case.task, split)
    assert result.forget_source == "none" and "no training example" in result.info["note"]


@pytest.mark.parametrize("params", [{"epochs": -1}, {"retain_weight": -0.1}, {"lr": "fast"}])
def test_refuses_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        GradientAscent(**params)
