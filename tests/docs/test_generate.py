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
    assert {path.stem for path in (DOCS / "methods").glob("*.md")} == set(METHODS.shipped)


def test_every_method_has_one_line_and_a_page(generate: ModuleType) -> None:
    rows = [line for line in generate.methods_table().splitlines() if line.startswith("| [")]
    assert sorted(line.split("`")[1] for line in rows) == METHODS.shipped
    (retrain,) = [line for line in rows if "`retrain`" in line]
    assert retrain.endswith("| exact |  |")
    (unlink,) = [line for line in rows if "`unlink`" in line]
    assert "| no data, an input graph |" in unlink and "recommendation" in unlink and "image" not in unlink
    (rec,) = [line for line in rows if "`graphforget_rec`" in line]
    assert rec.endswith("| empirical | entity rows |")
    pages = generate.pages()
    assert {path.stem for path in pages if path.parent.name == "methods"} == set(METHODS.shipped)


def test_pages_say_tags_in_words(generate: ModuleType) -> None:
    finetune, salun, sisa = (generate.method_page(key) for key in ("finetune", "salun", "sisa"))
    assert "the content of the forgotten examples never" in finetune
    assert "and the content of the forgotten examples" in salun and "empirical: measured against gold" in salun
    assert "not to `retrain`" in sisa and "link prediction" not in sisa and "the retained data, independent examples." in sisa


@pytest.mark.parametrize("key", METHODS.shipped)
def test_summaries_are_one_short_sentence(key: str) -> None:
    summary = METHODS[key].tags.summary
    assert len(summary.split()) <= 10 and summary.endswith("."), summary


def test_auto_covers_every_task_and_kind(generate: ModuleType) -> None:
    rows = [line.strip("| ").split(" | ") for line in generate.auto_table().splitlines()[2:]]
    for name in TASKS.shipped:
        kinds = {kind.strip().replace(" ", "_") for task, kinds, _ in rows if task == f"`{name}`" for kind in kinds.split(",")}
        assert kinds == set(TASKS[name].kinds)
    assert all("[`retrain`]" in keys for *_, keys in rows)


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
