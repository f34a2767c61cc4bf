"""unlearn for recommenders: users and items named on the command line, or by what items have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphforget.base import save_model
from graphforget.datasets import load
from graphforget.models import BPRMF, MGCN
from graphforget.pipeline import load_result

from .conftest import call, call_json

COMMAND = ["unlearn", "--model", "books", "--data", "tastes", "--out", "out", "--method", "row_reset"]


@pytest.fixture
def books(workspace: Path) -> Path:
    torch.manual_seed(0)
    save_model(BPRMF(300, 400, 4), workspace / "books")
    return workspace


def test_everything_of_an_owner_is_forgotten(books: Path) -> None:
    data = load("tastes")
    wanted = torch.cat([data.items_with("owner", "owner 10"), torch.tensor([3, 7])]).unique()
    code, document = call_json(*COMMAND, "--items-with", "owner=owner 10", "--items", "3, 7")
    assert code == 0 and document["task"]["name"] == "recommendation"
    assert document["serving"]["deny"]["item"] == wanted.tolist()
    result = load_result("out", data)
    assert torch.equal(result.request.ids("item"), wanted) and result.request.note == "items with owner=owner 10"


def test_a_second_batch_on_the_result_names_what_is_left(books: Path) -> None:
    assert call(*COMMAND, "--items-with", "owner=owner 10")[0] == 0
    second = ["unlearn", "--model", "out", "--data", "tastes", "--method", "row_reset"]
    code, document = call_json(*second, "--out", "out2", "--items-with", "owner=owner 5", "--users", "4")
    assert code == 0 and document["serving"]["deny"]["user"] == [4] and len(document["earlier_requests"]) == 1
    code, _, err = call(*second, "--out", "out3", "--items-with", "owner=owner 10")
    assert code == 2 and "no item has the value 'owner 10'" in err


def test_suspending_from_the_command_line(books: Path) -> None:
    code, document = call_json(*COMMAND[:-1], "mask", "--items", "5")
    assert code == 0 and document["serving"] == {"context": "original", "deny": {"item": [5]}}


@pytest.fixture
def covers(books: Path) -> Path:
    """A model that trained offsets of the features."""
    torch.manual_seed(0)
    data = load("tastes")
    model = MGCN(data.num_users, data.num_items, data.modalities, 4, k=3)
    for offset in model.offsets.values():
        torch.nn.init.ones_(offset.weight)
    save_model(model, books / "books")
    return books


def test_items_lose_a_modality_and_stay(covers: Path) -> None:
    data = load("tastes")
    owned = data.items_with("owner", "owner 10")
    code, document = call_json(*COMMAND, "--items-with", "owner=owner 10", "--items", "3", "--modality", "image")
    wanted = torch.cat([owned, torch.tensor([3])]).unique()
    assert code == 0 and document["serving"]["deny"] == {} and document["counts"]["removed"] == 0
    assert document["info"]["touched"]["rows"] == {"offsets.image.weight": len(wanted)}
    assert document["info"]["touched"]["features"] == {"image": len(wanted), "text": 0}
    result = load_result("out", data)
    assert result.request.modalities.keys() == {"image"} and torch.equal(result.request.modalities["image"], wanted)
    assert bool(result.data.features["image"][wanted].isnan().all()) and bool(result.data.alive_items.all())
    assert not bool(result.model.offsets["image"].weight[wanted].any())
    assert bool(result.model.offsets["image"].weight[~torch.isin(torch.arange(400), wanted)].all())
    assert bool(result.model.offsets["text"].weight.all())


def test_of_an_owner_only_what_is_left_of_a_modality_goes(covers: Path) -> None:
    assert call(*COMMAND, "--items", "3", "--modality", "image")[0] == 0
    owner = next(value for value in load("tastes").attributes["owner"].values if 3 in load("tastes").items_with("owner", value))
    second = ["unlearn", "--model", "out", "--data", "tastes", "--method", "row_reset"]
    code, document = call_json(
        *second, "--out", "out2", "--items-with", f"owner={owner}", "--modality", "image", "--modality", "text"
    )
    owned = load("tastes").items_with("owner", owner)
    assert code == 0 and document["info"]["touched"]["features"] == {"image": len(owned) - 1, "text": len(owned)}
    code, _, err = call(*second, "--out", "out3", "--items", "3", "--modality", "image")
    assert code == 2 and "the features 'image' of items 3 are already forgotten" in err
    third = ["unlearn", "--model", "out2", "--data", "tastes", "--method", "row_reset"]
    code, _, err = call(*third, "--out", "out3", "--items-with", f"owner={owner}", "--modality", "image")
    assert code == 2 and f"no item with owner={owner} has features 'image'" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say what to forget"),
        (["--items", "3,x"], "--items takes ids with commas"),
        (["--users", ""], "--users takes ids with commas"),
        (["--items-with", "owner"], "--items-with takes ATTRIBUTE=VALUE"),
        (["--items-with", "ower=owner 10"], "no item attribute 'ower'"),
        (["--items", "3", "--request", "request.json"], "not both"),
        (["--items", "4000"], "unknown items 4000"),
        (["--items", "4", "--modality", "imag"], "no item features 'imag': did you mean 'image'?"),
        (["--items", "4000", "--modality", "image"], "unknown items 4000"),
        (["--items", "4", "--modality", "image"], "BPRMF has no rows that belong to the items' image"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(books: Path, words: list[str], message: str) -> None:
    code, out, err = call(*COMMAND, *words)
    assert (code, out) == (2, "") and message in err and not (books / "out").exists()


def test_data_without_attributes_say_so(books: Path) -> None:
    command = ["unlearn", "--model", "model", "--data", "links.npz", "--out", "out", "--task", "link_prediction"]
    code, _, err = call(*command, "--items-with", "owner=x")
    assert code == 2 and "needs data with item attributes" in err
