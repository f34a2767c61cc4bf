"""The record of suspensions: what is off the lists, and every change of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.pipeline.suspension import read_suspended, suspended_ids, write_suspended

DATA = {"name": "tastes", "options": {}}


def test_ids_and_history_come_back(tmp_path: Path) -> None:
    assert read_suspended(tmp_path) is None and suspended_ids(tmp_path) == {}
    write_suspended(tmp_path, {"item": torch.tensor([3, 7])}, DATA, {"action": "suspend"})
    assert {side: ids.tolist() for side, ids in suspended_ids(tmp_path).items()} == {"item": [3, 7]}
    write_suspended(tmp_path, {}, DATA, {"action": "lift"})
    content = read_suspended(tmp_path)
    assert suspended_ids(tmp_path) == {} and content is not None
    assert [entry["action"] for entry in content["history"]] == ["suspend", "lift"] and content["data"] == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["suspended.json"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": "graphforget.suspended/2"}',
        '{"format": "graphforget.suspended/1", "suspended": {"item": [true], "user": []}, "data": {"name": "a", "options": {}}, "history": []}',
        '{"format": "graphforget.suspended/1", "suspended": {"item": [], "user": []}, "data": {}, "history": []}',
        '{"format": "graphforget.suspended/1", "suspended": {"item": [], "user": []}, "data": {"name": 5, "options": {}}, "history": []}',
        '{"format": "graphforget.suspended/1", "suspended": {"item": [99999999999999999999], "user": []}, "data": {"name": "a", "options": {}}, "history": []}',
    ],
)
def test_a_damaged_record_is_never_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "suspended.json").write_text(text)
    with pytest.raises(InputError, match="is no record of suspensions"):
        suspended_ids(tmp_path)


def test_a_damaged_result_is_told(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(InputError, match="cannot read"):
        suspended_ids(tmp_path)


@pytest.mark.parametrize("suspended", [[1], {"item": ["a"]}, {"item": [-1]}, {"item": [True]}, {"items": [1]}, {"item": 3}])
def test_damaged_suspensions_of_a_result_are_told(tmp_path: Path, suspended: Any) -> None:
    record = {"format": "graphforget.result/1", "info": {"suspended": suspended}}
    (tmp_path / "result.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="is damaged: what it suspends"):
        suspended_ids(tmp_path)
