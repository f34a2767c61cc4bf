"""What a model keeps besides its weights is found, emptied and copied."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SGConv

from graphforget.base.stored import clear_caches, private_copy, stored
from graphforget.exceptions import InputError

EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def test_every_place_is_found_once():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    table = torch.arange(6.0)
    model.kept = {"last": [table, table], "graph": Data(x=torch.ones(3, 2), edge_index=EDGES), "array": np.ones(4)}
    model.optimiser = torch.optim.Adam(model.parameters())
    model[0](torch.ones(1, 2)).sum().backward()
    model.optimiser.step()
    model.hidden = [nn.Linear(2, 2)]  # torch does not know of it
    found = {one.name: one.kind for one in stored(model)}
    assert found["0.weight"] == "parameter" and found["1.running_mean"] == "buffer"
    assert found["kept['last'][0]"] == "attribute" and "kept['last'][1]" not in found
    assert {"kept['graph'].x", "kept['graph'].edge_index", "kept['array']", "hidden[0].weight"} <= set(found)
    assert sum("exp_avg" in name for name in found) >= 2


def test_a_model_that_points_at_itself_is_walked_once():
    model = nn.Linear(2, 2)
    model.loop = {}
    model.loop["again"] = model.loop
    model.me = [model]
    assert [one.name for one in stored(model)] == ["weight", "bias"]


def test_caches_of_layers_are_emptied():
    model = nn.ModuleList([GCNConv(2, 2, cached=True), SGConv(2, 2, K=2, cached=True)])
    for layer in model:
        layer(torch.ones(3, 2), EDGES)
    assert sorted(clear_caches(model)) == ["0._cached_edge_index", "1._cached_x"]
    assert clear_caches(model) == [] and model[0]._cached_edge_index is None


def test_tensors_of_the_last_forward_pass_are_copied_without_their_history():
    model = nn.Linear(2, 2)
    model.last = {"out": model(torch.ones(1, 2))}
    with pytest.raises(RuntimeError):
        copy.deepcopy(model)
    twin = private_copy(model)
    assert torch.equal(twin.last["out"], model.last["out"]) and twin.last["out"].is_leaf
    assert twin.weight is not model.weight and torch.equal(twin.weight, model.weight)


def test_what_cannot_be_copied_is_named():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].lock = threading.Lock()
    with pytest.raises(InputError, match=r"its attribute '0\.lock' \(lock\) refuses"):
        private_copy(model)
