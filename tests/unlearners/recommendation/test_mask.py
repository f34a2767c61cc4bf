from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import UnsupportedError
from graphforget.testing.snapshots import same_weights
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import Mask


def test_only_denials_change():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["two kinds"])
    result = Mask().unlearn(case.model(), case.task, split)
    assert same_weights(result.model, case.trained) and result.serving.context == "original" and result.data is case.data
    assert {kind: ids.tolist() for kind, ids in result.serving.deny.items()} == {"user": [4], "item": [6]}
    assert result.info["denied"] == {"user": 1, "item": 1}


def test_interactions_alone_cannot_be_denied():
    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["interactions"])
    with pytest.raises(UnsupportedError, match="it works on item or user targets, and the request names none"):
        Mask().unlearn(case.model(), case.task, split)


def test_a_masked_item_can_still_be_forgotten():
    case = tiny_case("recommendation")
    first = tiny_case("recommendation").unlearn("mask", "items")
    later = first.then(case.later[1])
    assert later.serving.deny["user"].tolist() == [11] and torch.equal(
        later.model.user_embedding.weight, case.trained.user_embedding.weight
    )
