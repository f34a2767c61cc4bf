from __future__ import annotations

import json

import pytest

from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.models import MLP
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS, ImageClassification


@pytest.mark.parametrize("key", TASKS)
def test_every_task_describes_itself_in_json(key):
    task = TASKS[key](recipe=Recipe(epochs=7))
    content = json.loads(json.dumps(task.describe()))
    assert content["name"] == key == task.name and content["recipe"]["epochs"] == 7
    assert TASKS[key]().recipe == TASKS[key].default_recipe


def test_kinds_that_a_task_does_not_know_are_named():
    with pytest.raises(InputError, match="task 'image_classification' cannot forget 'user' targets; it knows class, sample"):
        ImageClassification().check_kinds(DeletionRequest.users([1]) | DeletionRequest.samples([1]))


@pytest.mark.parametrize("key", [*TASKS])
def test_typed_targets_are_refused_by_tasks_whose_data_have_no_types(key):
    for request in (
        DeletionRequest.nodes([1], type="paper"),
        DeletionRequest.edges(pairs=[[0, 1]], type=("user", "rates", "movie")),
    ):
        task = TASKS[key]()
        known = set(request.kinds) <= task.kinds
        sentence = (
            "reads data without node and edge types, so type .* names nothing in it: leave the type out"
            if known
            else "cannot forget"
        )
        with pytest.raises(InputError, match=f"task '{key}' {sentence}"):
            task.check_kinds(request | DeletionRequest.nodes([2]) if known else request)


def test_layers_given_to_the_task_win():
    model = MLP(4, [3, 3], 2)
    assert ImageClassification().head(model) == "lins.2"
    assert ImageClassification(layers=["lins.0"]).layer_names(model) == ["lins.0"]
    with pytest.raises(InputError, match="no layer found in MLP"):
        ImageClassification(layers=[]).head(model)
