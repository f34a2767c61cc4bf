"""Exact copies of forgotten samples stay in training: the deletion is then void, which is said."""

from __future__ import annotations

import torch

import graphforget
from graphforget.base import TensorData
from graphforget.models import MLP


def test_copies_that_stay_are_named():
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    x[20:23] = x[0:3]
    data = TensorData.create({"x": x}, torch.arange(40) % 2, {"train": torch.arange(30), "test": torch.arange(30, 40)})
    for container, rows in ((data, [0, 1, 5]), (TensorData.create(x, data.y, data.splits), [0, 1, 5])):
        request = graphforget.DeletionRequest.samples(rows)
        result = graphforget.unlearn(MLP(6, 4, 2), container, request, task="image_classification", method="finetune", epochs=1)
        assert "2 training samples that stay are exact copies of forgotten ones (20, 21)" in result.split.notes[0]
        assert result.to_dict()["notes"] == list(result.split.notes)
        clean = result.then(graphforget.DeletionRequest.samples([20, 21, 7]))
        assert clean.split.notes == ()


def test_the_report_shows_them():
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    x[20] = x[0]
    data = TensorData.create(x, torch.arange(40) % 2, {"train": torch.arange(30), "test": torch.arange(30, 40)})
    request = graphforget.DeletionRequest.samples([0])
    result = graphforget.unlearn(MLP(6, 4, 2), data, request, task="image_classification", method="finetune", epochs=1)
    report = graphforget.evaluate(result, gold=1, cache=False)
    assert "exact copies of forgotten ones (20)" in str(report).replace("\n", " ").replace("  ", " ")
