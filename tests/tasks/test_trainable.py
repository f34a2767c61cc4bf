"""What all shipped tasks share: fresh models, training, ensembles, memos."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphforget.base import Ensemble, Recipe, TensorData, counting, weights_digest
from graphforget.exceptions import InputError
from graphforget.models import MLP
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import ImageClassification
from graphforget.tasks.trainable import chunks, reduce


def make_task(**kwargs) -> ImageClassification:
    kwargs = {"build": lambda d: MLP(6, 8, d.num_classes)} | kwargs
    return ImageClassification(**({"recipe": Recipe(epochs=8, lr=1e-2, batch_size=16, patience=3)} | kwargs))


# ---- fresh models -----------------------------------------------------------------------------------------
def test_new_model_is_sized_for_the_data_and_seeded(samples):
    task = make_task()
    before = torch.get_rng_state()
    one, same, other = (task.new_model(samples, seed=s) for s in (0, 0, 1))
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)
    assert one.config["num_classes"] == samples.num_classes
    assert torch.equal(before, torch.get_rng_state())  # the caller's random state is not touched


def test_a_template_is_copied_in_shape_only(samples):
    trained = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        trained[1].weight.fill_(7.0)
    fresh = make_task(build=None, template=trained).new_model(samples, seed=0)
    assert not bool((fresh[1].weight == 7).any()) and bool((trained[1].weight == 7).all())


def test_parameters_that_no_reset_sets_are_refused(samples):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.scale = nn.Linear(6, 3), nn.Parameter(torch.ones(3))

        def forward(self, x):
            return self.lin(x.flatten(1)) * self.scale

    with pytest.raises(InputError, match=r"reset_parameters leaves scale unset; pass build="):
        make_task(build=None, template=Scaled()).new_model(samples, seed=0)


def test_no_model_is_refused_in_a_sentence(samples):
    with pytest.raises(InputError, match="give it build="):
        make_task(build=None).new_model(samples, seed=0)


# ---- training ---------------------------------------------------------------------------------------------
def test_fit_learns_in_place_and_keeps_the_best(samples):
    task = make_task(recipe=Recipe(epochs=40, lr=3e-2, batch_size=16, patience=10))
    model = task.new_model(samples, seed=0)
    start = task.utility(model, task.view(samples, "test"))["accuracy"]
    log = task.fit(model, samples, seed=0)
    assert task.utility(model, task.view(samples, "test"))["accuracy"] > max(start, 0.6)
    assert log.best_score == task.utility(model, task.view(samples, "val"))["accuracy"]
    assert log.best_score == max(score for _, score in log.curve)
    assert not model.training


def test_the_log_names_the_initial_weights(samples):
    task = make_task()
    model = task.new_model(samples, seed=5)
    log = task.fit(model, samples, seed=5, epochs=1)
    assert log.init_digest == weights_digest(task.new_model(samples, seed=log.seed)) != weights_digest(model)


def test_epochs_run_exactly_and_keep_what_was_asked(samples):
    task = make_task()
    model, seen = task.new_model(samples, seed=0), []
    log = task.fit(model, samples, seed=0, epochs=4, keep=(2, 4, "optimizer"), callback=lambda epoch, loss: seen.append(epoch))
    assert log.epochs == log.best_epoch == 4 and seen == [1, 2, 3, 4] and log.curve == ()
    assert sorted(log.checkpoints) == [2, 4] and log.optimizer_state is not None
    last = log.checkpoints[4]
    assert all(torch.equal(last[name], value) for name, value in model.state_dict().items())
    short = task.new_model(samples, seed=0)
    task.fit(short, samples, seed=0, epochs=2)
    assert all(torch.equal(log.checkpoints[2][name], value) for name, value in short.state_dict().items())


def test_index_trains_on_nothing_else(samples):
    """Samples outside ``index`` may be NaN: had one been read, the weights would be NaN."""
    task, index = make_task(), samples.splits["train"][:10]
    x = samples.x.clone()
    x[samples.splits["train"][10:]] = float("nan")
    broken = TensorData(x, samples.y, samples.splits, samples.alive, samples.num_classes)
    weights = []
    for data in (samples, broken):
        model = task.new_model(data, seed=0)
        task.fit(model, data, seed=0, index=index, epochs=3)
        weights.append(weights_digest(model))
    assert weights[0] == weights[1] != weights_digest(task.new_model(samples, seed=0))


def test_lr_overrides_the_recipe(samples):
    task = make_task()
    model = task.new_model(samples, seed=0)
    before = weights_digest(model)
    task.fit(model, samples, seed=0, epochs=1, lr=0.0)
    assert weights_digest(model) == before


def test_fit_goes_on_from_the_present_weights(samples):
    task = make_task()
    model = task.new_model(samples, seed=0)
    task.fit(model, samples, seed=0, epochs=2)
    log = task.fit(model, samples, seed=1, epochs=1)
    assert log.init_digest != weights_digest(task.new_model(samples, seed=1))


def test_early_stopping_reads_the_validation_of_the_data_it_was_given(samples):
    task = make_task()
    after = task.split(
        samples, DeletionRequest.samples(samples.splits["val"][:5]) | DeletionRequest.samples(samples.splits["train"][:1])
    ).retain_data
    model = task.new_model(after, seed=0)
    log = task.fit(model, after, seed=0)
    left = View(samples, samples.splits["val"][5:], "none")
    assert log.best_score == pytest.approx(task.utility(model, left)["accuracy"])


def test_fit_is_deterministic_and_leaves_the_random_state(samples):
    task, digests = make_task(), []
    for _ in range(2):
        torch.manual_seed(len(digests))
        state = torch.get_rng_state()
        model = task.new_model(samples, seed=0)
        task.fit(model, samples, seed=0, epochs=2)
        digests.append(weights_digest(model))
        assert torch.equal(state, torch.get_rng_state())
    assert digests[0] == digests[1]


def test_frozen_parameters_stay(samples):
    task = make_task()
    model = task.new_model(samples, seed=0)
    first = next(model.parameters()).requires_grad_(False)
    kept = first.clone()
    task.fit(model, samples, seed=0, epochs=1)
    assert torch.equal(first, kept)


def test_nothing_to_train_on_is_refused(samples):
    task = make_task()
    with pytest.raises(InputError, match="nothing to train on: part 'train' of 'blobs' is empty"):
        task.fit(task.new_model(samples, seed=0), samples, seed=0, index=torch.empty(0, dtype=torch.long))


# ---- forward ----------------------------------------------------------------------------------------------
def test_an_ensemble_of_a_model_with_itself_is_that_model(samples):
    task = make_task()
    model, other = task.new_model(samples, seed=0).eval(), task.new_model(samples, seed=1).eval()
    view = task.view(samples, "test")
    own, twice = task.predict(model, view), task.predict(Ensemble([model, model]), view)
    assert torch.allclose(own.softmax(-1), twice.softmax(-1), atol=1e-6)
    mixed = task.predict(Ensemble([model, other]), view).softmax(-1)
    assert torch.allclose(mixed, (own.softmax(-1) + task.predict(other, view).softmax(-1)) / 2, atol=1e-6)
    batch = next(iter(task.batches(view)))
    with pytest.raises(InputError, match="capture them on its members"):
        task.forward(Ensemble([model]), batch, layers=["lins.0"])
    with pytest.raises(TypeError, match=r"combined by Task.forward"):
        Ensemble([model])(samples.x)


def test_layers_are_captured_or_refused_by_name(samples):
    task = make_task()
    model = task.new_model(samples, seed=0)
    batch = next(iter(task.batches(task.view(samples, "test"))))
    forward = task.forward(model, batch, layers=["lins.0", "lins.1"])[0]
    assert forward.layers["lins.0"].shape == (12, 8) and torch.equal(forward.layers["lins.1"], forward.outputs)
    assert torch.equal(forward.embeddings, forward.layers["lins.0"])
    assert task.layer_names(model) == ["lins.0", "lins.1"] and task.head(model) == "lins.1"
    assert make_task(layers=["lins.0"]).head(model) == "lins.0"
    with pytest.raises(InputError, match=r"no layer 'lins.7': did you mean 'lins.0'|no layer 'lins.7'"):
        task.forward(model, batch, layers=["lins.7"])
    assert not model.lins[0]._forward_hooks
    with pytest.raises(InputError, match="pass layers="):
        task.head(nn.Flatten())


def test_work_is_counted(samples):
    task = make_task()
    model = task.new_model(samples, seed=0)
    batches = list(task.batches(task.view(samples, "train"), batch_size=10))
    with counting() as outer:
        with counting() as inner:
            task.forward(model, *batches)
        task.forward(model, batches[0])
    assert inner.forward_examples == 36 and outer.forward_examples == 46 and inner.encodings == 0


# ---- helpers ----------------------------------------------------------------------------------------------
def test_chunks_cover_everything_once():
    pieces = chunks(7, 3, True, torch.Generator().manual_seed(0))
    assert [len(p) for p in pieces] == [3, 3, 1] and sorted(torch.cat(pieces).tolist()) == list(range(7))
    assert torch.equal(chunks(4, None, False, None)[0], torch.arange(4))


def test_reduce_of_nothing_is_zero():
    assert float(reduce(torch.empty(0), "mean")) == 0
    assert float(reduce(torch.tensor([1.0, 3.0]), "mean")) == 2 and float(reduce(torch.tensor([1.0, 3.0]), "sum")) == 4
    assert reduce(torch.ones(2), "none").shape == (2,)
