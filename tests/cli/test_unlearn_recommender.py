"""unlearn for recommenders: users and items named on the command line, or by what items have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphforget.base import save_model
from graphforget.datasets import load
from graphforget.models import BPRMF
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
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(books: Path, words: list[str], message: str) -> None:
    code, out, err = call(*COMMAND, *words)
    assert (code, out) == (2, "") and message in err and not (books / "out").exists()


def test_data_without_attributes_say_so(books: Path) -> None:
    command = ["unlearn", "--model", "model", "--data", "links.npz", "--out", "out", "--task", "link_prediction"]
    code, _, err = call(*command, "--items-with", "owner=x")
    assert code == 2 and "needs data with item attributes" in err
