from __future__ import annotations

import torch
from torch import nn

from graphforget.base import RowBlock
from graphforget.base.tags import unmet
from graphforget.interactions import Interactions
from graphforget.models import MGCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import RowReset
from graphforget.unlearners.recommendation._shared.rows import entities, reset_rows, row_reasons


class Packed(nn.Module):
    """Users in even rows and items in odd rows of one table, and biases of items behind those of users."""

    def __init__(self):
        super().__init__()
        self.table, self.bias = nn.Parameter(torch.ones(8, 2)), nn.Parameter(torch.ones(8))

    def entity_rows(self):
        return {"user": [RowBlock("table", 0, 2), RowBlock("bias")], "item": [RowBlock("table", 1, 2), RowBlock("bias", 4)]}


def test_only_these_rows_are_put_back():
    model, fresh = Packed(), {"table": torch.full((8, 2), 5.0), "bias": torch.full((8,), 7.0)}
    assert reset_rows(model, {"item": torch.tensor([1])}, fresh) == {"table": 1, "bias": 1}
    assert model.table.sum(1).tolist() == [2, 2, 2, 10, 2, 2, 2, 2] and model.bias.tolist() == [1, 1, 1, 1, 1, 7, 1, 1]


def test_rows_of_a_modality_are_put_back_and_no_others():
    model = MGCN(2, 4, {"image": 3, "text": 2}, dim=2)
    for table in model.parameters():
        torch.nn.init.ones_(table)
    fresh = {f"offsets.{name}.weight": torch.zeros(4, width) for name, width in model.modalities.items()}
    fresh |= {"item_embedding.weight": torch.zeros(4, 2)}
    ids = {"item": torch.tensor([0]), "modality:image": torch.tensor([0, 3])}
    assert reset_rows(model, ids, fresh) == {"item_embedding.weight": 1, "offsets.image.weight": 2, "offsets.text.weight": 1}
    assert model.offsets["image"].weight.sum(1).tolist() == [0, 3, 3, 0]
    assert model.offsets["text"].weight.sum(1).tolist() == [0, 2, 2, 2]


def test_entities_name_what_loses_a_modality():
    data = Interactions.create({"train": [[0, 0], [0, 1], [1, 1]]}, features={"image": [[1.0], [2.0]]})
    task = Recommendation(build=lambda d: MGCN(d.num_users, d.num_items, d.modalities, dim=2))
    request = DeletionRequest.modality("image", [1]) | DeletionRequest.interactions([[0, 0]])
    for scope, users in (("requested", []), ("touched", [0])):
        named = entities(task.split(data, request), scope)
        assert named["user"].tolist() == users and named["modality:image"].tolist() == [1]
    image, model = DeletionRequest.modality("image", [1]), MGCN(2, 2, {"image": 1, "text": 1}, dim=2)
    tags = RowReset.tags
    assert not unmet(tags, task, image, model) and not unmet(tags, task, image) and not row_reasons(request, "requested")
    for other in (MGCN(2, 2, {"text": 1}, dim=2), MGCN(2, 2, {"image": 1}, dim=2, train_features=False)):
        (reason,) = unmet(tags, task, image, other)
        assert reason.code == "needs_modality_rows" and "no rows that belong to the items' image" in reason
        assert not unmet(tags, task, request, other)


def test_entities_of_both_scopes():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["two kinds"])
    named = entities(split, "requested")
    assert named["user"].tolist() == [4] and named["item"].tolist() == [6]
    wide = entities(split, "touched")
    assert torch.equal(wide["user"], torch.unique(split.removed[:, 0])) and len(wide["item"]) > 1
    pairs = DeletionRequest.interactions([[0, 1]])
    assert [reason.code for reason in row_reasons(pairs, "requested")] == ["reset"] and not row_reasons(pairs, "touched")
    assert not row_reasons(case.requests["two kinds"], "requested")
