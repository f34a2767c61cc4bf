"""Grids are strict: one sentence says where, what is wrong and what to type instead."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from graphforget.exceptions import InputError
from graphforget.sweeps import load_grid
from graphforget.sweeps.config import compared, request_label

from .conftest import small_grid


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"method": []}, "method: unknown key; did you mean 'methods'"),
        ({"methods": ["fintune"]}, "methods.0.method: there is no 'fintune'; did you mean 'finetune'"),
        ({"methods": [{"method": "finetune", "epoch": 3}]}, "methods.0.epoch: unknown key; did you mean 'epochs'"),
        ({"methods": ["auto"]}, "methods.0: a grid names its methods"),
        ({"methods": ["finetune", "finetune"]}, "methods.1: 'finetune' stands twice"),
        ({"methods": [], "controls": []}, "the grid compares nothing"),
        ({"controls": ["retrian"]}, "controls: 'retrian' is none; did you mean 'retrain'"),
        ({"data": ["karat"]}, "models.gcn with data.karat: data.name: there is no 'karat'; did you mean 'karate'"),
        ({"data": {}}, "data: expected at least 1 entries"),
        ({"data": {"my data": {"name": "karate"}}}, "'my data' must match"),
        (
            {"models": {"gcn": {"hidden": 4}}},
            "models.gcn with data.karate: model.hidden: unknown key; did you mean 'hidden_channels'",
        ),
        ({"models": {"gcn": [{"dropout": 0.5}, {"droput": 0.5}]}}, "models.gcn.1 with data.karate: model.droput: unknown key"),
        ({"models": {"gcn": {"task": {"recipe": {"epoch": 3}}}}}, "task.recipe.epoch: unknown key; did you mean 'epochs'"),
        ({"models": {"gcn": {"task": {"recipe": 3}}}}, "task.recipe: expected a section with keys, got 3"),
        ({"models": {"gcn": []}}, "models.gcn: expected at least one setting"),
        ({"models": {"a": [{"folder": "saved"}, {"name": "gcn"}]}}, "a model with weights stands alone"),
        (
            {"task": {"name": "node_clasification"}},
            "task.name: there is no 'node_clasification'; did you mean 'node_classification'",
        ),
        ({"seeds": [0, 0]}, "seeds: a seed stands twice"),
        ({"seeds": [-1]}, "seeds.0: must be at least 0"),
        ({"requests": [{"target": "node", "where": "random"}]}, "requests.0: where: and size: belong together"),
        (
            {"requests": [{"target": "node", "where": "random", "size": 1, "models": ["gat"]}]},
            "models: 'gat', which the grid has not",
        ),
        ({"requests": 2 * [{"target": "node", "where": "random", "size": 1}]}, "two requests are called '1 node'"),
        ({"evaluate": {"golds": 2}}, "evaluate.golds: unknown key; did you mean 'gold'"),
        ({"workers": -1}, "workers: must be at least 0"),
        ({"columns": ["accuracy/test"]}, "columns: expected a section with keys"),
        ({"device": "cuda:99"}, "device: the device 'cuda:99' is not available"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as error:
        load_grid(small_grid(**changes))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_file_is_named_with_the_line(tmp_path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("task: {name: node_classification}\ndata: [karate]\nmodels: [gcn]\nrequests: [{file: a}]\nseed: [0]\n")
    with pytest.raises(InputError, match=r"grid.yaml, line 5: seed: unknown key; did you mean 'seeds'"):
        load_grid(file)
    for text, says in (("- a\n", "a grid is a YAML mapping"), ("a: [", "not valid YAML")):
        file.write_text(text)
        with pytest.raises(InputError, match=says):
            load_grid(file)
    with pytest.raises(InputError, match=r"cannot read the grid 'none.yaml'"):
        load_grid("none.yaml")
    with pytest.raises(InputError, match="got int"):
        load_grid(3)  # type: ignore[arg-type]


def test_short_forms_are_written_out_and_a_grid_reads_back(tmp_path) -> None:
    grid = load_grid(
        small_grid(data=["karate"], models=["gcn", "sage"], methods=["finetune", {"method": "gnndelete", "epochs": 3}])
    )
    assert grid.data["karate"].name == "karate" and [m.name for m in grid.models["sage"]] == ["sage"]
    assert list(compared(grid)) == ["identity", "unlink", "finetune", "gnndelete(epochs=3)", "retrain"]
    assert grid.methods[1].params["lr"] > 0  # defaults are written out
    again = load_grid(yaml.safe_load(yaml.safe_dump(grid.model_dump(mode="json", by_alias=True, exclude_unset=True))))
    assert again == grid == load_grid(grid)


def test_a_control_that_the_grid_lists_stands_once_and_can_be_left_out() -> None:
    listed = load_grid(small_grid(methods=["retrain", "identity", "finetune"]))
    assert sorted(compared(listed)) == ["finetune", "identity", "retrain", "unlink"]
    assert list(compared(load_grid(small_grid(controls=[])))) == ["finetune"]


def test_smoke_replaces_entries_and_is_refused_where_the_grid_names_none() -> None:
    grid = small_grid(seeds=[0, 1, 2], smoke={"seeds": [5]})
    assert load_grid(grid).seeds == (0, 1, 2) and load_grid(grid, smoke=True).seeds == (5,)
    with pytest.raises(InputError, match="names no sizes under smoke"):
        load_grid(small_grid(), smoke=True)


@pytest.mark.parametrize(
    ("request_", "label"),
    [
        ({"target": "edge", "where": "outside", "size": 0.005}, "0.5 % of edges, outside"),
        ({"target": "node", "where": "random", "size": 1}, "1 node"),
        ({"target": "node", "where": "class", "size": 0.1, "label": 3}, "10 % of nodes, class, label 3"),
        ({"target": "node_class", "ids": [3]}, "node class 3"),
        ({"target": "class", "ids": [1, 2]}, "classes 1, 2"),
        ({"target": "item", "where": "publisher", "value": "Pocket"}, "items of publisher Pocket"),
        ({"target": "edge", "ids": [[0, 1]]}, "edge (0, 1)"),
        ({"file": "asked/monday.json"}, "monday"),
        ({"target": "item", "where": "random", "size": 0.05, "title": "the first"}, "the first"),
    ],
)
def test_requests_are_named_as_a_reader_would(request_: dict[str, Any], label: str) -> None:
    grid = load_grid(small_grid(requests=[request_]))
    assert request_label(grid.requests[0]) == label
