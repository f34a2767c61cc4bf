"""graphforget.home: where the cache and the data lie, and files that are never half written."""

from __future__ import annotations

import json
import os

import pytest

from graphforget.exceptions import InputError
from graphforget.home import data_root, home, replacing, write_bytes, write_json, write_text


def test_home_follows_the_variable_and_has_a_default(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "cache"))
    assert home() == tmp_path / "cache"
    monkeypatch.delenv("GRAPHFORGET_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".cache" / "graphforget"


def test_data_root_is_none_or_an_existing_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("GRAPHFORGET_DATA", raising=False)
    assert data_root() is None
    monkeypatch.setenv("GRAPHFORGET_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.setenv("GRAPHFORGET_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere.*no folder"):
        data_root()


def test_writers_make_folders_and_write_what_they_are_given(tmp_path):
    assert write_text(tmp_path / "a" / "b.txt", "grüße").read_bytes() == "grüße".encode()
    assert write_bytes(tmp_path / "c.bin", b"\x00\x01").read_bytes() == b"\x00\x01"
    assert json.loads(write_json(tmp_path / "d.json", {"x": [1, 2.5]}).read_text()) == {"x": [1, 2.5]}
    assert sorted(os.listdir(tmp_path)) == ["a", "c.bin", "d.json"]


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = write_text(tmp_path / "kept.txt", "old")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.txt"]


def test_results_are_ordinary_files(tmp_path):
    mask = os.umask(0o022)
    try:
        assert write_text(tmp_path / "a.txt", "x").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)
