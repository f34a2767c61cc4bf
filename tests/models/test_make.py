"""Models by name, path or class, sized for data."""

from __future__ import annotations

import pytest

from graphforget.exceptions import InputError
from graphforget.models import GCN, LightGCN
from graphforget.models.make import ModelMaker, make_model, sizes_of
from graphforget.testing import tiny_data


@pytest.mark.parametrize("model", ["lightgcn", LightGCN, "graphforget.models:LightGCN"])
def test_sizes_are_those_of_the_data(model):
    data = tiny_data("recommendation")
    maker = ModelMaker(model, {"dim": 6})
    assert maker.model_class is LightGCN
    assert maker(data).config | {"num_users": data.num_users, "num_items": 20, "dim": 6} == maker(data).config


def test_what_is_given_comes_before_what_the_data_say():
    nodes = tiny_data("node_classification")
    assert make_model("gcn", nodes, hidden_channels=5).config["out_channels"] == nodes.num_classes
    assert make_model("gcn", nodes, hidden_channels=5, out_channels=7).config["out_channels"] == 7
    assert sizes_of(nodes)["in_channels"] == nodes.x.size(1)
    images = tiny_data("image_classification")
    assert make_model("mlp", images).config["in_features"] == images.x[0].numel()


def test_a_model_that_does_not_suit_is_named():
    data = tiny_data("recommendation")
    with pytest.raises(InputError, match="cannot make 'GCN' for data 'tiny interactions'"):
        ModelMaker(GCN)(data)
    with pytest.raises(InputError, match="cannot make 'gcn' for data 'tiny interactions'"):
        make_model("gcn", data)
    with pytest.raises(InputError, match="did you mean 'gcn'"):
        make_model("gccn", data)
