"""TensorData, content digests and class labels."""

from __future__ import annotations

import pytest
import torch

from graphforget.base import Data, TensorData, content_digest, resolve_labels
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest

SPLITS = {"train": torch.tensor([3, 0, 1]), "val": torch.tensor([2])}


def make(**changes):
    given = {"x": torch.arange(8.0).view(4, 2), "y": torch.tensor([0, 1, 2, 1]), "splits": SPLITS} | changes
    return TensorData.create(given.pop("x"), given.pop("y"), given.pop("splits"), **given)


def test_create_sorts_and_counts():
    data = make()
    assert data.splits["train"].tolist() == [0, 1, 3]
    assert data.num_classes == 3 and bool(data.alive.all()) and isinstance(data, Data)
    assert make(y=torch.rand(4)).num_classes == 0


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"y": torch.zeros(3, dtype=torch.long)}, "x has 4 rows but y has 3"),
        ({"x": torch.tensor([[1.0], [float("nan")], [0.0], [0.0]])}, "NaN in samples 1"),
        ({"splits": {"val": torch.tensor([0])}}, "at least 'train'"),
        ({"splits": {"train": torch.tensor([4])}}, "names sample 4, but there are 4"),
        ({"splits": {"train": torch.tensor([0, 1]), "val": torch.tensor([1])}}, "samples 1 are in more than one split"),
        ({"num_classes": 2}, r"labels must lie in 0..1, got 0..2"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        make(**changes)


def test_without_empties_slots_and_keeps_ids():
    data = make()
    before = data.digest()
    after = data.without(torch.tensor([1, 2]), None)
    assert after.x.shape == data.x.shape
    assert torch.isnan(after.x[[1, 2]]).all() and torch.equal(after.x[[0, 3]], data.x[[0, 3]])
    assert after.y.tolist() == [0, -1, -1, 1] and after.alive.tolist() == [True, False, False, True]
    assert after.splits["train"].tolist() == [0, 3] and after.splits["val"].tolist() == []
    assert data.digest() == before != after.digest()


def test_content_digest_tells_shape_dtype_and_value_apart():
    base = torch.arange(6)
    different = [base, base.view(2, 3), base.int(), base + 1, base.float(), [base], {"a": base}, {"b": base}, "text", 0]
    assert len({content_digest(value) for value in different}) == len(different)
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})
    assert content_digest(base.t()) == content_digest(base.clone())


def test_content_digest_of_a_transposed_view_follows_content():
    matrix = torch.arange(6).view(2, 3)
    assert content_digest(matrix.t()) == content_digest(matrix.t().contiguous())
    assert content_digest(torch.eye(3).to_sparse_csr()) != content_digest((2 * torch.eye(3)).to_sparse_csr())


def test_resolve_labels_names_unknown_classes():
    request = DeletionRequest.classes([1, 5])
    with pytest.raises(InputError, match="unknown class 5: the data has classes 0 to 2"):
        resolve_labels(request, "class", 3)
    assert resolve_labels(request, "class", 6).tolist() == [1, 5]


def test_digest_follows_edits_in_place():
    data = make()
    before = data.digest()
    data.x[0] += 1
    assert data.digest() != before


def test_integer_inputs_can_be_forgotten():
    after = make(x=torch.ones(4, 2, dtype=torch.uint8)).without(torch.tensor([1]), None)
    assert after.x[:, 0].tolist() == [1, 0, 1, 1] and after.alive.tolist() == [True, False, True, True]
