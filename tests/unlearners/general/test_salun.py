from __future__ import annotations

import pytest
import torch

from graphforget.base import evaluating
from graphforget.exceptions import InputError
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import SalUn

TASKS = ["image_classification", "node_classification", "link_prediction", "recommendation"]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("ratio", [0.05, 0.5])
def test_masked_coordinates_are_bit_identical(name, ratio):
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    task = type(case.task)(build=case.task.build, recipe=type(case.task.recipe)(lr=0.05, weight_decay=0.1, batch_size=16))
    result = SalUn(ratio=ratio, epochs=3).unlearn(case.model(), task, split)
    before, after = dict(case.trained.named_parameters()), dict(result.model.named_parameters())
    total = sum(p.numel() for p in before.values())
    moved = sum(int((before[k] != after[k]).sum()) for k in before)
    assert 0 < moved <= round(ratio * total)
    assert result.info["free_share"] == pytest.approx(round(ratio * total) / total)


def test_the_mask_is_the_most_salient_share():
    case = tiny_case("image_classification")
    split = case.task.split(case.data, case.requests["samples"])
    model = case.model().eval()
    view = split.view("forget", on="unlinked")
    (batch,) = case.task.batches(view)
    grads = torch.autograd.grad(case.task.loss(case.task.forward(model, batch)[0], batch), list(model.parameters()))
    flat = torch.cat([g.abs().view(-1) for g in grads])
    result = SalUn(ratio=0.1, epochs=3).unlearn(case.model(), case.task, split)
    moved = torch.cat([(a != b).view(-1) for a, b in zip(case.trained.parameters(), result.model.parameters(), strict=True)])
    assert float(flat[moved].min()) >= float(flat.topk(round(0.1 * len(flat))).values[-1]) * (1 - 1e-4)


@pytest.mark.parametrize("name", ["image_classification", "node_classification"])
def test_random_labels_lower_the_confidence_in_what_was_forgotten(name):
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))

    def confidence(model):
        view = split.view("forget", on=split.forget_context)
        with evaluating(model):
            p = case.task.predict(model, view).softmax(1)
        return float(p.gather(1, view.data.y[view.index].unsqueeze(1)).mean())

    result = SalUn(epochs=10, retain_weight=0.0).unlearn(case.model(), case.task, split)
    assert confidence(result.model) < confidence(case.model()) - 0.1


def test_zero_epochs_is_the_original():
    case = tiny_case("link_prediction")
    split = case.task.split(case.data, case.requests["edges"])
    assert SalUn(epochs=0).unlearn(case.model(), case.task, split).changed_parameters == ()


@pytest.mark.parametrize("params", [{"ratio": 0.0}, {"ratio": 1.5}, {"epochs": -2}, {"retain_weight": -1}])
def test_refuses_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        SalUn(**params)
