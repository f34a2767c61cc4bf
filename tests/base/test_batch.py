from __future__ import annotations

import torch

from graphforget.base import Batch, Forward, count_work, counting, row_ids, using_row_ids


def test_a_batch_keeps_its_draws_in_another_context():
    batch = Batch("small", torch.tensor([1, 2]), torch.zeros(2), extra={"negative": torch.tensor([3, 4])})
    other = batch.on("large")
    assert other.data == "large" and batch.data == "small" and len(other) == 2
    assert other.index is batch.index and other.extra["negative"] is batch.extra["negative"]


def test_replace_changes_only_what_is_named():
    batch = Batch("data", torch.tensor([1]), torch.zeros(1))
    changed = batch.replace(y=torch.ones(1))
    assert changed.y.tolist() == [1] and changed.index is batch.index and batch.y.tolist() == [0]


def test_rows_of_examples():
    table = torch.arange(6).view(3, 2)
    assert Forward(table).of_examples(table) is table
    assert Forward(table, rows=torch.tensor([2, 0])).of_examples(table).tolist() == [[4, 5], [0, 1]]
    assert Forward(table, rows=torch.tensor([[2, 0]])).of_examples(table).shape == (1, 2, 2)


def test_row_ids_are_announced_only_inside():
    assert row_ids() is None
    with using_row_ids(torch.tensor([5])):
        with using_row_ids(torch.tensor([7])):
            assert row_ids().tolist() == [7]
        assert row_ids().tolist() == [5]
    assert row_ids() is None


def test_counters_nest():
    count_work(examples=100)
    with counting() as outer:
        count_work(examples=1)
        with counting() as inner:
            count_work(examples=2, encodings=1)
    count_work(examples=100)
    assert (outer.forward_examples, outer.encodings) == (3, 1) and (inner.forward_examples, inner.encodings) == (2, 1)
