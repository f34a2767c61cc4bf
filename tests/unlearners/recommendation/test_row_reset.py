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
from graphforget.unlearners import METHODS, GraphForgetRec, ResetRepair, RowReset

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


def test_of_a_modality_only_the_offsets_are_put_back(trained):
    task, data, model = trained("MGCN")
    request = DeletionRequest.modality("image", GONE)
    result = RowReset().unlearn(model, task, task.split(data, request))
    before, after = model.offsets["image"].weight, result.model.offsets["image"].weight
    kept = ~torch.isin(torch.arange(data.num_items), torch.tensor(GONE))
    assert result.changed_parameters == ("offsets.image.weight",) and result.serving.deny == {}
    assert bool(before[GONE].any()) and not bool(after[GONE].any()) and torch.equal(after[kept], before[kept])
    assert result.info["touched"] == {
        "rows": {"offsets.image.weight": 3},
        "interactions": {"train": 0, "val": 0, "test": 0},
        "features": {"image": 3},
        "graphs": ["image"],
    }
    mixed = RowReset().unlearn(model, task, task.split(data, request | DeletionRequest.items([3, 8])))
    assert mixed.info["touched"]["rows"] == {"item_embedding.weight": 2, "offsets.image.weight": 4}
    assert mixed.info["touched"]["features"] == {"image": 4} and mixed.info["touched"]["graphs"] == ["interactions", "image"]


@pytest.mark.parametrize("method", [RowReset(), RowReset(reset="touched"), ResetRepair(), GraphForgetRec()])
def test_a_model_without_offsets_is_told_what_to_take(trained, method):
    task, data, model = trained("VBPR")
    split = task.split(data, DeletionRequest.modality("image", GONE))
    with pytest.raises(UnsupportedError, match="VBPR has no rows that belong to the items' image: choose 'unlink'") as refusal:
        method.unlearn(model, task, split)
    assert len(refusal.value.reasons) == 1


@pytest.mark.parametrize("name", ["mmrecun", "rrl", "amun", "scif", "ifru", "mask", "ials_resolve"])
def test_methods_that_work_on_removed_pairs_refuse_a_modality(name, trained):
    task, _, model = trained("BPRMF")
    with_others = DeletionRequest.modality("image", GONE) | DeletionRequest.items([8])
    for request in (DeletionRequest.modality("image", GONE), with_others):
        reasons = METHODS[name]().supports(task, request, None if name == "ials_resolve" else model)
        assert reasons == ["it cannot forget modality targets on task 'recommendation'"]


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
