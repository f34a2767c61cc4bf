from __future__ import annotations

import torch
from torch import nn

from graphforget.base.model import RowBlock
from graphforget.requests import DeletionRequest
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners._shared.rows import entities, reset_rows, row_reasons, rows_by_parameter


class Packed(nn.Module):
    """Users in even rows and items in odd rows of one table, and biases of items behind those of users."""

    def __init__(self):
        super().__init__()
        self.table, self.bias = nn.Parameter(torch.ones(8, 2)), nn.Parameter(torch.ones(8))

    def entity_rows(self):
        return {"user": [RowBlock("table", 0, 2), RowBlock("bias")], "item": [RowBlock("table", 1, 2), RowBlock("bias", 4)]}


def test_rows_follow_offset_and_stride():
    ids = {"user": torch.tensor([0, 3]), "item": torch.tensor([2])}
    rows = rows_by_parameter(Packed(), ids)
    assert {k: v.tolist() for k, v in rows.items()} == {"table": [0, 5, 6], "bias": [0, 3, 6]}
    assert rows_by_parameter(Packed(), {"item": torch.empty(0, dtype=torch.long)}) == {}


def test_only_these_rows_are_put_back():
    model, fresh = Packed(), {"table": torch.full((8, 2), 5.0), "bias": torch.full((8,), 7.0)}
    assert reset_rows(model, {"item": torch.tensor([1])}, fresh) == {"table": 1, "bias": 1}
    assert model.table.sum(1).tolist() == [2, 2, 2, 10, 2, 2, 2, 2] and model.bias.tolist() == [1, 1, 1, 1, 1, 7, 1, 1]


def test_entities_of_both_scopes():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["two kinds"])
    named = entities(split, "requested")
    assert named["user"].tolist() == [4] and named["item"].tolist() == [6]
    wide = entities(split, "touched")
    assert torch.equal(wide["user"], torch.unique(split.removed[:, 0])) and len(wide["item"]) > 1
    pairs = DeletionRequest.interactions([[0, 1]])
    assert row_reasons(pairs, "requested") and not row_reasons(pairs, "touched")
    assert not row_reasons(case.requests["two kinds"], "requested")
