"""Run folders: which one is continued, and what counts as finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphforget.exceptions import InputError
from graphforget.pipeline.config import load_config
from graphforget.pipeline.folder import Status, git_commit, open_folder, read_report

from .conftest import small_config


def test_the_newest_folder_of_the_same_configuration_is_continued(tmp_path: Path) -> None:
    config = load_config(small_config(tmp_path))
    first = open_folder(config, tmp_path, resume=True)
    second = open_folder(config, tmp_path, resume=False)
    assert first != second and first.name[-8:] == second.name[-8:] == config.digest()[:8]
    assert open_folder(config, tmp_path, resume=True) == second
    other = load_config(config, ["seeds.original=1"])
    assert open_folder(other, tmp_path, resume=True).name[-8:] == other.digest()[:8] != config.digest()[:8]
    assert load_config(first / "config.yaml") == config


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot write the run folder"):
        open_folder(load_config(small_config(tmp_path)), tmp_path / "taken", resume=True)


def test_a_stage_is_finished_for_its_key_and_untouched_files_only(tmp_path: Path) -> None:
    status, file = Status(tmp_path), tmp_path / "a.txt"
    assert not status.finished("data", "k")
    status.start("data", "k")
    assert not Status(tmp_path).finished("data", "k")
    file.write_text("a")
    status.finish("data", [file], 0.1, {"n": 1})
    assert Status(tmp_path).finished("data", "k") and Status(tmp_path).facts("data") == {"n": 1}
    assert not Status(tmp_path).finished("data", "other")
    file.write_text("b")
    assert not Status(tmp_path).finished("data", "k")
    file.write_text("a")
    status.file.write_text(status.file.read_text()[:40])
    assert not Status(tmp_path).finished("data", "k")


def test_the_commit_is_read_without_git(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "packed-refs").write_text("# pack-refs\nabc refs/heads/other\ndef refs/heads/main\n")
    assert git_commit(tmp_path / "deep") == "def"
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("123\n")
    assert git_commit(tmp_path / "deep") == "123"


def test_a_report_is_read_or_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no report in"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"format": "x"}))
    with pytest.raises(InputError, match=r"report.json': This is a 'x' document"):
        read_report(tmp_path)
