"""One factory for tasks: by name, path, class, instance, and from what a file describes."""

from __future__ import annotations

import json

import pytest
import torch

from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.models import GCN, LightGCN
from graphforget.models.make import ModelMaker
from graphforget.tasks import NodeClassification, Recommendation, make_task, recorded_task
from graphforget.testing import tiny_data


@pytest.mark.parametrize("task", ["node_classification", NodeClassification, "graphforget.tasks:NodeClassification"])
def test_a_model_gives_its_shape_and_its_number_of_layers(task):
    model = GCN(6, 8, 3, num_layers=3)
    made = make_task(task, model, recipe={"epochs": 7}, layers=["convs.0"])
    assert type(made) is NodeClassification and made.template is model and made.num_hops == 3 and made.layers == ["convs.0"]
    assert made.recipe == Recipe(**vars(NodeClassification.default_recipe) | {"epochs": 7})
    assert make_task(task, model, num_hops=1).num_hops == 1 and make_task(task).num_hops == 2


def test_a_model_without_layers_leaves_the_default():
    class Bare(torch.nn.Module):
        pass

    assert make_task("link_prediction", Bare()).num_hops == 2


def test_an_instance_is_returned_and_takes_no_parameters():
    task = NodeClassification()
    assert make_task(task, GCN(6, 8, 3)) is task
    with pytest.raises(InputError, match=r"its parameters \['recipe'\] cannot be set"):
        make_task(task, recipe={"epochs": 3})


def test_unknown_names_and_parameters_are_told():
    with pytest.raises(InputError, match="did you mean 'node_classification'"):
        make_task("node_clasification")
    with pytest.raises(InputError, match="has no parameter 'num_hop': did you mean 'num_hops'"):
        make_task("node_classification", num_hop=3)
    with pytest.raises(InputError, match="recipe has no parameter 'epoch': did you mean 'epochs'"):
        make_task("node_classification", recipe={"epoch": 3})


@pytest.mark.parametrize(
    ("task", "model", "params"),
    [
        ("node_classification", GCN(6, 8, 3, num_layers=3), {"num_hops": 1, "layers": ["convs.0"], "recipe": {"epochs": 7}}),
        ("recommendation", LightGCN(30, 20), {"top_k": 5, "l2": 0.5, "negatives": "seen"}),
    ],
)
def test_a_described_task_comes_back_whole(task, model, params):
    made = make_task(task, model, **params)
    record = json.loads(json.dumps(made.describe()))
    back = recorded_task(record, model)
    assert back.describe() == made.describe() and type(back) is type(made) and back.template is model
    assert recorded_task(record, model, task=type(made), recipe=Recipe(epochs=2)).recipe == Recipe(epochs=2)


def test_a_damaged_or_strange_record_is_refused():
    model = GCN(6, 8, 3)
    record = NodeClassification().describe()
    for change, says in [
        ({"recipe": {"epoch": 1}}, "record of its task is damaged"),
        ({"recipe": None}, "record of its task is damaged"),
        ({"name": "os:system"}, "the task 'os:system' is not graphforget's: a file does not decide"),
        ({"width": 3}, "has no parameter 'width'"),
    ]:
        with pytest.raises(InputError, match=says):
            recorded_task(record | change, model)
    with pytest.raises(InputError, match="made for task 'node_classification', not 'link_prediction'"):
        recorded_task(record, model, task="link_prediction")


def test_fresh_models_are_made_by_what_is_given():
    data, maker = tiny_data("recommendation"), ModelMaker("lightgcn", {"dim": 6})
    task = make_task("recommendation", build=maker)
    assert isinstance(task, Recommendation) and task.build is maker
    assert task.new_model(data, seed=0).config["dim"] == 6 and task.new_model(data, seed=0).config["num_items"] == 20
