"""Generated pages: what is committed is what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "_generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_up_to_date(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run `python docs/_generate.py`"


def test_every_method_has_a_row(generate: ModuleType) -> None:
    lines = generate.methods_table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(METHODS)
    assert len({line.count(" | ") for line in lines}) == 1
    (retrain,) = [line for line in lines if line.startswith("| `retrain`")]
    assert "| exact | retained data | no |" in retrain
    (salun,) = [line for line in lines if line.startswith("| `salun`")]
    assert "| yes |" in salun


def test_auto_covers_every_task_and_kind(generate: ModuleType) -> None:
    rows = [line.strip("| ").split(" | ") for line in generate.auto_table().splitlines()[2:]]
    for name in TASKS:
        kinds = {kind.strip().replace(" ", "_") for task, kinds, _ in rows if task == f"`{name}`" for kind in kinds.split(",")}
        assert kinds == set(TASKS[name].kinds)
    assert all("`retrain`" in keys for *_, keys in rows)


def test_every_wrong_input_has_a_row(generate: ModuleType) -> None:
    cases, page = generate._bad_inputs(), generate.errors_page()
    assert len(cases) > 50
    for case in cases:
        assert f"| {case.what} | `graphforget {case.command}` |" in page


def test_between_refuses_a_page_without_markers(generate: ModuleType) -> None:
    text = "a\n<!-- generated: x -->\nold\n<!-- end of x -->\nb"
    assert generate.between(text, "x", "new \\1") == "a\n<!-- generated: x -->\nnew \\1\n<!-- end of x -->\nb"
    with pytest.raises(ValueError, match="once each"):
        generate.between("nothing", "x", "new")


def test_table_cells_may_hold_pipes(generate: ModuleType) -> None:
    assert generate.table(["a"], [["b|c"]]).splitlines()[-1] == "| b\\|c |"
