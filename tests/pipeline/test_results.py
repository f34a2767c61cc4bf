"""Saved results are rebuilt whole: same predictions, same split, same verdict, and they can be continued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graphforget.base import UnlearnResult
from graphforget.evaluation import evaluate
from graphforget.exceptions import InputError
from graphforget.pipeline.results import load_result, save_result
from graphforget.requests import DeletionRequest
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import METHODS


def make(name: str, method: str = "finetune", **params: object) -> UnlearnResult:
    case = tiny_case(name)
    split = case.task.split(case.data, next(iter(case.requests.values())))
    return METHODS[method](**params).unlearn(case.model(), case.task, split, seed=3)


GRAPHS, ALL = (
    ["node_classification", "link_prediction"],
    ["node_classification", "link_prediction", "image_classification", "recommendation"],
)
CASES = (
    [(n, "finetune", {"epochs": 2}) for n in ALL]
    + [(n, "identity", {}) for n in ALL]
    + [(n, "gnndelete", {"epochs": 2}) for n in GRAPHS]
)


@pytest.mark.parametrize(("name", "method", "params"), CASES)
def test_a_result_comes_back_as_it_was(tmp_path: Path, name: str, method: str, params: dict) -> None:
    case = tiny_case(name)
    result = make(name, method, **params)
    save_result(result, tmp_path / "r")
    back = load_result(tmp_path / "r", case.data)
    view = case.task.view(result.data, "test")
    assert torch.equal(case.task.predict(result.model, view), back.task.predict(back.model, back.task.view(back.data, "test")))
    assert back.to_dict() == result.to_dict() and back.serving.same_as(result.serving)
    assert back.request == result.request and torch.equal(back.split.removed, result.split.removed)
    assert {k: v.tolist() for k, v in back.original.state_dict().items()} == {
        k: v.tolist() for k, v in result.original.state_dict().items()
    }


def test_the_verdict_of_a_loaded_result_is_the_same(tmp_path: Path) -> None:
    result = make("link_prediction", epochs=2)
    save_result(result, tmp_path / "r")
    back = load_result(tmp_path / "r", tiny_case("link_prediction").data)
    assert evaluate(back, gold=2, cache=False).verdict == evaluate(result, gold=2, cache=False).verdict


def test_a_sequence_is_saved_with_the_requests_before_it(tmp_path: Path) -> None:
    case = tiny_case("link_prediction")
    first = make("link_prediction", epochs=2)
    second = first.then(case.later[0])
    save_result(first, tmp_path / "1")
    save_result(second, tmp_path / "2")
    continued = load_result(tmp_path / "1", case.data).then(case.later[0])
    save_result(continued, tmp_path / "3")
    for folder in ("2", "3"):
        back = load_result(tmp_path / folder, case.data)
        assert back.split.lineage.request.digest() == second.split.lineage.request.digest()
        assert back.split.lineage.digests == second.split.lineage.digests
        assert {k: v.tolist() for k, v in back.first_original.state_dict().items()} == {
            k: v.tolist() for k, v in case.trained.state_dict().items()
        }
        assert torch.equal(
            case.task.predict(back.model, case.task.view(back.data, "test")),
            case.task.predict(second.model, case.task.view(second.data, "test")),
        )


def test_other_data_another_task_and_damaged_files_are_refused(tmp_path: Path) -> None:
    result = make("link_prediction", epochs=2)
    case, folder = tiny_case("link_prediction"), tmp_path / "r"
    save_result(result, folder)
    with pytest.raises(InputError, match="made for task 'link_prediction', not 'node_classification'"):
        load_result(folder, case.data, "node_classification")
    with pytest.raises(InputError, match="does not fit the data"):
        load_result(folder, tiny_case("link_prediction").task.split(case.data, result.request).retain_data)
    (folder / "request.json").write_text(DeletionRequest.edges(pairs=case.data.pairs()[:1]).to_json())
    with pytest.raises(InputError, match="its files were changed"):
        load_result(folder, case.data)
    (folder / "request.json").write_text(result.request.to_json())
    record = json.loads((folder / "result.json").read_text())
    for change, message in [
        ({"format": "x"}, "is no result of format"),
        ({"task": {"name": "link_prediction"}}, "record of its task is damaged"),
        ({"cost": 3}, "is damaged"),
        ({"method": "retran"}, "did you mean 'retrain'"),
    ]:
        (folder / "result.json").write_text(json.dumps(record | change))
        with pytest.raises(InputError, match=message):
            load_result(folder, case.data)
    (folder / "result.json").write_text(json.dumps(record))
    (folder / "earlier.json").unlink()
    with pytest.raises(InputError, match="holds no earlier"):
        load_result(folder, case.data)
    with pytest.raises(InputError, match="holds no result"):
        load_result(tmp_path, case.data)


def test_a_result_written_over_another_inherits_nothing(tmp_path: Path) -> None:
    first, folder = make("link_prediction", epochs=2), tmp_path / "r"
    save_result(first, folder)
    torch_state = folder / "state.safetensors"
    torch_state.write_bytes((folder / "model.safetensors").read_bytes())
    assert load_result(folder, tiny_case("link_prediction").data).state
    save_result(first, folder)
    assert not load_result(folder, tiny_case("link_prediction").data).state
