"""Samples come as tensors, arrays, datasets, loaders or named inputs of any real type; what cannot be read is refused in words."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import graphforget
from graphforget.base import TensorData
from graphforget.exceptions import InputError
from graphforget.tasks import ImageClassification

G = torch.Generator().manual_seed(0)
Y = torch.randint(3, (30,), generator=G)
X = torch.randn(30, 2, 4, 4, generator=G) + Y.view(-1, 1, 1, 1)
IDS = torch.randint(1, 50, (30, 6), generator=G)
MASK = torch.ones_like(IDS)
MASK[:, 4:] = 0
REQUEST = graphforget.DeletionRequest.samples([1, 2, 3])


class Images(Dataset):
    def __len__(self):
        return 30

    def __getitem__(self, i):
        return X[i], int(Y[i])


class Augmented(Images):
    def __getitem__(self, i):
        return X[i] + torch.rand(1), int(Y[i])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


class Texts(Dataset):
    def __len__(self):
        return 30

    def __getitem__(self, i):
        return {"input_ids": IDS[i], "attention_mask": MASK[i], "labels": int(Y[i])}


class Reader(nn.Module):
    """A text model that needs both of its inputs; it counts what it was given."""

    def __init__(self, out="tensor"):
        super().__init__()
        self.table, self.head, self.out, self.seen = nn.Embedding(50, 8, padding_idx=0), nn.Linear(8, 3), out, []

    def forward(self, input_ids, attention_mask):
        self.seen.append(attention_mask.float().mean().item())
        weight = attention_mask.unsqueeze(2).to(self.head.weight.dtype)
        scores = self.head((self.table(input_ids) * weight).sum(1) / weight.sum(1).clamp(min=1))
        return {"tensor": scores, "namespace": SimpleNamespace(logits=scores), "dict": {"logits": scores}, "tuple": (scores,)}[
            self.out
        ]


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 3))


def forget(data, model=None, method="finetune"):
    return graphforget.unlearn(model or net(), data, REQUEST, task="image_classification", method=method, epochs=1, seed=0)


@pytest.mark.parametrize(
    "data",
    [
        (X.numpy(), Y.numpy()),
        (X.double(), Y),
        (X.half().float(), Y.int()),
        (X, Y.to(torch.uint8)),
        (X, Y.view(-1, 1)),
        (X.tolist(), Y.tolist()),
        (X.clone().requires_grad_(), Y),
        Images(),
        TensorDataset(X, Y),
        Subset(Images(), range(30)),
        DataLoader(Images(), 7, shuffle=True, drop_last=True),
    ],
    ids=[
        "numpy",
        "double",
        "int labels",
        "byte labels",
        "column of labels",
        "lists",
        "grad",
        "set",
        "tensors",
        "subset",
        "loader",
    ],
)
def test_the_same_samples_in_other_containers_give_the_same_data(data):
    expected = ImageClassification(template=net()).adopt((X, Y))
    found = ImageClassification(template=net()).adopt(data)
    assert (
        torch.equal(found.y, Y)
        and torch.allclose(found.x.float(), X, atol=5e-3)
        and found.splits["train"].tolist() == list(range(30))
    )
    assert found.num_classes == expected.num_classes == 3
    assert forget(data).data.x[REQUEST.ids("sample")].isnan().all()


def test_parts_are_kept():
    data = TensorData.from_datasets(
        {"train": Subset(Images(), range(20)), "test": DataLoader(Subset(Images(), range(20, 30)), 4)}
    )
    assert torch.equal(data.x, X) and data.splits["test"].tolist() == list(range(20, 30))
    task = ImageClassification(template=net())
    adopted = task.adopt({"train": Subset(Images(), range(20)), "test": Subset(Images(), range(20, 30))})
    assert adopted.digest() == data.digest() and task.view(adopted, "test").index.tolist() == list(range(20, 30))


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.int32, torch.uint8, torch.bool])
def test_a_forgotten_row_is_emptied_whatever_its_type(kind):
    after = TensorData.create((X > 0).to(kind) + 0 if kind != torch.bool else X > 0, Y, {"train": range(30)}).without(
        torch.tensor([4]), None
    )
    assert after.x.dtype == kind and (after.x[4].isnan() if kind.is_floating_point else after.x[4] == 0).all()
    assert after.digest() != TensorData.create(X, Y, {"train": range(30)}).digest()


def test_named_inputs_reach_the_model_and_go_with_the_sample():
    for data in (TensorData.create({"input_ids": IDS, "attention_mask": MASK}, Y, {"train": range(30)}), Texts()):
        model = Reader()
        result = forget(data, model)
        assert all(abs(seen - 4 / 6) < 1e-6 for seen in model.seen + result.model.seen) and result.model.seen
        for name, table in result.data.x.items():
            assert (table[REQUEST.ids("sample")] == 0).all() and (
                table[4:] == {"input_ids": IDS, "attention_mask": MASK}[name][4:]
            ).all()


@pytest.mark.parametrize("out", ["namespace", "dict"])
def test_outputs_with_logits_are_read(out):
    data = TensorData.create({"input_ids": IDS, "attention_mask": MASK}, Y, {"train": range(25), "test": range(25, 30)})
    task = ImageClassification(template=Reader())
    torch.manual_seed(0)
    model = Reader()
    expected = task.predict(model, task.view(data, "test"))
    model.out = out
    assert torch.equal(task.predict(model, task.view(data, "test")), expected)


@pytest.mark.parametrize(
    ("data", "model", "sentence"),
    [
        (lambda: ((X * 20 + 100).clamp(0, 255).to(torch.uint8), Y), net, "cannot compute with inputs of type uint8 .* x.float"),
        (lambda: (X > 0, Y), net, "cannot compute with inputs of type bool"),
        (lambda: (X, nn.functional.one_hot(Y, 3).float()), net, r"labels are float32 of shape \[30, 3\]: give y.argmax\(1\)"),
        (lambda: (X, nn.functional.one_hot(Y, 3)), net, r"one class number per sample, shape \[30\]; got shape \[30, 3\]"),
        (lambda: (X, Y + 1), net, "scores 3 classes, but the data have 4: number the labels from 0 to 2"),
        (lambda: (X, Y[:20]), net, "x has 30 rows but y has 20"),
        (lambda: (X, ["cat"] * 30), net, "text such as 'cat': number the classes"),
        (lambda: (torch.tensor(3.0), Y), net, r"one row per sample, shape \[N, ...\]; got shape \[\]"),
        (lambda: (X.to(torch.complex64), Y), net, "real numbers"),
        (lambda: ([[1, 2], [3]], [0, 1]), net, "different lengths, for example 1 and 2: bring them to one"),
        (lambda: ([IDS[0], IDS[0, :3]], [0, 1]), net, "different shapes"),
        (lambda: (np.array([["a"], ["b"]]), [0, 1]), net, "must hold numbers, got an array of <U1"),
        (lambda: ((IDS, MASK), Y), Reader, "a tuple of 2 tables: several inputs are given by the names"),
        (lambda: {"input_ids": IDS, "attention_mask": MASK}, Reader, "needs samples with labels, got dict"),
        (lambda: (IDS, Y), Reader, "needs 2 inputs, input_ids and attention_mask, but the data have one"),
        (lambda: TensorData.create({"input_ids": IDS, "mask": MASK}, Y, {"train": range(30)}), Reader, "takes no input 'mask': choose one of attention_mask"),
        (lambda: TensorData.create({"input_ids": IDS}, Y, {"train": range(30)}), Reader, "needs 'attention_mask', but the data have"),
        (lambda: TensorData.create({"input_ids": IDS, "m": MASK[:9]}, Y, {"train": range(30)}), Reader, "different numbers of rows"),
        (lambda: TensorData.create({"input_ids": IDS, "attention_mask": MASK}, Y, {"train": range(30)}),
         lambda: Reader("tuple"), "or an object with .logits; got tuple"),
        (Augmented, net, "gives another sample each time it is asked, as random augmentation does"),
        (Stream, net, "'Stream' is a stream"),
        (lambda: DataLoader(Images(), 4, collate_fn=list), net, "must be .input, label. pairs or mappings with a label; got 16 parts"),
        (lambda: [DataLoader(Images()), DataLoader(Images())], net, "needs samples with labels, got list"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(data, model, sentence):
    with pytest.raises(InputError, match=sentence):
        forget(data(), model())


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ({"train": torch.ones(20, dtype=torch.bool)}, r"boolean mask of shape \[20\], but there are 30 samples"),
        ({"train": [-1, 2]}, "names sample -1"),
        ({"train": [0.5]}, "must hold sample ids, got float32"),
        ({"train": ["a"]}, "must be sample ids or a boolean mask"),
        ([1, 2], "at least 'train'"),
    ],
)
def test_parts_that_are_no_ids_are_refused(splits, sentence):
    with pytest.raises(InputError, match=sentence):
        TensorData.create(X, Y, splits)


def test_masks_say_which_samples_are_in_a_part():
    data = TensorData.create(X, Y, {"train": torch.arange(30) < 20, "test": (torch.arange(30) >= 20).numpy()})
    assert data.splits["train"].tolist() == list(range(20)) and data.splits["test"].tolist() == list(range(20, 30))
