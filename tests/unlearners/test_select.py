from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from graphforget.base import Ensemble, counting
from graphforget.exceptions import UnsupportedError
from graphforget.testing import TINY_CASES, tiny_case
from graphforget.unlearners import METHODS
from graphforget.unlearners.select import candidates, choose_method


@pytest.mark.parametrize(
    ("name", "request_name", "expected"),
    [
        ("link_prediction", "edges", "shadow_distill"),
        ("node_classification", "nodes", "finetune"),
        ("image_classification", "samples", "finetune"),
        *[
            (f"recommendation{model}", request, method)
            for model, method in (
                ("", "graphforget_rec"),
                ("/lightgcn", "graphforget_rec"),
                ("/mgcn", "graphforget_rec"),
                ("/ease", "ease_downdate"),
                ("/ials", "ials_resolve"),
            )
            for request in ("interactions", "users", "items", "two kinds")
        ],
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


@pytest.mark.parametrize(
    ("missing", "expected"), [({"graphforget_rec"}, "reset_repair"), ({"graphforget_rec", "reset_repair"}, "finetune")]
)
def test_recommenders_fall_back_in_order(missing, expected, monkeypatch):
    for key in missing:
        monkeypatch.setattr(METHODS[key], "supports", lambda *_: ["it is switched off here"])
    case = tiny_case("recommendation/mgcn")
    assert choose_method(case.task, case.requests["items"], case.model()) == expected


def test_a_recommender_that_does_not_name_its_rows_is_finetuned():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = tiny_case("recommendation").model()

        def forward(self, user_id, item_id):
            return self.inner(user_id, item_id)

    case = tiny_case("recommendation")
    assert choose_method(case.task, case.requests["items"], Plain()) == "finetune"


@pytest.mark.parametrize("name", TINY_CASES)
def test_the_choice_reads_no_data_and_no_forget_score(name):
    """What is chosen from is a task, a request and a model; none of them is run."""
    case = tiny_case(name)
    request = next(iter(case.requests.values()))
    with counting() as work:
        keys = candidates(case.task, request)
        choose_method(case.task, request, case.model())
    assert (work.forward_examples, work.encodings) == (0, 0)
    assert list(inspect.signature(choose_method).parameters) == ["task", "request", "model"]
    assert not any(METHODS[key].tags.uses_gold for key in keys)


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
