from __future__ import annotations

import pytest
import torch

from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import GNNDelete, Retrain


@pytest.mark.parametrize("name", ["image_classification", "node_classification", "link_prediction", "recommendation"])
def test_retrain_is_the_recipe_on_the_retained_data(name):
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    result = Retrain().unlearn(case.model(), case.task, split, seed=5)
    by_hand = case.task.new_model(split.retain_data, seed=5)
    log = case.task.fit(by_hand, split.retain_data, seed=5)
    weights = by_hand.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in result.model.state_dict().items())
    assert result.info["fit"]["epochs"] == log.epochs == len(result.curve)


def test_retraining_a_model_with_operators_leaves_none_behind(tmp_path):
    case = tiny_case("link_prediction")
    first = GNNDelete(epochs=1).unlearn(case.model(), case.task, case.task.split(case.data, case.requests["edges"]))
    second = first.then(case.later[0], method=Retrain())
    assert len(first.edits) == 2 and second.edits == ()
    assert set(second.model.state_dict()) == set(case.trained.state_dict())
