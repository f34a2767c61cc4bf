from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphforget.base import weights_digest
from graphforget.exceptions import InputError
from graphforget.testing import TINY_CASES, tiny_case, tiny_data, tiny_requests, tiny_task
from graphforget.testing.planted import ISOLATED, LONER, WORDLESS

# Guessing gives 0.33 to 0.5 accuracy, 0.5 AUC, 0 R2, 0.35 F1, and about 0.25 recall at 5 of 20. Class 2 has one training example, so
# that the accuracies stay well below 1.
LEARNT = {
    "node_classification": 0.55,
    "node_regression": 0.3,
    "node_multilabel": 0.45,
    "link_prediction": 0.65,
    "image_classification": 0.6,
    "recommendation": 0.4,
}


@pytest.mark.parametrize("name", TINY_CASES)
def test_the_planted_structure_can_be_learnt(name):
    case = tiny_case(name)
    values = case.task.utility(case.model(), case.task.view(case.data, "test"))
    assert values[case.task.monitor] > LEARNT[case.task.name], values


@pytest.mark.parametrize("name", TINY_CASES)
def test_a_case_is_made_once_and_its_model_is_private(name):
    assert tiny_case(name) is tiny_case(name) and tiny_data(name) is tiny_case(name).data
    model = tiny_case(name).model()
    with torch.no_grad():
        next(iter(model.state_dict().values())).zero_()  # EASE has a buffer only
    assert weights_digest(model) != weights_digest(tiny_case(name).model())


@pytest.mark.parametrize("name", TINY_CASES)
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


def test_models_of_a_task_share_data_and_requests():
    assert tiny_data("recommendation/mgcn") is tiny_data("recommendation")
    assert tiny_requests("recommendation/ease") is tiny_requests("recommendation")
    models = {type(tiny_case(name).model()).__name__ for name in TINY_CASES if name.startswith("recommendation")}
    assert models == {"BPRMF", "LightGCN", "MGCN", "EASE", "IALS"}


def test_items_have_content():
    data = tiny_data("recommendation")
    assert data.modalities == {"image": 4, "text": 3} and data.attributes["brand"].counts() == {"north": 10, "south": 9}
    assert data.features["text"].isnan().all(1).nonzero().view(-1).tolist() == [WORDLESS]
    assert WORDLESS not in data.attributes["brand"].pairs[:, 0]
    # Content is read: the trained model ranks otherwise without it.
    case = tiny_case("recommendation/mgcn")
    blank = replace(data, features={name: torch.full_like(table, float("nan")) for name, table in data.features.items()})
    users = torch.arange(data.num_users)
    assert not torch.allclose(*[case.task.score_all(case.model(), d, users) for d in (data, blank)], atol=1e-3)
    assert any(bool(table.weight.any()) for table in case.model().offsets.values())


def test_link_splits_are_held_out():
    data = tiny_data("link_prediction")
    edges = {tuple(p) for p in data.pairs().tolist()}
    for part in ("val", "test"):
        positive, negative = ({tuple(p) for p in data.splits[k].tolist()} for k in (part, f"{part}_neg"))
        assert len(positive) == len(negative) and not positive & edges and not negative & (edges | positive)


@pytest.mark.parametrize("make", [tiny_task, tiny_data, tiny_requests, tiny_case])
def test_unknown_names_are_refused(make):
    with pytest.raises(InputError, match="no tiny case 'node_clasification': did you mean 'node_classification'"):
        make("node_clasification")
