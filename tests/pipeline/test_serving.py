"""Saved recommenders as they are served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graphforget.api import recommend, suspend
from graphforget.base import save_model
from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.models import BPRMF
from graphforget.pipeline.results import save_result
from graphforget.pipeline.saved import unlearn_saved
from graphforget.pipeline.serving import load_served, suspend_saved
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing.tiny import tiny_case


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save_model(BPRMF(300, 400, 4), tmp_path / "shop")


def test_a_saved_suspension_serves_as_the_mask_does(shop: Path) -> None:
    data, request = load("tastes"), DeletionRequest.items([3, 7]) | DeletionRequest.users([5])
    served = suspend_saved(load_served(shop, "tastes"), request)
    mask = suspend(served.model, data, request, task=served.task)
    assert torch.equal(load_served(shop).recommend([0, 5, 9], top_k=30), recommend(mask, [0, 5, 9], top_k=30))
    assert {side: ids.tolist() for side, ids in served.deny.items()} == {"item": [3, 7], "user": [5]}
    assert served.why_empty(5) == "suspended" and served.why_empty(4) is None


def test_a_result_is_served_with_what_it_denies_and_a_further_request_keeps_suspensions(shop: Path, tmp_path: Path) -> None:
    suspend_saved(load_served(shop, "tastes"), DeletionRequest.items([30, 40]))
    request = DeletionRequest.items([3, 40]) | DeletionRequest.users([5])
    result = unlearn_saved(shop, "tastes", lambda data: request, task="recommendation", method="row_reset")
    assert result.info["suspended"] == {"item": [30, 40]} and result.info["data"] == {"name": "tastes", "options": {}}
    served = load_served(save_result(result, tmp_path / "out"))
    assert served.result is not None and served.suspended["item"].tolist() == [30]  # 40 is gone for good
    assert served.deny["item"].tolist() == [3, 30, 40] and served.why_empty(5) == "forgotten"
    further = unlearn_saved(tmp_path / "out", "tastes", lambda data: DeletionRequest.items([8]), task="recommendation")
    lists = load_served(save_result(further, tmp_path / "out2")).recommend(range(300), top_k=400)
    assert not torch.isin(lists, torch.tensor([3, 8, 30, 40])).any() and torch.isin(lists, torch.tensor([31])).any()


def test_a_mask_made_by_unlearn_is_not_lifted_by_lift(shop: Path, tmp_path: Path) -> None:
    result = unlearn_saved(shop, "tastes", lambda data: DeletionRequest.users([5]), task="recommendation", method="mask")
    served = load_served(save_result(result, tmp_path / "out"))
    assert served.why_empty(5) == "denied" and (served.recommend([5]) == -1).all()
    with pytest.raises(InputError, match="users 5 are not suspended .the result itself denies them"):
        suspend_saved(served, DeletionRequest.users([5]), lift=True)
    assert not (tmp_path / "out" / "suspended.json").exists()


def test_only_recommenders_serve_lists(shop: Path, tmp_path: Path) -> None:
    case = tiny_case("image_classification")
    folder = save_result(case.unlearn("finetune", "samples"), tmp_path / "images")
    with pytest.raises(InputError, match="a result of task 'image_classification': only recommenders serve lists"):
        load_served(folder)
    result = tiny_case("recommendation").unlearn("row_reset", "items")
    with pytest.raises(InputError, match="does not say which data"):
        load_served(save_result(result, tmp_path / "made in Python"))
    (shop / "suspended.json").write_text(
        json.dumps(
            {
                "format": "graphforget.suspended/1",
                "suspended": {"user": [], "item": [900]},
                "data": {"name": "tastes", "options": {}},
                "history": [],
            }
        )
    )
    with pytest.raises(InputError, match="suspends item 900, but 'tastes .synthetic.' has 400 items"):
        load_served(shop)


def test_the_task_beside_the_model_is_used(shop: Path) -> None:
    described = Recommendation(top_k=7, negatives="seen").describe()
    (shop / "task.json").write_text(json.dumps(described))
    assert load_served(shop, "tastes").task.describe() == described


@pytest.mark.parametrize("known", ["tastes", {"name": "tastes"}, {"name": 3, "options": {}}, {"name": "tastes", "options": []}])
def test_a_damaged_record_of_the_data_is_told(shop: Path, tmp_path: Path, known: object) -> None:
    result = unlearn_saved(shop, "tastes", lambda data: DeletionRequest.items([5]), task="recommendation", method="row_reset")
    folder = save_result(result, tmp_path / "out")
    record = json.loads((folder / "result.json").read_text())
    record["info"]["data"] = known
    (folder / "result.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="does not say how its data are found"):
        load_served(folder)


def test_a_damaged_recipe_beside_the_model_is_told(shop: Path) -> None:
    described = Recommendation().describe()
    (shop / "task.json").write_text(json.dumps(described | {"recipe": {"epoch": 3}}))
    with pytest.raises(InputError, match="task.json' is no record of a task .TypeError"):
        load_served(shop, "tastes")
