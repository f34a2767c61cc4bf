from __future__ import annotations

import torch

from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import Identity


def test_identity_is_the_original_on_the_original_input():
    case = tiny_case("image_classification")
    split = case.task.split(case.data, case.requests["samples"])
    result = Identity().unlearn(case.trained, case.task, split)
    assert result.serving.context == "original" and result.data is case.data
    assert result.changed_parameters == () and result.changed_buffers == ()
    assert result.model is not case.trained
    assert all(torch.equal(a, b) for a, b in zip(result.model.parameters(), case.trained.parameters(), strict=True))
