from __future__ import annotations

import torch

from graphforget.base import Recipe
from graphforget.seed import generator
from graphforget.tasks import ImageClassification
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners._shared.steps import descend, endless_batches, epoch_batches, full_loss, make_adam, recipe_epochs


def task_of(**recipe):
    case = tiny_case("image_classification")
    return ImageClassification(build=case.task.build, recipe=Recipe(**recipe)), case


def test_a_tenth_of_the_recipe():
    task, _ = task_of(epochs=200)
    assert [recipe_epochs(task, e) for e in (None, 0, 7)] == [20, 0, 7]
    assert recipe_epochs(task_of(epochs=3)[0], None) == 1


def test_adam_takes_what_the_recipe_says():
    task, case = task_of(lr=0.2, weight_decay=0.3)
    model = case.model()
    groups = [make_adam(task, model, lr, weight_decay=decay).param_groups[0] for lr, decay in ((None, None), (0.1, 0.0))]
    assert [(g["lr"], g["weight_decay"]) for g in groups] == [(0.2, 0.3), (0.1, 0.0)]


def test_an_epoch_sees_every_example_once_and_endless_goes_on():
    task, case = task_of(batch_size=16)
    view = task.view(case.data, "train")
    batches = list(epoch_batches(task, view, generator(0)))
    assert [len(b) for b in batches] == [16, 16, 9]
    assert torch.equal(torch.cat([b.index for b in batches]).sort().values, view.index)
    stream = endless_batches(task, view, generator(0))
    twice = [next(stream) for _ in range(6)]
    assert torch.equal(twice[0].index, batches[0].index) and not torch.equal(twice[3].index, twice[0].index)


def test_full_loss_contains_the_penalty_and_a_step_descends():
    case = tiny_case("image_classification")

    class Penalised(ImageClassification):
        def penalty(self, model, forward, batch):
            return forward.outputs.new_tensor(100.0)

    task = Penalised(build=case.task.build)
    model = case.model().eval()
    (batch,) = task.batches(task.view(case.data, "train"))
    value = float(full_loss(task, model, batch).detach())
    data_term = float(task.loss(task.forward(model, batch)[0], batch).detach())
    assert abs(value - data_term - 100.0) < 1e-4
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    assert descend(optimizer, full_loss(task, model, batch)) == value
    assert float(full_loss(task, model, batch).detach()) < value
