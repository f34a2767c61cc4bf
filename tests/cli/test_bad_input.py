"""Wrong input gets one sentence, exit code 2, no traceback, and changes no file."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .bad_inputs import BAD_INPUTS, BadInput
from .conftest import call


def snapshot(folder: Path) -> dict[str, tuple[bytes | None, int]]:
    return {
        p.relative_to(folder).as_posix(): (p.read_bytes() if p.is_file() else None, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize("case", BAD_INPUTS, ids=[c.what for c in BAD_INPUTS])
def test_one_sentence_and_nothing_else(case: BadInput, workspace: Path) -> None:
    for name, content in case.files.items():
        file = workspace / name
        file.parent.mkdir(exist_ok=True)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)
    before = snapshot(workspace)
    code, out, err = call(*shlex.split(case.command))
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    assert case.says in err
    assert snapshot(workspace) == before


def test_there_are_many_and_each_is_said_once() -> None:
    assert len(BAD_INPUTS) >= 25 and len({c.what for c in BAD_INPUTS}) == len(BAD_INPUTS)


def test_the_program_itself_ends_with_2_and_a_sentence(workspace: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from graphforget.cli import main; main()",
            "unlearn",
            "--model",
            "mode",
            "--data",
            "links.npz",
            "--request",
            "request.json",
            "--out",
            "out",
            "--json",
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no model folder 'mode'") and done.stderr.count("\n") == 1


def test_a_bug_is_not_dressed_up_as_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("graphforget.pipeline.read_report", broken)
    with pytest.raises(ZeroDivisionError):
        call("report", "model")
