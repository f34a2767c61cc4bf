from __future__ import annotations

import pytest
import torch

from graphforget import models
from graphforget import seed as seeds
from graphforget.base import Recipe
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import RowReset

GONE = [3, 17, 40]


def test_rows_of_items_are_fresh_and_offsets_zero(trained):
    task, data, model = trained("MGCN")
    split = task.split(data, DeletionRequest.items(GONE))
    result = RowReset().unlearn(model, task, split, seed=4)
    fresh = task.new_model(data, seed=seeds.derive(4, "rows"))
    kept = torch.ones(data.num_items, dtype=torch.bool)
    kept[GONE] = False
    before, after = model.item_embedding.weight, result.model.item_embedding.weight
    assert torch.equal(after[GONE], fresh.item_embedding.weight[GONE]) and torch.equal(after[kept], before[kept])
    offset = result.model.offsets["image"].weight
    assert bool(model.offsets["image"].weight[GONE].any()) and not bool(offset[GONE].any())
    assert torch.equal(offset[kept], model.offsets["image"].weight[kept])
    assert set(result.changed_parameters) == {"item_embedding.weight", "offsets.image.weight"}
    assert result.serving.context == "retained" and result.serving.deny["item"].tolist() == GONE


def test_the_manifest_counts_what_was_touched(trained):
    task, data, model = trained("MGCN")
    request = DeletionRequest.items(GONE) | DeletionRequest.users([5])
    info = RowReset().unlearn(model, task, task.split(data, request)).info["touched"]
    assert info["rows"] == {"user_embedding.weight": 1, "item_embedding.weight": 3, "offsets.image.weight": 3}
    for part, pairs in data.splits.items():
        gone = torch.isin(pairs[:, 1], torch.tensor(GONE)) | (pairs[:, 0] == 5)
        assert info["interactions"][part] == int(gone.sum())
    assert info["features"] == {"image": 3} and info["graphs"] == ["interactions", "image"]


def test_touched_resets_both_ends_of_every_removed_interaction():
    case = tiny_case("recommendation")
    request = case.requests["interactions"]
    split = case.task.split(case.data, request)
    with pytest.raises(UnsupportedError, match="has no row of its own"):
        RowReset().unlearn(case.model(), case.task, split)
    result = RowReset(reset="touched").unlearn(case.model(), case.task, split)
    for side, table in enumerate(("user_embedding", "item_embedding")):
        moved = (getattr(result.model, table).weight != getattr(case.trained, table).weight).any(1).nonzero().view(-1)
        assert torch.equal(moved, torch.unique(split.removed[:, side]))


def test_another_seed_draws_other_rows():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["users"])
    one, two = (RowReset().unlearn(case.model(), case.task, split, seed=s).model.user_embedding.weight for s in (0, 1))
    assert not torch.equal(one[[1, 7]], two[[1, 7]])


def test_models_without_rows_are_refused(trained):
    _, data, _ = trained("MGCN")
    task = Recommendation(build=lambda d: models.EASE(d.num_users, d.num_items), recipe=Recipe(epochs=1))
    model = task.new_model(data, seed=0)
    with pytest.raises(UnsupportedError, match="does not say which rows belong to an entity"):
        RowReset().unlearn(model, task, task.split(data, DeletionRequest.items(GONE)))


def test_a_task_that_makes_other_shapes_is_told():
    case = tiny_case("recommendation")
    task = Recommendation(build=lambda d: models.BPRMF(d.num_users, d.num_items, dim=3))
    with pytest.raises(InputError, match="no table 'item_embedding.weight' of shape"):
        RowReset().unlearn(case.model(), task, task.split(case.data, case.requests["items"]))
    with pytest.raises(InputError, match="reset has no choice"):
        RowReset(reset="all")
