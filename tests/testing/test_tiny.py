from __future__ import annotations

import pytest
import torch

from graphforget.base import weights_digest
from graphforget.exceptions import InputError
from graphforget.testing import TINY_TASKS, tiny_case, tiny_data, tiny_requests, tiny_task
from graphforget.testing.tiny import ISOLATED, LONER

# Guessing gives 0.33 to 0.5 accuracy, 0.5 AUC, and about 0.25 recall at 5 of 20. Class 2 has one training example, so that
# the accuracies stay well below 1.
LEARNT = {"node_classification": 0.55, "link_prediction": 0.65, "image_classification": 0.6, "recommendation": 0.4}


@pytest.mark.parametrize("name", TINY_TASKS)
def test_the_planted_structure_can_be_learnt(name):
    case = tiny_case(name)
    values = case.task.utility(case.model(), case.task.view(case.data, "test"))
    assert values[case.task.monitor] > LEARNT[name], values


@pytest.mark.parametrize("name", TINY_TASKS)
def test_a_case_is_made_once_and_its_model_is_private(name):
    assert tiny_case(name) is tiny_case(name) and tiny_data(name) is tiny_case(name).data
    model = tiny_case(name).model()
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert weights_digest(model) != weights_digest(tiny_case(name).model())


@pytest.mark.parametrize("name", TINY_TASKS)
def test_every_request_can_be_split_and_the_later_ones_are_disjoint(name):
    case = tiny_case(name)
    first, *_ = [case.task.split(case.data, request) for request in case.requests.values()]
    for later in case.later:
        assert len(case.task.split(first.retain_data, later).retain)


def test_the_edge_cases_are_what_their_names_say():
    data = tiny_data("node_classification")
    assert not torch.isin(data.edge_index, torch.tensor([ISOLATED])).any()
    train = data.splits["train"]
    assert train[data.y[train] == data.y[LONER]].tolist() == [LONER]
    assert set(data.y[data.splits["test"]].tolist()) == {0, 1, 2}
    assert ISOLATED not in tiny_data("link_prediction").edge_index
    images = tiny_data("image_classification")
    train = images.splits["train"]
    assert int((images.y[train] == 2).sum()) == 1


def test_link_splits_are_held_out():
    data = tiny_data("link_prediction")
    edges = {tuple(p) for p in data.pairs().tolist()}
    for part in ("val", "test"):
        positive, negative = ({tuple(p) for p in data.splits[k].tolist()} for k in (part, f"{part}_neg"))
        assert len(positive) == len(negative) and not positive & edges and not negative & (edges | positive)


@pytest.mark.parametrize("make", [tiny_task, tiny_data, tiny_requests, tiny_case])
def test_unknown_names_are_refused(make):
    with pytest.raises(InputError, match="no tiny data for task 'node_clasification': did you mean 'node_classification'"):
        make("node_clasification")
