"""From configuration to objects, for every kind of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.pipeline import load_config, run
from graphforget.pipeline.components import find_data, make_data, model_maker, random_samples, samplers_of
from graphforget.pipeline.config import ModelSection
from graphforget.testing.tiny import tiny_data

from .conftest import small_config


def save(path: Path, **tensors: Any) -> str:
    numpy.savez(path, **{k: v.numpy() for k, v in tensors.items() if v is not None})
    return str(path)


def recipe(folder: Path, task: str) -> dict[str, Any]:
    """A run on the tiny data of a task, read from a file."""
    data = tiny_data(task)
    common = {
        "name": task,
        "task": {"name": task, "recipe": {"epochs": 3, "patience": None}},
        "evaluate": {"gold": 1},
        "unlearner": {"method": "finetune", "epochs": 1},
    }
    if task == "node_classification":
        file = save(folder / "nodes.npz", edge_index=data.edge_index, x=data.x, y=data.y, **data.splits)
        return common | {
            "data": {"file": file},
            "model": {"name": "sage"},
            "request": {"target": "node", "where": "hub", "size": 2},
        }
    if task == "image_classification":
        file = save(folder / "images.npz", x=data.x, y=data.y, **data.splits)
        return common | {
            "data": {"file": file},
            "model": {"name": "mlp"},
            "request": {"target": "sample", "where": "random", "size": 0.2},
        }
    file = save(folder / "taken.npz", **data.splits)
    return common | {
        "data": {"file": file},
        "model": {"name": "bprmf", "dim": 4},
        "request": {"target": "user", "where": "random", "size": 2},
    }


@pytest.mark.parametrize(("task", "removed"), [("node_classification", 2), ("image_classification", 8), ("recommendation", 12)])
def test_a_run_serves_every_kind_of_data(tmp_path: Path, task: str, removed: int) -> None:
    done = run(recipe(tmp_path, task), folder=tmp_path / "runs")
    assert done.report.meta["counts"]["removed"] == removed and done.report.verdict is not None


def test_models_are_sized_by_the_data() -> None:
    nodes, images, taken = (tiny_data(name) for name in ("node_classification", "image_classification", "recommendation"))
    assert model_maker(ModelSection(name="gcn", hidden_channels=5))(nodes).config["out_channels"] == 3
    assert model_maker(ModelSection(name="mlp"))(images).config["in_features"] == 64
    assert model_maker(ModelSection(name="bprmf"))(taken).config["num_items"] == 20
    with pytest.raises(InputError, match="cannot make 'bprmf'"):
        model_maker(ModelSection(name="bprmf"))(nodes)


def test_a_class_of_ones_own_with_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline_own.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, in_channels, width):\n        super().__init__()\n"
        "        self.lin = nn.Linear(in_channels, width)\n    def forward(self, x, edge_index):\n        return self.lin(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = small_config(tmp_path) | {"model": {"class": "pipeline_own:Net", "width": 4}, "evaluate": {"gold": 1}}
    first = run(config, folder=tmp_path / "runs")
    weights = first.path / "models" / "original" / "model.safetensors"
    given = run(config | {"name": "given", "model": config["model"] | {"weights": str(weights)}}, folder=tmp_path / "runs")
    assert (given.path / "models" / "original" / "model.safetensors").read_bytes() == weights.read_bytes()
    again = run(config, folder=tmp_path / "runs")
    assert len(again.skipped) == 7
    with pytest.raises(InputError, match="cannot make 'pipeline_own:Net'"):
        run(config | {"model": {"class": "pipeline_own:Net", "wdth": 4}}, folder=tmp_path / "no")


def test_a_modality_is_named_in_the_recipe() -> None:
    from graphforget.pipeline.components import make_request
    from graphforget.pipeline.config import RequestSection

    data = tiny_data("recommendation")
    section = RequestSection(target="modality", name="image", ids=(3, 1))
    assert make_request(section, None, data).modalities["image"].tolist() == [1, 3]  # type: ignore[arg-type]
    with pytest.raises(InputError, match="modality targets of 'tiny interactions' cannot be drawn; name them with ids: or file:"):
        make_request(RequestSection(target="modality", name="image", where="random", size=2), None, data)  # type: ignore[arg-type]


def test_samplers_are_found_by_target_and_data() -> None:
    assert {"random", "inside", "outside", "hub", "community"} <= set(samplers_of("edge", tiny_data("link_prediction")))
    assert {"random", "hub", "class"} <= set(samplers_of("node", tiny_data("node_classification")))
    assert set(samplers_of("user", tiny_data("recommendation"))) >= {"random"}
    assert set(samplers_of("sample", tiny_data("image_classification"))) == {"random"}
    assert samplers_of("concept", tiny_data("image_classification")) == {}


def test_random_samples_are_training_samples_and_repeatable() -> None:
    data = tiny_data("image_classification")
    request = random_samples(data, 5, seed=1)
    assert len(request) == 5 and bool(torch.isin(request.ids("sample"), data.splits["train"]).all())
    assert request == random_samples(data, 5, seed=1) != random_samples(data, 5, seed=2)
    assert len(random_samples(data, 0.1, seed=0)) == 4
    for size in (41, 0.001):
        with pytest.raises(InputError, match=r"request.size"):
            random_samples(data, size, seed=0)


def test_samplers_take_their_own_options(tmp_path: Path) -> None:
    config = recipe(tmp_path, "node_classification") | {"request": {"target": "node", "where": "class", "size": 2, "label": 1}}
    done = run(config, folder=tmp_path / "runs")
    data = make_data(load_config(config).data, "node_classification")
    (folder,) = (done.path / "models").glob("unlearned-*")
    from graphforget.requests import DeletionRequest

    ids = DeletionRequest.load(folder / "request.json").ids("node")
    assert data.y[ids].tolist() == [1, 1]


def test_data_is_a_dataset_or_a_file(tmp_path: Path) -> None:
    assert find_data("karate", "node_classification").num_nodes == 34
    assert find_data("karate", "link_prediction", seed=1).digest() != find_data("karate", "link_prediction").digest()
    with pytest.raises(InputError, match="did you mean 'karate'"):
        find_data("karat", "node_classification")
    with pytest.raises(InputError, match="no data file that graphforget reads"):
        find_data(__file__, "node_classification")


def test_all_items_with_a_value_of_an_attribute_are_requested() -> None:
    from graphforget.datasets import load
    from graphforget.pipeline.components import make_request
    from graphforget.pipeline.config import RequestSection

    data = load("tastes", task="recommendation")
    section = RequestSection(target="item", where="owner", value="owner 3")
    request = make_request(section, None, data)  # type: ignore[arg-type]
    assert request.ids("item").equal(data.items_with("owner", "owner 3"))
    with pytest.raises(InputError, match="no item attribute 'ownr': did you mean 'owner'"):
        make_request(RequestSection(target="item", where="ownr", value="owner 3"), None, data)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="request.value: 'karate' has no items with attributes"):
        make_request(section, None, load("karate"))  # type: ignore[arg-type]
