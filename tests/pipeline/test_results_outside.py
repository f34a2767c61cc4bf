"""What was made by components of others is loaded where they are installed or named; a file never decides that their code runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from graphforget.base import UnlearnResult
from graphforget.exceptions import InputError
from graphforget.pipeline.results import load_result, save_result
from graphforget.pipeline.saved import load_results, unlearn_saved
from graphforget.pipeline.serving import load_served, suspend_saved
from graphforget.requests import DeletionRequest
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import METHODS

CODE = """
from dataclasses import replace
from pathlib import Path

from graphforget.models import MLP
from graphforget.tasks import ImageClassification
from graphforget.testing import tiny_data
from graphforget.unlearners import FineTune

(Path(__file__).parent / "ran").touch()  # the trace that a test looks for


class Mine(FineTune):
    tags = replace(FineTune.tags, key="res_mine")


class Other(FineTune):
    tags = replace(FineTune.tags, key="res_other")


class Pictures(ImageClassification):
    name = "res_pictures"


class Net(MLP):
    pass


def pictures(*, task=None, seed=0):
    return tiny_data("image_classification")


def taken(*, task=None, seed=0):
    return tiny_data("recommendation")


def lacking(*, task=None):
    return tiny_data("recommendation")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module on the path; calling it says whether its code has run since, calling it with names installs it under them."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "res_pkg.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(place))

    def forget() -> None:
        sys.modules.pop("res_pkg", None)
        (place / "ran").unlink(missing_ok=True)

    def ask(**groups: dict[str, str]) -> bool:
        if groups:
            info = place / "res_pkg-0.3.dist-info"
            info.mkdir(exist_ok=True)
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: res-pkg\nVersion: 0.3\n")
            text = "".join(
                f"[graphforget.{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in groups.items()
            )
            (info / "entry_points.txt").write_text(text)
        ran = (place / "ran").exists()
        forget()
        return ran

    yield ask
    forget()


def saved(folder: Path, method: str = "res_pkg:Mine", name: str = "image_classification") -> UnlearnResult:
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    result = METHODS[method](epochs=2).unlearn(case.model(), case.task, split, seed=3)
    save_result(result, folder)
    return result


def test_a_result_of_a_method_of_others_is_loaded_where_it_is_named_or_installed(tmp_path: Path, package) -> None:
    folder, data = tmp_path / "r", tiny_case("image_classification").data
    made = saved(folder)
    assert package()
    with pytest.raises(InputError, match=r"made by a method that is not known here: unknown method 'res_mine'.*\(--method\)"):
        load_result(folder, data)
    assert not package()
    back = load_result(folder, data, method="res_pkg:Mine")
    assert package() and back.to_dict() == made.to_dict() and type(back.unlearner).__name__ == "Mine"
    with pytest.raises(InputError, match="was made by the method 'res_mine', not by 'res_other'"):
        load_result(folder, data, method="res_pkg:Other")
    package(methods={"res_mine": "res_pkg:Mine"})
    back = load_result(folder, data)
    assert package() and back.to_dict() == made.to_dict()
    again = back.then(DeletionRequest.samples([20]))  # continued by the method that it was made by
    assert again.method == "res_mine" and again.params == made.params


def test_paths_in_the_files_of_a_result_are_never_followed(tmp_path: Path, package) -> None:
    folder, data = tmp_path / "r", tiny_case("image_classification").data
    saved(folder, "finetune")
    record = json.loads((folder / "result.json").read_text())
    for change in (
        {"method": "res_pkg:Mine"},
        {"task": record["task"] | {"name": "res_pkg:Pictures"}},
        {"method": None},
        {"params": [1]},
    ):
        (folder / "result.json").write_text(json.dumps(record | change))
        with pytest.raises(InputError):
            load_result(folder, data)
        with pytest.raises(InputError):
            load_results([folder], "digits_images")
    (folder / "result.json").write_text(json.dumps(record))
    structure = json.loads((folder / "original" / "model.json").read_text())
    (folder / "original" / "model.json").write_text(json.dumps(structure | {"class": "res_pkg:Net"}))
    with pytest.raises(InputError, match="not part of graphforget: name it with model_class='res_pkg:Net'"):
        load_result(folder, data)
    assert not package()
    package(models={"other_name": "res_pkg:Net"})
    load_result(folder, data)
    assert package()


