from __future__ import annotations

import pytest
import torch

from graphforget.base import Ensemble
from graphforget.exceptions import UnsupportedError
from graphforget.testing import tiny_case
from graphforget.unlearners import METHODS
from graphforget.unlearners.select import candidates, choose_method


@pytest.mark.parametrize(
    ("name", "request_name", "expected"),
    [
        ("link_prediction", "edges", "shadow_distill"),
        ("node_classification", "nodes", "finetune"),
        ("image_classification", "samples", "finetune"),
        ("recommendation", "interactions", "finetune"),
    ],
)
def test_auto_is_the_first_candidate_that_can(name, request_name, expected):
    case = tiny_case(name)
    assert choose_method(case.task, case.requests[request_name], case.model()) == expected


def test_every_candidate_is_registered_and_retraining_is_the_last_resort():
    for name in ("node_classification", "link_prediction", "image_classification", "recommendation"):
        case = tiny_case(name)
        keys = candidates(case.task, next(iter(case.requests.values())))
        assert set(keys) <= set(METHODS) and keys[-1] == "retrain"


def test_an_ensemble_is_retrained():
    case = tiny_case("node_classification")
    ensemble = Ensemble([case.model(), case.model()])
    assert choose_method(case.task, case.requests["nodes"], ensemble) == "retrain"
    assert len(list(ensemble.parameters())) and torch.is_tensor(next(ensemble.parameters()))


def test_when_nothing_can_the_reasons_are_given():
    from graphforget.requests import DeletionRequest

    case = tiny_case("node_classification")
    with pytest.raises(UnsupportedError, match="cannot forget"):
        choose_method(case.task, DeletionRequest.users([1]), case.model())
