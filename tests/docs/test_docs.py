"""The pages' code runs: Python blocks of a page in order and in one namespace, `graphforget` lines through the command line."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphforget.cli import app
from graphforget.unlearners import METHODS

DOCS = Path(__file__).resolve().parents[2] / "docs"
_RUN = [DOCS / "explanation" / f"{name}.md" for name in ("shadow-distill", "kernels")]
PAGES = sorted([*(DOCS / "tutorials").glob("*.md"), *(DOCS / "how-to").glob("*.md"), *_RUN])
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
# Every page's number of executed blocks, so that a block the pattern misses cannot hide.
EXPECTED = {
    "first-deletion": 7,
    "licence-revoked": 11,
    "own-model": 10,
    "which-method": 2,
    "honour-a-request": 8,
    "add-a-method": 2,
    "shadow-distill": 1,
    "kernels": 3,
}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty working directory that modules can be imported from, a cache of its own, registries as they were."""
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(METHODS, "_targets", dict(METHODS._targets))
    yield
    for name in [n for n in sys.modules if n.startswith("my_")]:
        del sys.modules[name]


def shell(code: str) -> int:
    """Run the `graphforget` lines of a block; the number of lines run. A verdict of any kind is a success."""
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        words = [w for w in shlex.split(line, comments=True) if w != "PYTHONPATH=."]
        assert words[0] == "graphforget", f"only graphforget commands are executed, got: {line}"
        result = CliRunner().invoke(app, words[1:], prog_name="graphforget")
        assert result.exit_code in (0, 3), f"{line}\n{result.output}\n{result.exception!r}"
    return len(lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page_runs(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "page"}
    executed = 0
    for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
        code, language = block["code"], block["language"]
        if block["file"]:
            Path(block["file"]).write_text(code, encoding="utf-8")
            importlib.invalidate_caches()
        elif language == "python":
            exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
            executed += 1
        elif language == "bash":
            assert shell(code)
            executed += 1
        else:
            assert language in ("text", "json", "yaml"), f"a block of language '{language}' would not be executed"
    assert executed == EXPECTED[page.stem]


def test_request_example_is_a_request() -> None:
    from graphforget.requests import DeletionRequest

    text = (DOCS / "how-to" / "honour-a-request.md").read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert [DeletionRequest.from_json(e).summary() for e in examples] == ["2 edges, 1 node feature"]


def test_recipe_example_is_a_recipe(tmp_path: Path) -> None:
    from graphforget.pipeline import load_config

    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "recipe.yaml").write_text(recipe)
    assert load_config(tmp_path / "recipe.yaml").name == "my_deletion"


def test_every_page_is_in_the_index_and_links_lead_somewhere() -> None:
    pages = [p for p in DOCS.rglob("*.md") if "_build" not in p.parts]
    trees = {
        (p.parent / line.strip()).resolve()
        for p in pages
        for tree in re.findall(r"```{toctree}\n(.*?)```", p.read_text(), re.DOTALL)
        for line in tree.splitlines()
        if line.strip() and not line.startswith(":")
    }
    assert {p.with_suffix("").resolve() for p in pages} - trees == {(DOCS / "index").resolve()}
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), f"{page.name} links to {link}"


def test_commands_of_the_reference_are_all_commands() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `graphforget (\w+)", text, re.MULTILINE))
    assert named == {command.name for command in app.registered_commands}


def test_every_room_has_a_reference_page() -> None:
    import graphforget

    root = Path(graphforget.__file__).parent
    rooms = {p.parent.name for p in root.glob("*/__init__.py")} - {"cli"}
    text = "\n".join(p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md"))
    assert {m for m in rooms if f".. automodule:: graphforget.{m}\n" not in text} == set()


def test_every_case_that_code_names_is_told() -> None:
    import graphforget

    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| C(\d+) \|", text, re.MULTILINE)
    assert told == [str(n) for n in range(1, len(told) + 1)]
    code = "\n".join(p.read_text(encoding="utf-8") for p in Path(graphforget.__file__).parent.rglob("*.py"))
    assert set(re.findall(r"\bcases? C(\d+)", code)) <= set(told)


def test_architecture_names_rooms_that_exist() -> None:
    import graphforget

    root = Path(graphforget.__file__).parent
    section = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Rooms")[2].partition("Two more contracts")[0]
    named = {
        name
        for row in re.findall(r"^\| \d+ \| (.*) \|$", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row.partition(":")[0])
    }
    named |= {
        name for row in re.findall(r"^\| \d+ \| (.*) \|$", section, re.MULTILINE) for name in re.findall(r"`(\w+)` ?\(", row)
    }
    built = {p.parent.name for p in root.glob("*/__init__.py")} | {p.stem for p in root.glob("*.py")} - {"__init__"}
    assert named <= built
    missing = {room for room in built if f"`{room}`" not in section}
    assert missing == set()


@pytest.mark.slow
def test_sphinx_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    import subprocess

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "-q",
            "-b",
            "html",
            "-d",
            str(tmp_path / "trees"),
            str(DOCS),
            str(tmp_path / "html"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "shadow_distill" in (tmp_path / "html" / "how-to" / "which-method.html").read_text(encoding="utf-8")
