"""The README: short, its code runs, its commands, files and links exist."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from graphforget.cli import app
from graphforget.datasets import DATASETS
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def command_lines() -> list[list[str]]:
    lines = [line for code in blocks("bash") for line in code.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("graphforget ")]


def test_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    codes = blocks("python")
    assert len(codes) >= 2
    for number, code in enumerate(codes):
        exec(compile(code, f"README.md, block {number}", "exec"), namespace)
    assert namespace["report"].verdict.label in ("sufficient", "insufficient", "inconclusive")
    assert namespace["result"].changed_parameters


def test_commands_and_their_options_exist() -> None:
    import typer

    group: Any = typer.main.get_command(app)
    assert len(command_lines()) >= 3
    for _, name, *words in command_lines():
        assert name in group.commands, f"there is no command 'graphforget {name}'"
        options = {flag for parameter in group.commands[name].params for flag in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= options, f"graphforget {name} has no {given - options}"


def test_names_given_to_commands_exist() -> None:
    known = {"--task": set(TASKS), "--method": {*METHODS, "auto"}, "--data": set(DATASETS)}
    checked = 0
    for words in command_lines():
        for flag, value in pairwise(words):
            if flag in known:
                assert value in known[flag], f"{flag} {value}"
                checked += 1
    assert checked >= 2


def _command_line_block() -> str:
    (code,) = [code for code in blocks("bash") if "graphforget " in code]
    return code


def _run_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    spec = importlib.util.spec_from_file_location("readme_pages", ROOT / "docs" / "_pages.py")
    assert spec is not None and spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, runner)
    spec.loader.exec_module(runner)
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    printed = runner.shell(_command_line_block(), options=options)
    assert "shadow_distill" in printed
    assert (tmp_path / "next" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "next" / "earlier.json").read_text())  # it continues what the first line did


def test_command_line_works_from_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ("task.recipe.epochs=20", "unlearner.method=finetune", "evaluate.gold=2", "compare=[]")
    _run_commands(tmp_path, monkeypatch, *(word for override in small for word in ("-o", override)))


@pytest.mark.slow
def test_command_line_works_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run_commands(tmp_path, monkeypatch)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {line.split()[1] for code in blocks("bash") for line in code.splitlines() if line.startswith("make ")}
    assert named and named <= targets


def test_links_and_extras_exist() -> None:
    # The benchmark tables are written by the benchmark runs themselves; a fresh tree may not hold them yet.
    links = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"(?:src|srcset)=\"([^\"]+)\"", README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert set(missing) <= {"benchmarks/README.md"}
    (text,) = re.findall(r"^Extras: ([a-z, ]+) \(", README, re.MULTILINE)
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra.strip()} = \[", pyproject, re.MULTILINE) for extra in text.split(","))


def test_methods_named_exist() -> None:
    section = README.partition("## Methods")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert named and named <= set(METHODS)
