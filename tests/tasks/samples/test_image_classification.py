"""Independent samples: the i.i.d. case of the contract."""

from __future__ import annotations

import pytest
import torch

from graphforget import seed as seeds
from graphforget.base import TensorData
from graphforget.exceptions import InputError, ViewError
from graphforget.models import MLP
from graphforget.requests import DeletionRequest
from graphforget.tasks import ImageClassification
from graphforget.tasks.samples.image_classification import other_classes


@pytest.fixture
def task() -> ImageClassification:
    return ImageClassification(build=lambda d: MLP(6, 8, d.num_classes))


def test_samples_are_removed_and_emptied(task, samples):
    ids = samples.splits["train"][:4]
    split = task.split(samples, DeletionRequest.samples(ids))
    assert torch.equal(split.removed, ids) and split.forget_source == "removed"
    assert not len(split.altered) and not len(split.affected)
    assert torch.equal(torch.cat([split.removed, split.retain]).sort().values, samples.splits["train"])
    assert torch.isnan(split.retain_data.x[ids]).all() and not split.retain_data.alive[ids].any()


def test_forgotten_samples_cannot_be_read_in_the_retained_data(task, samples):
    split = task.split(samples, DeletionRequest.samples(samples.splits["train"][:4]))
    with pytest.raises(ViewError, match="4 of the 4 forgotten examples"):
        split.view("forget", on="retained")
    assert split.forget_context == "unlinked" and split.unlinked_data is samples
    with pytest.raises(ViewError, match="unknown context 'after'"):
        split.view("retain", on="after")
    with pytest.raises(ViewError, match="unknown part 'kept'"):
        split.view("kept", on="original")


def test_a_forgotten_sample_reads_as_nan(task, samples):
    split = task.split(samples, DeletionRequest.samples(samples.splits["train"][:1]))
    model = task.new_model(samples, seed=0)
    batch = next(iter(task.batches(split.view("forget", on="original"))))
    assert bool(task.forward(model, batch)[0].outputs.isfinite().all())
    assert bool(task.forward(model, batch.on(split.retain_data))[0].outputs.isnan().all())


def test_a_test_sample_is_no_training_example(task, samples):
    split = task.split(samples, DeletionRequest.samples(samples.splits["test"][:2]))
    assert split.forget_source == "none" and len(split.retain) == 36
    assert len(split.retain_data.splits["test"]) == 10


def test_classes_leave_train_and_val_and_stay_in_test(task, samples):
    request = DeletionRequest.classes([1])
    split = task.split(samples, request)
    after = split.retain_data
    assert not (samples.y[split.retain] == 1).any() and bool((samples.y[split.removed] == 1).all())
    assert not (after.y[after.splits["val"]] == 1).any()
    forget, retain = (task.index(after, "test", side=side, request=request) for side in ("forget", "retain"))
    assert bool((samples.y[forget] == 1).all()) and not (samples.y[retain] == 1).any()
    assert torch.equal(torch.cat([forget, retain]).sort().values, samples.splits["test"])
    assert not len(task.index(samples, "holdout"))


def test_samples_and_classes_together(task, samples):
    ids = samples.splits["train"][samples.y[samples.splits["train"]] == 0][:2]
    split = task.split(samples, DeletionRequest.classes([2]) | DeletionRequest.samples(ids))
    train = samples.splits["train"]
    assert torch.equal(split.removed, train[(samples.y[train] == 2) | torch.isin(train, ids)])


def test_a_second_request_starts_where_the_first_ended(task, samples):
    a, b = (DeletionRequest.samples(samples.splits["train"][i : i + 2]) for i in (0, 2))
    second = task.split(task.split(samples, a).retain_data, b)
    assert second.root[0] is samples and second.root[1] == a | b
    assert second.retain_data.digest() == task.split(samples, a | b).retain_data.digest()
    with pytest.raises(InputError, match="already forgotten"):
        task.split(second.data, a)
    gone = task.split(samples, DeletionRequest.classes([1])).retain_data
    with pytest.raises(InputError, match="class 1 has no training or validation sample left"):
        task.split(gone, DeletionRequest.classes([1]))


@pytest.mark.parametrize(
    "request_, sentence",
    [
        (DeletionRequest.samples([60]), "unknown samples 60: the data has samples 0 to 59"),
        (DeletionRequest.classes([3]), "unknown class 3"),
        (DeletionRequest.classes([0, 1, 2]), "nothing would be left"),
        (DeletionRequest.edges(pairs=[[0, 1]]), "cannot forget 'edge' targets; it knows class, sample"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(task, samples, request_, sentence):
    with pytest.raises(InputError, match=sentence):
        task.split(samples, request_)


def test_inputs_can_be_edited(task, samples):
    batch = next(iter(task.batches(task.view(samples, "test"))))
    model = task.new_model(samples, seed=0)
    inputs = task.inputs(batch)
    assert torch.equal(inputs, samples.x[samples.splits["test"]])
    noise = torch.zeros_like(inputs, requires_grad=True)
    forward = task.forward(model, batch.replace(inputs=inputs + noise))[0]
    assert torch.equal(forward.outputs, task.forward(model, batch)[0].outputs)
    task.loss(forward, batch).backward()
    assert float(noise.grad.abs().sum()) > 0
    other = task.forward(model, batch.replace(inputs=inputs + 1))[0]
    assert not torch.equal(forward.outputs, other.outputs)


def test_wrong_labels_are_wrong_and_seeded(task, samples):
    batch = next(iter(task.batches(task.view(samples, "train"))))
    wrong = task.relabel(batch, seeds.generator(0))
    assert not (wrong.y == batch.y).any() and int(wrong.y.max()) < 3
    assert torch.equal(wrong.y, task.relabel(batch, seeds.generator(0)).y)
    assert set(((wrong.y - batch.y) % 3).tolist()) == {1, 2}
    with pytest.raises(InputError, match="single class"):
        other_classes(torch.zeros(2, dtype=torch.long), 1, seeds.generator(0))


def test_loss_is_cross_entropy(task, samples):
    model = task.new_model(samples, seed=0)
    batch = next(iter(task.batches(task.view(samples, "test"))))
    forward = task.forward(model, batch)[0]
    expected = -forward.outputs.log_softmax(-1)[torch.arange(len(batch)), batch.y]
    assert torch.allclose(task.loss(forward, batch, reduction="none"), expected)
    assert torch.allclose(task.loss(forward, batch), expected.mean())


def test_adopt(task, samples):
    assert task.adopt(samples) is samples
    pair = task.adopt((samples.x, samples.y))
    assert isinstance(pair, TensorData) and len(pair.splits["train"]) == 60
    with pytest.raises(InputError, match="give a TensorData or a pair"):
        task.adopt([1, 2, 3])