def test_a_task_of_others_is_named_or_installed(tmp_path: Path, package) -> None:
    folder, data = tmp_path / "r", tiny_case("image_classification").data
    made = saved(folder, "finetune")
    record = json.loads((folder / "result.json").read_text())
    record["task"]["name"] = "res_pictures"
    (folder / "result.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="unknown task 'res_pictures'"):
        load_result(folder, data)
    assert not package()
    for task in ("res_pkg:Pictures", None):
        back = load_result(folder, data, task)
        assert back.task.name == "res_pictures" and torch.equal(back.split.removed, made.split.removed)
        package(tasks={"res_pictures": "res_pkg:Pictures"})
    results = load_results([folder, folder], "res_pkg:pictures")
    assert results[0].task is results[1].task and results[0].task.name == "res_pictures"


def test_saved_results_are_loaded_and_continued_by_path(tmp_path: Path, package) -> None:
    folder = tmp_path / "r"
    made = saved(folder)
    with pytest.raises(InputError, match="not known here"):
        load_results([folder], "res_pkg:pictures")
    (back,) = load_results([folder], "res_pkg:pictures", methods=["res_pkg:Mine"])
    assert back.to_dict() == made.to_dict()
    with pytest.raises(InputError, match="--method res_pkg:Other: none of the results was made by it"):
        load_results([folder], "res_pkg:pictures", methods=["res_pkg:Mine", "res_pkg:Other"])
    (tmp_path / "next.json").write_text(DeletionRequest.samples([20]).to_json())
    how = {"task": "image_classification", "params": {"epochs": 2}}
    result = unlearn_saved(folder, "res_pkg:pictures", tmp_path / "next.json", method="res_pkg:Mine", **how)
    assert result.method == "res_mine" and result.previous is not None
    assert result.info["data"] == {"name": "res_pkg:pictures", "options": {}}
    with pytest.raises(InputError, match="not known here"):  # another method does not name the one that made the result
        unlearn_saved(folder, "res_pkg:pictures", tmp_path / "next.json", method="res_pkg:Other", **how)
    with pytest.raises(InputError, match="dataset 'res_pkg:lacking' must take task= and seed=, and it does not take seed"):
        load_results([folder], "res_pkg:lacking", methods=["res_pkg:Mine"])


def test_data_of_others_are_served_where_the_caller_names_them(tmp_path: Path, package) -> None:
    folder = tmp_path / "r"
    saved(folder, name="recommendation")
    served = load_served(folder, "res_pkg:taken", method="res_pkg:Mine")
    suspend_saved(served, DeletionRequest.items([3]))
    package()
    package(methods={"res_mine": "res_pkg:Mine"})
    with pytest.raises(
        InputError, match="says that its data come from 'res_pkg:taken', which is not part of graphforget: give --data"
    ):
        load_served(folder)
    assert not package()
    assert load_served(folder, "res_pkg:taken").suspended["item"].tolist() == [3]
    from graphforget.base import save_model

    save_model(tiny_case("recommendation").trained, tmp_path / "plain")
    with pytest.raises(InputError, match="holds a plain model: leave it out"):
        load_served(tmp_path / "plain", "res_pkg:taken", method="res_pkg:Mine")


def test_the_configuration_in_a_run_folder_does_not_decide_either(tmp_path: Path, package) -> None:
    import yaml

    from graphforget.pipeline import run

    recipe = {
        "name": "shop",
        "data": {"name": "tastes", "num_users": 40, "num_items": 40},
        "task": {"name": "recommendation", "recipe": {"epochs": 1}},
        "model": {"name": "bprmf", "dim": 4},
        "request": {"target": "item", "ids": [3]},
        "unlearner": {"method": "mask"},
        "evaluate": {"gold": 1},
    }
    done = run(recipe, folder=tmp_path / "runs")
    assert load_served(done.path).source["name"] == "tastes"
    config = done.path / "config.yaml"
    content = yaml.safe_load(config.read_text())
    for change in ({"data": {"name": "res_pkg:taken"}}, {"unlearner": {"method": "res_pkg:Mine"}}):
        config.write_text(yaml.safe_dump(content | change))
        if "data" in change:
            with pytest.raises(InputError, match="says that its data come from 'res_pkg:taken'"):
                load_served(done.path)
        else:
            assert load_served(done.path).source["name"] == "tastes"
        assert not package()
