"""HeteroData in and out."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.interactions import from_hetero, remove_items, to_hetero
from graphforget.tasks import Recommendation


def test_there_and_back():
    data = load("tastes", num_users=30, num_items=40, per_user=5)
    again = from_hetero(to_hetero(data))
    assert {part: p.tolist() for part, p in again.splits.items()} == {part: p.tolist() for part, p in data.splits.items()}
    assert (again.num_users, again.num_items) == (30, 40)
    assert all(torch.equal(again.features[name], x) for name, x in data.features.items())
    assert to_hetero(remove_items(data, [3]))["item"].alive.nonzero().view(-1).tolist() == [i for i in range(40) if i != 3]
    assert to_hetero(data).validate()


def hetero(**edges) -> HeteroData:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 3, 4
    data["item"].x, data["item"].year = torch.ones(4, 2), torch.arange(4)
    for name, value in edges.items():
        data["user", name, "item"].edge_index = torch.tensor(value)
    return data


def test_edges_without_masks_train_and_the_task_takes_them():
    data = Recommendation().adopt(hetero(buys=[[0, 2, 0], [1, 3, 1]]))
    assert data.splits["train"].tolist() == [[0, 1], [2, 3]] and data.modalities == {"x": 2} and data.num_items == 4
    masked = hetero(buys=[[0, 2, 1], [1, 3, 1]])
    masked["user", "buys", "item"].test_mask = torch.tensor([False, True, False])
    assert from_hetero(masked).splits["test"].tolist() == [[2, 3]] and len(from_hetero(masked).splits["train"]) == 2


def test_what_is_unclear_is_refused():
    with pytest.raises(InputError, match="one edge type from 'user' to 'item', found 2"):
        from_hetero(hetero(buys=[[0], [1]], likes=[[0], [1]]))
    with pytest.raises(InputError, match="found 0 among"):
        from_hetero(hetero(buys=[[0], [1]]), user="customer")
    wrong = hetero(buys=[[0], [1]])
    wrong["user", "buys", "item"].val_mask = torch.tensor([1])
    with pytest.raises(InputError, match="val_mask must be boolean with one value per edge"):
        from_hetero(wrong)
    with pytest.raises(InputError, match="needs a torch_geometric.data.HeteroData, got list"):
        from_hetero([])
