from __future__ import annotations

import pytest
import torch

from graphforget.base import evaluating
from graphforget.exceptions import UnsupportedError
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import Unlink


def test_same_weights_on_the_retained_graph():
    case = tiny_case("link_prediction")
    split = case.task.split(case.data, case.requests["edges"])
    result = Unlink().unlearn(case.model(), case.task, split)
    assert result.changed_parameters == () and result.serving.context == "retained"
    view = case.task.view(result.data, "test")
    with evaluating(result.model):
        by_hand = result.model(split.retain_data.x, split.retain_data.edge_index)
        scores = case.task.predict(result.model, view)
    pairs = torch.cat([view.index, view.negatives])
    assert torch.allclose(scores, (by_hand[pairs[:, 0]] * by_hand[pairs[:, 1]]).sum(1), atol=1e-5)


def test_refuses_without_an_input_graph():
    case = tiny_case("image_classification")
    split = case.task.split(case.data, case.requests["samples"])
    with pytest.raises(UnsupportedError, match="this task has no input graph"):
        Unlink().unlearn(case.model(), case.task, split)
