"""suspend, recommend and restore on saved recommenders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graphforget.datasets import load
from graphforget.pipeline import read_data

from .conftest import call, call_json

DATA = ["--data", "tastes"]
FORGET = ["unlearn", "--model", "shop", *DATA, "--method", "row_reset", "--items", "20,21", "--out", "out"]


def lists(folder: str, *users: int, top: int = 5) -> dict[int, list[int]]:
    """Lists of the command line by user."""
    code, document = call_json("recommend", folder, "--user", ",".join(map(str, users)), "--top", str(top))
    assert code == 0
    return {one["user"]: [item["item"] for item in one["items"]] for one in document["lists"]}


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_suspension_is_honoured_and_lifted_and_changes_no_weight(workspace: Path) -> None:
    owned = load("tastes").items_with("owner", "owner 10").tolist()
    before = weights(workspace / "shop")
    _, free = call_json("recommend", "shop", *DATA, "--user", "12", "--top", "399")
    shown = [one["item"] for one in free["lists"][0]["items"]]
    assert set(owned) <= {*shown, *load("tastes").positives.of(torch.tensor([12]))[:, 1].tolist()}
    code, document = call_json("suspend", "shop", "--items-with", "owner=owner 10", *DATA)
    assert code == 0 and document["suspended"] == {"item": owned}
    assert lists("shop", 12, top=399)[12] == [item for item in shown if item not in owned]  # no --data: the folder knows
    assert call("suspend", "shop", "--users", "12", "--items", "3")[0] == 0
    code, out, _ = call("recommend", "shop", "--user", "12")
    assert out == "user 12: suspended\n"
    code, document = call_json("suspend", "shop", "--lift", "--items-with", "owner=owner 10")
    assert document["suspended"] == {"user": [12], "item": [i for i in [3] if i not in owned]}
    assert call("suspend", "shop", "--lift", "--all")[1].startswith("suspended: nothing")
    assert lists("shop", 12, top=399)[12] == shown
    record = json.loads((workspace / "shop" / "suspended.json").read_text())
    assert [entry["action"] for entry in record["history"]] == ["suspend", "suspend", "lift", "lift"]
    assert record["history"][0]["note"] == "items with owner=owner 10" and weights(workspace / "shop") == before


def test_what_is_suspended_stays_off_the_lists_of_a_later_result(workspace: Path) -> None:
    first = call_json("recommend", "shop", *DATA, "--user", "3", "--top", "2")[1]["lists"][0]["items"][0]["item"]
    assert call("suspend", "shop", *DATA, "--items", str(first))[0] == 0
    assert call(*FORGET)[0] == 0
    assert not {first, 20, 21} & set(lists("out", 3, top=399)[3])
    code, _, err = call("restore", "out", "--items", str(first), "--out", "back")
    assert code == 2 and "only suspended" in err and not (workspace / "back").exists()
    assert call("suspend", "out", "--lift", "--items", str(first))[0] == 0
    assert first in lists("out", 3, top=399)[3] and first not in lists("shop", 3, top=399)[3]


def test_the_table_has_names_where_they_are_known(workspace: Path) -> None:
    from graphforget.interactions import Interactions
    from graphforget.pipeline.interaction_files import write_interactions

    data = load("tastes")
    named = Interactions.create(
        data.splits,
        num_users=300,
        num_items=400,
        item_names=[f"isbn {item}" for item in range(400)],
        attributes={"title": [f"Book {item}" if item else None for item in range(400)]},
    )
    write_interactions(named, workspace / "books.safetensors")
    code, out, _ = call("recommend", "shop", "--data", "books.safetensors", "--users", "12, 3,12", "--top", "2")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "user 12" and lines[1].split() == ["rank", "item", "name", "title"]
    item = lines[2].split()[1]
    assert lines[2].split() == ["1", item, "isbn", item, "Book", item] and lines[5] == "user 3" and len(lines) == 9


def test_a_restored_item_has_a_new_id_and_the_old_row_is_not_read(workspace: Path) -> None:
    assert call(*FORGET)[0] == 0 and call("suspend", "out", "--items", "7")[0] == 0
    code, document = call_json("restore", "out", "--item", "20", "--out", "back")
    assert code == 0 and document["items"] == [{"old": 20, "new": 400}] and document["num_items"] == 401
    data = read_data("back/data.safetensors")
    assert data.alive_items[[20, 21, 400]].tolist() == [False, False, True]
    assert torch.equal(data.features["image"][400], load("tastes").features["image"][20])
    assert not (data.part("train")[:, 1] == 400).any()
    shown = lists("back", 3, top=401)[3]
    assert 400 in shown and not {7, 20, 21} & set(shown)
    # The restored model is a beginning: it can be served, suspended and unlearned as any other.
    assert call("suspend", "back", "--items", "400")[0] == 0 and 400 not in lists("back", 3, top=401)[3]
    again = ["unlearn", "--model", "back", "--data", "back/data.safetensors", "--method", "row_reset", "--items", "400"]
    assert call(*again, "--out", "out2")[0] == 0
    assert 400 not in lists("out2", 3, top=401)[3] and 7 not in lists("out2", 3, top=401)[3]


def test_items_are_restored_by_what_they_had_in_common(workspace: Path) -> None:
    owned = load("tastes").items_with("owner", "owner 10").tolist()
    assert call(*FORGET, "--items-with", "owner=owner 10")[0] == 0
    code, out, _ = call("restore", "out", "--items-with", "owner=owner 10", "--out", "back", "--seed", "3")
    rows = [line.split() for line in out.splitlines()[1:-1]]
    assert code == 0 and [[int(word) for word in row] for row in rows] == [
        [old, 400 + number] for number, old in enumerate(owned)
    ]
    assert read_data("back/data.safetensors").items_with("owner", "owner 10").tolist() == list(range(400, 400 + len(owned)))
    one = load("tastes").attributes["owner"]
    other = next(owner for owner in one.values if not {20, 21, *owned} & set(one.items_of(owner).tolist()))
    code, _, err = call("restore", "out", "--items-with", f"owner={other}", "--out", "back2")
    assert code == 2 and f"no item with owner={other} was forgotten" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["restore", "out", "--items", "5", "--out", "back"], "items 5 were not forgotten"),
        (["restore", "out", "--items", "20", "--out", "out"], "is the model's own folder"),
        (["restore", "out", "--items", "20", "--out", "shop"], "is not empty"),
        (["suspend", "out", "--items", "20"], "items 20 are already forgotten"),
        (["suspend", "out", "--lift", "--items", "20"], "the result itself denies them"),
    ],
)
def test_wrong_requests_to_a_result(workspace: Path, words: list[str], message: str) -> None:
    assert call(*FORGET)[0] == 0
    files = sorted(p for p in workspace.rglob("*"))
    code, out, err = call(*words)
    assert (code, out) == (2, "") and message in err and sorted(p for p in workspace.rglob("*")) == files


def test_a_model_that_cannot_grow_says_so(workspace: Path) -> None:
    from graphforget.base import save_model
    from graphforget.models import EASE

    data = load("tastes")
    ease = EASE(300, 400)
    ease.fit_closed_form(data)
    save_model(ease, workspace / "ease")
    command = ["unlearn", "--model", "ease", *DATA, "--method", "ease_downdate", "--items", "20", "--out", "out"]
    assert call(*command)[0] == 0
    code, _, err = call("restore", "out", "--items", "20", "--out", "back")
    assert code == 2 and "EASE cannot grow" in err and not (workspace / "back").exists()


def test_the_folder_of_a_run_stands_for_its_result(workspace: Path) -> None:
    import yaml

    recipe = {
        "name": "books",
        "data": {"name": "tastes", "canary": 0.02},
        "task": {"name": "recommendation", "recipe": {"epochs": 1, "patience": None}},
        "model": {"name": "bprmf", "dim": 4},
        "request": {"target": "item", "ids": [20, 21]},
        "unlearner": {"method": "row_reset"},
        "evaluate": {"gold": 1},
    }
    (workspace / "books.yaml").write_text(yaml.safe_dump(recipe))
    _, done = call_json("run", "books.yaml")
    code, document = call_json("recommend", done["folder"], "--user", "12", "--top", "400")
    assert code == 0 and document["folder"].endswith("models/unlearned-row_reset-0")
    assert document["data"]["options"]["canary"] == 0.02
    assert not {20, 21} & {item["item"] for item in document["lists"][0]["items"]}


def test_a_list_longer_than_the_catalogue_is_the_catalogue(workspace: Path) -> None:
    code, document = call_json("recommend", "shop", *DATA, "--user", "3", "--top", "1000000000000000")
    taken = load("tastes").positives.of(torch.tensor([3]))
    assert code == 0 and len(document["lists"][0]["items"]) == 400 - len(taken)


def test_force_never_mixes_a_result_with_what_belongs_to_another(workspace: Path) -> None:
    """Suspensions of the model carry over in the result: a file that lies in the folder already would overrule them."""
    assert call("suspend", "shop", *DATA, "--items", "3,5")[0] == 0 and call(*FORGET)[0] == 0
    assert call(*FORGET, "--force")[0] == 0
    assert call("suspend", "out", "--lift", "--items", "3")[0] == 0
    code, _, err = call(*FORGET, "--force")
    assert code == 2 and "suspended.json' would be taken for a part" in err
    code, _, err = call("restore", "out", "--items", "20", "--out", "back")
    assert code == 0
    again = [word if word != "out" else "back" for word in FORGET]
    (workspace / "back" / "suspended.json").unlink()
    code, _, err = call(*again, "--force")
    assert code == 2 and "data.safetensors' would be taken for a part" in err
    assert call(*[word if word != "out" else "out2" for word in FORGET])[0] == 0
    before = sorted((path.name, path.stat().st_size) for path in (workspace / "out2").iterdir())
    code, _, err = call("restore", "out", "--items", "20", "--out", "out2", "--force")
    assert code == 2 and "result.json' would be taken for a part" in err
    assert before == sorted((path.name, path.stat().st_size) for path in (workspace / "out2").iterdir())
