"""check_task must catch what it says it catches: one broken task per check."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from graphforget.base import Recipe
from graphforget.models import MLP
from graphforget.requests import ForgetSplit
from graphforget.tasks import ImageClassification
from graphforget.testing import TASK_CHECKS, ContractError, check_task, tiny_data, tiny_requests

NAME = "image_classification"


def edited(split: ForgetSplit, **parts) -> ForgetSplit:
    for name, value in parts.items():
        setattr(split, name, value)
    return split


class KeepsRemoved(ImageClassification):
    def split(self, data, request):
        split = super().split(data, request)
        return edited(split, retain=data.splits["train"])


class Unsorted(ImageClassification):
    def split(self, data, request):
        split = super().split(data, request)
        return edited(split, retain=split.retain.flip(0))


class NoLineage(ImageClassification):
    def split(self, data, request):
        split = super().split(data, request)
        split.__dict__["retain_data"] = replace(split.retain_data, lineage=None)
        return split


class ReadsTheDead(ImageClassification):
    def split(self, data, request):
        split = super().split(data, request)
        split.__dict__["retain_data"] = replace(split.retain_data, x=data.x)
        return split


class AcceptsUnknownKinds(ImageClassification):
    def check_kinds(self, request):
        return None

    def split(self, data, request):
        return super().split(data, tiny_requests(NAME)["samples"] if "concept" in request.kinds else request)


class OneSide(ImageClassification):
    def view(self, data, part, *, side=None, request=None):
        return super().view(data, part, side=None if side is None else "forget", request=request)


class DrawsAlone(ImageClassification):
    def batches(self, view, *, batch_size=None, shuffle=False, generator=None):
        own = torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "big"))
        return super().batches(view, batch_size=batch_size, shuffle=shuffle, generator=own)


class RandomLoss(ImageClassification):
    def loss(self, forward, batch, *, reduction="mean"):
        return super().loss(forward, batch, reduction=reduction) * (1 + torch.rand(()))


class Uncounted(ImageClassification):
    def forward(self, model, *batches, layers=()):
        return tuple(self._forward(model, [b], {})[0] for b in batches)


class RightLabels(ImageClassification):
    def relabel(self, batch, generator):
        return batch


class OneInit(ImageClassification):
    def new_model(self, data, *, seed):
        return super().new_model(data, seed=0)


class GlobalSeed(ImageClassification):
    def new_model(self, data, *, seed):
        torch.manual_seed(seed)
        return self.build(data)


class FitsNothing(ImageClassification):
    def fit(self, model, data, **options):
        import copy

        return super().fit(copy.deepcopy(model), data, **options)


class ValidatesOnTest(ImageClassification):
    def fit(self, model, data, **options):
        log = super().fit(model, data, **options)
        return replace(log, best_score=(log.best_score or 0) + 0.01)


class IgnoresEpochs(ImageClassification):
    def fit(self, model, data, *, epochs=None, **options):
        return super().fit(model, data, **options)


class NoMonitor(ImageClassification):
    def utility(self, model, view):
        return {"accuracy": 1}


class WritesData(ImageClassification):
    def relabel(self, batch, generator):
        batch.data.x.add_(0)
        return super().relabel(batch, generator)


BROKEN = [
    (KeepsRemoved, "parts", "both removed and retained"),
    (Unsorted, "canonical ids", "not sorted and unique"),
    (NoLineage, "lineage", "has no lineage"),
    (ReadsTheDead, "dead rows are NaN", "are not NaN"),
    (AcceptsUnknownKinds, "refusals", "an unknown kind was accepted"),
    (OneSide, "sides", "do not partition it"),
    (DrawsAlone, "repeatable batches", "the same generator gave different batches"),
    (RandomLoss, "loss given a batch", "took two values"),
    (Uncounted, "shared forward", "not counted"),
    (RightLabels, "wrong targets", "still the right one"),
    (OneInit, "fresh models", "another seed gave the same"),
    (GlobalSeed, "fresh models", "changed the global random state"),
    (FitsNothing, "fit in place", "fit changed no weight"),
    (ValidatesOnTest, "own validation", "not the best on the data's own validation part"),
    (IgnoresEpochs, "short training", "epochs= or keep= is not followed"),
    (NoMonitor, "utility", "must map names to floats"),
    (WritesData, "data untouched", "changed in place"),
]


def make(cls):
    return cls(build=lambda d: MLP(64, 8, d.num_classes), recipe=Recipe(epochs=4, lr=0.01, batch_size=16))


def fresh_data():
    data = tiny_data(NAME)
    return replace(data, x=data.x.clone())


def test_a_sound_task_passes():
    report = check_task(make(ImageClassification), fresh_data(), tiny_requests(NAME)["class"])
    assert tuple(c.name for c in report.checks) == TASK_CHECKS == tuple(c.name for c in report.executed)


@pytest.mark.parametrize(("cls", "check", "sentence"), BROKEN, ids=lambda v: v.__name__ if isinstance(v, type) else "")
def test_a_broken_task_is_caught(cls, check, sentence):
    with pytest.raises(ContractError, match=sentence) as caught:
        check_task(make(cls), fresh_data(), tiny_requests(NAME)["two kinds"])
    assert check in {c.name for c in caught.value.report.failed}
