"""Interactions on disk: the same content comes back, and damage is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_users
from graphforget.models import BPRMF
from graphforget.pipeline import read_data
from graphforget.pipeline.interaction_files import write_interactions
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation


def test_everything_comes_back(tmp_path: Path) -> None:
    data = remove_users(remove_items(load("tastes", num_users=40, num_items=30, per_user=6, canary=0.05), [3, 9]), [1])
    back = read_data(write_interactions(data, tmp_path / "d.safetensors"))
    assert back.digest() == data.digest() and back.name == data.name and set(back.splits) == {"train", "val", "test", "canary"}
    assert torch.equal(back.alive_items, data.alive_items) and torch.equal(back.alive_users, data.alive_users)
    assert back.attributes["owner"].values == data.attributes["owner"].values and list(tmp_path.iterdir()) == [
        tmp_path / "d.safetensors"
    ]
    named = Interactions.create({"train": [[0, 0], [0, 1]]}, item_names=["A «é»", "B"], user_names=["u"])
    again = read_data(write_interactions(named, tmp_path / "n.safetensors"))
    assert (again.item_names, again.user_names) == (("A «é»", "B"), ("u",))


def test_what_means_nothing_alone_is_not_written(tmp_path: Path) -> None:
    data = load("tastes", num_users=30, num_items=20, per_user=5)
    task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 4))
    with pytest.raises(InputError, match="retained data of a request"):
        write_interactions(task.split(data, DeletionRequest.items([1])).retain_data, tmp_path / "d.safetensors")
    with pytest.raises(InputError, match="a .safetensors file"):
        write_interactions(data, tmp_path / "d.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["text", "marks", "pairs"])
def test_damage_is_told(tmp_path: Path, damage: str) -> None:
    path = write_interactions(load("tastes", num_users=30, num_items=20, per_user=5), tmp_path / "d.safetensors")
    tensors, header = load_file(path), {"format": "graphforget.interactions/1", "text": json.dumps({"name": "x"})}
    if damage != "text":
        header["text"] = json.dumps({"name": "x", "values": {}, "user_names": None, "item_names": None})
        tensors["alive_items"] = tensors["alive_items"].long() if damage == "marks" else tensors["alive_items"][:3]
    save_file(tensors, path, metadata=header)
    with pytest.raises(InputError, match="damaged|num_items is 3"):
        read_data(path)
