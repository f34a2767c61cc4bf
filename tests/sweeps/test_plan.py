"""By what a cell is known again, and which cells are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from graphforget.exceptions import InputError
from graphforget.sweeps import load_grid
from graphforget.sweeps.plan import Cell, plan, select

from .conftest import small_grid


def cells(**changes: Any) -> list[Cell]:
    return plan(load_grid(small_grid(**changes)))


def test_the_product_has_requests_outermost_and_each_seed_draws_its_own() -> None:
    requests = [{"target": "node", "where": "random", "size": 1}, {"target": "edge", "where": "random", "size": 2, "seed": 7}]
    found = cells(task={"name": "link_prediction"}, models=["gcn", "sage"], requests=requests, seeds=[0, 1])
    assert [str(cell) for cell in found[:3]] == [
        "karate, gcn, 1 node, seed 0",
        "karate, gcn, 1 node, seed 1",
        "karate, sage, 1 node, seed 0",
    ]
    assert len(found) == 8 and len({cell.key for cell in found}) == 8
    recipes = [cell.recipes[0] for cell in found]
    assert [r.request.seed for r in recipes[:2]] == [0, 1] and {r.request.seed for r in recipes[4:]} == {7}
    assert [r.data.params["seed"] for r in recipes[:2]] == [0, 1] and [r.seeds.original for r in recipes[:2]] == [0, 1]
    fixed = cells(task={"name": "link_prediction"}, data={"karate": {"seed": 3}}, seeds=[0, 1])
    assert {cell.recipes[0].data.params["seed"] for cell in fixed} == {3}


def test_a_request_can_be_for_some_data_models_and_seeds() -> None:
    some = {"target": "node", "where": "random", "size": 2, "models": ["sage"], "seeds": [4]}
    assert [str(cell) for cell in cells(models=["gcn", "sage"], requests=[some])] == ["karate, sage, 2 nodes, seed 4"]


def test_a_key_follows_what_the_records_depend_on_and_nothing_else() -> None:
    (base,) = cells()
    same = [{"name": "other"}, {"methods": ["gnndelete"]}, {"columns": {"a": "accuracy/test"}}, {"workers": 3}, {"controls": []}]
    same += [
        {"requests": [{"target": "node", "where": "random", "size": 2, "title": "two"}]},
        {"models": {"b": {"name": "gcn", "hidden_channels": 4}}},
    ]
    assert {cell.key for change in same for cell in cells(**change)} == {base.key}
    task = {"name": "node_classification", "recipe": {"epochs": 6}}
    other = [{"task": task}, {"models": {"gcn": {"hidden_channels": 5}}}, {"seeds": [1]}, {"evaluate": {"gold": 3}}]
    other += [{"requests": [{"target": "node", "where": "random", "size": 3}]}, {"data": ["digits"]}]
    assert len({base.key} | {cell.key for change in other for cell in cells(**change)}) == 1 + len(other)
    assert cells(requests=[{"target": "node", "where": "random", "size": 3}])[0].original == base.original


def test_entries_follow_the_methods_parameters() -> None:
    (a,), (b,) = cells(methods=["finetune"]), cells(methods=[{"method": "finetune", "epochs": 3}])
    assert a.entries["identity"] == b.entries["identity"]
    assert a.entries["finetune"] != b.entries["finetune(epochs=3)"]
    default = a.methods["finetune"].params["epochs"]
    assert cells(methods=[{"method": "finetune", "epochs": default}])[0].entries == a.entries


def test_a_request_file_is_known_by_its_content(tmp_path) -> None:
    file = tmp_path / "asked.json"
    keys = []
    for ids in ([3], [4]):
        file.write_text(f'{{"targets": [{{"kind": "node", "ids": {ids}}}]}}')
        keys.append(cells(requests=[{"file": str(file)}])[0].key)
    assert keys[0] != keys[1]


def test_several_settings_are_tried_on_the_first_seed() -> None:
    found = cells(models={"gcn": [{"hidden_channels": 4}, {"hidden_channels": 8}]}, seeds=[3, 4])
    assert [[r.seeds.original for r in cell.trials] for cell in found] == [[3, 3], [3, 3]]
    assert [r.model.params["hidden_channels"] for r in found[1].recipes] == [4, 8]
    assert found[1].key != cells(models={"gcn": {"hidden_channels": 4}}, seeds=[4])[0].key


def test_only_restricts_cells_and_methods() -> None:
    requests = [{"target": "node", "where": "random", "size": size} for size in (1, 2)]
    found = cells(requests=requests, seeds=[0, 1, 2], methods=["finetune", {"method": "finetune", "epochs": 3}])
    some = select(found, {"size": [2], "seed": [0, 2], "method": ["finetune", "retrain"]})
    assert [(cell.request, cell.seed) for cell in some] == [("2 nodes", 0), ("2 nodes", 2)]
    assert list(some[0].methods) == ["finetune", "retrain"]
    assert list(select(found, {"method": ["finetune(epochs=3)"]})[0].methods) == ["finetune(epochs=3)"]
    assert len(select(found, {})) == 6
    gnn = cells(methods=[{"method": "gnndelete", "epochs": 2}, {"method": "gnndelete", "epochs": 3}])
    assert len(select(gnn, {"method": ["gnndelete"]})[0].methods) == 2  # no method is called just so: all with this key


@pytest.mark.parametrize(
    ("only", "says"),
    [
        ({"sed": [0]}, "--only sed: unknown key; did you mean 'seed'"),
        ({"seed": [9]}, "--only seed=9: no cell has it"),
        ({"method": ["finetun"]}, "did you mean 'finetune'"),
        ({"value": ["a"]}, "--only value=a: no cell has it; no request has one."),
        ({"seed": [0], "model": ["sage"]}, "no cell matches --only seed=0 --only model=sage together"),
    ],
)
def test_only_is_refused_where_nothing_matches(only: dict[str, list[Any]], says: str) -> None:
    asked = {"target": "node", "where": "random", "size": 1}
    found = cells(
        models=["gcn", "sage"], requests=[asked | {"models": ["gcn"], "seeds": [0]}, asked | {"models": ["sage"], "seeds": [1]}]
    )
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        select(found, only)
