from __future__ import annotations

import torch
from torch import nn

from graphforget.base import Recipe, weights_digest
from graphforget.evaluation.gold import fingerprint, gold_models, gold_seeds, model_key, train_or_load
from graphforget.tasks import ImageClassification
from graphforget.testing import tiny_case, tiny_data


class Scaled(nn.Module):
    """One class, two behaviours: the constant is in no repr, no config and no initial weight."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self._scale = scale
        self.linear = nn.Linear(64, 3)

    def forward(self, x):
        return self._scale * self.linear(x.flatten(1))


def image_task(scale: float, **options) -> ImageClassification:
    return ImageClassification(build=lambda d: Scaled(scale), recipe=Recipe(epochs=2, batch_size=16, patience=None), **options)


def test_gold_seeds_differ_from_the_original_and_each_other():
    fixed = gold_seeds(4)
    assert len(set(fixed)) == 4 and gold_seeds(3) == fixed[:3]
    assert fixed[1] not in gold_seeds(4, original=fixed[1])


def test_gold_is_cached_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    case = tiny_case("node_classification")
    split = case.task.split(case.data, case.requests["nodes"])
    first, notes = gold_models(case.task, split, 2)
    again, _ = gold_models(case.task, split, 2)
    assert not notes and [g.cached for g in first] == [False, False] and [g.cached for g in again] == [True, True]
    assert [weights_digest(g.model) for g in first] == [weights_digest(g.model) for g in again]
    assert [(g.seconds, g.epochs) for g in first] == [(g.seconds, g.epochs) for g in again]
    other, _ = gold_models(case.task, case.task.split(case.data, case.requests["edges"]), 1)
    assert not other[0].cached


def test_a_damaged_cache_entry_is_trained_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    case = tiny_case("node_classification")
    key = model_key(case.task, case.data)
    first = train_or_load(case.task, case.data, seed=3, key=key)
    for file in tmp_path.rglob("model.safetensors"):
        file.write_bytes(b"not weights")
    again = train_or_load(case.task, case.data, seed=3, key=key)
    assert not again.cached and weights_digest(again.model) == weights_digest(first.model)
    assert train_or_load(case.task, case.data, seed=3, key=key).cached


def test_the_recipe_is_part_of_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    data = tiny_data("image_classification")
    short, longer = image_task(1.0), image_task(1.0)
    longer.recipe = Recipe(epochs=3, batch_size=16, patience=None)
    x = train_or_load(short, data, seed=0, key="same")
    y = train_or_load(longer, data, seed=0, key="same")
    assert not y.cached and x.epochs == 2 and y.epochs == 3


def test_behaviour_separates_what_source_and_repr_do_not():
    data = tiny_data("image_classification")
    one, two = image_task(1.0), image_task(2.0)
    assert repr(one.new_model(data, seed=0)) == repr(two.new_model(data, seed=0))
    assert fingerprint(one, one.new_model(data, seed=0), data) != fingerprint(two, two.new_model(data, seed=0), data)
    assert model_key(one, data) != model_key(two, data) and model_key(one, data) == model_key(image_task(1.0), data)


def test_fingerprinting_leaves_the_model_without_gradients():
    data = tiny_data("image_classification")
    task = image_task(1.0)
    model = task.new_model(data, seed=0)
    state = torch.random.get_rng_state()
    fingerprint(task, model, data)
    assert all(p.grad is None for p in model.parameters()) and torch.equal(state, torch.random.get_rng_state())


class OwnLoss(ImageClassification):
    """A user's task under the shipped name."""

    def loss(self, forward, batch, *, reduction="mean"):
        return 0.0 * super().loss(forward, batch, reduction=reduction)


def test_a_users_task_does_not_get_the_shipped_tasks_models(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    data, options = tiny_data("image_classification"), {"recipe": Recipe(epochs=2, batch_size=16, patience=None)}
    shipped, own = (cls(build=lambda d: Scaled(1.0), **options) for cls in (ImageClassification, OwnLoss))
    first = train_or_load(shipped, data, seed=0, key="same model")
    other = train_or_load(own, data, seed=0, key="same model")
    assert not other.cached and weights_digest(first.model) != weights_digest(other.model)
    assert train_or_load(own, data, seed=0, key="same model").cached
