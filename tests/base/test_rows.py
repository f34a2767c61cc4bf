from __future__ import annotations

import torch
from torch import nn

from graphforget.base import RowBlock, rows_by_parameter


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
