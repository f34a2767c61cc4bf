from __future__ import annotations

import random
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from graphforget.base import Ensemble, Outcome, Prepared, Recipe, Tags, TensorData, Unlearner, counting
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.models import MLP
from graphforget.requests import DeletionRequest
from graphforget.tasks import ImageClassification


class Probe(Unlearner):
    """Looks at what the run wrapper hands over, draws from every source, and moves the weights."""

    tags: ClassVar[Tags] = Tags(key="probe", summary="Looks around.", citation="tests")
    seen: ClassVar[dict] = {}

    def __init__(self, *, epochs: int = 1, lr: float = 0.1) -> None:
        self.epochs, self.lr = epochs, lr

    def _unlearn(self, run):
        draws = (torch.rand(1).item(), random.random(), float(np.random.rand()), torch.rand(1, generator=run.generator).item())
        type(self).seen = {
            "training": [m.training for m in run.model.modules()],
            "draws": draws,
            "state": dict(run.state),
            "grads": [p.requires_grad for p in run.model.parameters()],
            "original": run.original,
        }
        with torch.no_grad():
            for p in run.model.parameters():
                p += draws[0]
        run.record(1, 2, loss=1)
        run.record(2, 2, loss=0.5)
        return Outcome()


@pytest.fixture
def task():
    return ImageClassification(build=lambda d: MLP(4, 3, 2), recipe=Recipe(epochs=2))


@pytest.fixture
def split(task):
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    data = TensorData.create(x, torch.arange(10) % 2, {"train": torch.arange(8), "test": torch.arange(8, 10)})
    return task.split(data, DeletionRequest.samples([0]))


@pytest.fixture
def model(task, split):
    return task.new_model(split.data, seed=0)


def test_parameters_are_read_from_the_constructor():
    assert Probe.param_names() == ["epochs", "lr"] and Probe(lr=0.5).get_params() == {"epochs": 1, "lr": 0.5}
    assert repr(Probe(epochs=3)) == "Probe(epochs=3, lr=0.1)"
    assert Probe(epochs=3) == Probe(epochs=3) != Probe() and hash(Probe()) == hash(Probe()) and Probe() != 3
    assert Probe.test_params() == [{}]


def test_a_run_works_on_a_private_trainable_copy_and_restores_modes(model, task, split):
    model.train()
    model.lins[0].eval()
    model.lins[0].weight.requires_grad_(False)
    before = [p.clone() for p in model.parameters()]
    result = Probe().unlearn(model, task, split)
    assert all(Probe.seen["training"]) and all(Probe.seen["grads"])
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert result.model.training and not result.model.lins[0].training and result.model.lins[1].training
    assert not result.model.lins[0].weight.requires_grad and result.model.lins[1].weight.requires_grad
    teacher = Probe.seen["original"]
    assert not teacher.training and all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))


def test_every_random_source_is_fixed_by_the_seed_and_given_back(model, task, split):
    torch.manual_seed(5), random.seed(5)
    expected = torch.rand(1).item(), random.random()
    torch.manual_seed(5), random.seed(5)
    Probe().unlearn(model, task, split, seed=1)
    first = Probe.seen["draws"]
    assert (torch.rand(1).item(), random.random()) == expected
    Probe().unlearn(model, task, split, seed=1)
    assert Probe.seen["draws"] == first
    Probe().unlearn(model, task, split, seed=2)
    assert not set(Probe.seen["draws"]) & set(first)


def test_steps_reach_the_curve_and_the_callback(model, task, split):
    heard = []
    result = Probe().unlearn(model, task, split, progress=lambda step, total, values: heard.append((step, total, dict(values))))
    assert heard == [(1, 2, {"loss": 1}), (2, 2, {"loss": 0.5})]
    assert result.curve == ({"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5})


def test_work_is_counted_with_preparation_and_teachers(model, task, split):
    class Works(Probe):
        def prepare(self, model, task, data, *, seed, history=None):
            self.pass_once(model, task, data)
            return Prepared(model, {"ready": True})

        def pass_once(self, model, task, data):
            task.forward(model, next(iter(task.batches(task.view(data, "train")))))

        def _unlearn(self, run):
            self.pass_once(run.original, run.task, run.split.retain_data)

    with counting() as outer:
        result = Works().unlearn(model, task, split)
        again = Works().unlearn(model, task, split, state={"ready": True})
    assert result.cost.forward_examples == 8 + 7 and again.cost.forward_examples == 7 and outer.forward_examples == 22
    assert result.cost.peak_bytes is None and result.state == {"ready": True}


def test_reasons_come_before_any_compute(model, task, split):
    class Picky(Probe):
        tags: ClassVar[Tags] = Tags(
            key="picky",
            summary="Wants much.",
            citation="tests",
            tasks=frozenset({"link_prediction"}),
            kinds=frozenset({"edge"}),
            needs_history=True,
            needs_entity_rows=True,
        )

        def prepare(self, *args, **options):
            pytest.fail("prepared although the method had declined")

    reasons = Picky().supports(task, split.request, model)
    assert len(reasons) == 4
    with pytest.raises(UnsupportedError, match="method 'picky' cannot do this: it serves link_prediction") as caught:
        Picky().unlearn(model, task, split)
    assert caught.value.reasons == reasons and isinstance(caught.value, ValueError)


def test_layers_inputs_and_ensembles_are_asked_for(model, task, split):
    class Needs(Probe):
        tags: ClassVar[Tags] = Tags(
            key="needs", summary="Needs layers and inputs.", citation="tests", needs_layers=True, needs_inputs=True
        )

    assert Needs().supports(task, split.request, model) == []
    assert "no layer was found in ReLU" in Needs().supports(task, split.request, nn.ReLU())[0]
    assert Probe().supports(task, split.request, Ensemble([model])) == [
        "the served model is an ensemble of shards; use the method that made it"
    ]


def test_a_model_that_is_no_module_is_refused(task, split):
    with pytest.raises(InputError, match=r"model must be a torch.nn.Module, got dict"):
        Probe().unlearn({}, task, split)


def test_a_prepared_model_is_what_is_served_and_compared(model, task, split):
    class Prepares(Probe):
        def prepare(self, model, task, data, *, seed, history=None):
            return Prepared(task.new_model(data, seed=77), {"from": "prepare"})

        def _unlearn(self, run):
            return None

    result = Prepares().unlearn(model, task, split)
    fresh = task.new_model(split.data, seed=77)
    assert all(torch.equal(a, b) for a, b in zip(result.original.parameters(), fresh.parameters(), strict=True))
    assert result.state == {"from": "prepare"} and result.changed_parameters == ()
