from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.testing.snapshots import same_weights
from graphforget.unlearners import ResetRepair, RowReset


def test_without_epochs_it_is_row_reset(trained):
    task, data, model = trained("LightGCN")
    split = task.split(data, DeletionRequest.users([2, 9]))
    one, two = (m.unlearn(model, task, split, seed=1) for m in (ResetRepair(epochs=0), RowReset()))
    assert same_weights(one.model, two.model) and one.info["touched"] == two.info["touched"]


def test_repair_trains_everything_but_what_is_gone(trained):
    task, data, model = trained("BPRMF")
    split = task.split(data, DeletionRequest.items([3, 17]))
    reset = RowReset().unlearn(model, task, split, seed=1).model.item_embedding.weight
    result = ResetRepair(epochs=2).unlearn(model, task, split, seed=1)
    moved = (result.model.item_embedding.weight != reset).any(1)
    assert not bool(moved[[3, 17]].any()) and float(moved.float().mean()) > 0.9
    assert [c["step"] for c in result.curve] == [1, 2] and result.info["lr"] == task.recipe.lr
    assert all(torch.isfinite(torch.tensor(c["loss"])) for c in result.curve)


def test_repair_after_a_modality_brings_no_offset_back(trained):
    task, data, model = trained("MGCN")
    split = task.split(data, DeletionRequest.modality("image", [3, 17]))
    result = ResetRepair(epochs=1).unlearn(model, task, split)
    before, after = (m.offsets["image"].weight.detach() for m in (model, result.model))
    # An item without content is in no list of nearest items, so that nothing of it is read and nothing of it is trained.
    moved = (after != before).any(1)
    assert bool(before[[3, 17]].any()) and not bool(after[[3, 17]].any()) and float(moved.float().mean()) > 0.9
    assert result.info["touched"]["rows"] == {"offsets.image.weight": 2} and "project.image.weight" in result.changed_parameters


def test_bad_values():
    with pytest.raises(InputError, match="epochs"):
        ResetRepair(epochs=-1)
