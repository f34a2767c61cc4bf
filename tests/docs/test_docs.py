"""The pages' code runs and prints what they show: see ``docs/_pages.py``."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphforget.cli import app
from graphforget.unlearners import METHODS

DOCS = Path(__file__).resolve().parents[2] / "docs"
# Every page that has code to run: those of the methods' pages are templates of a call.
PAGES = [
    p for p in sorted(DOCS.rglob("*.md")) if p.parent.name != "methods" and re.search(r"^```(python|bash)$", p.read_text(), re.M)
]
WIDEST = 88  # characters of a line of code that a page shows without scrolling
# Folders that a run writes, and that are not in the repository.
WRITTEN_BY_RUNS = {"figures/", "original/", "tables/"}
# Every page's number of executed blocks, so that a block the pattern misses cannot hide.
EXPECTED = {
    "tutorials/first-deletion": 7,
    "tutorials/licence-revoked": 11,
    "how-to/own-model": 10,
    "how-to/which-method": 2,
    "how-to/honour-a-request": 8,
    "how-to/add-a-method": 2,
    "how-to/compare-methods": 2,
    "explanation/from-call-to-result": 11,
    "explanation/shadow-distill": 1,
    "explanation/kernels": 3,
    "reference/requests": 1,
    "reference/tasks": 1,
    "reference/unlearners": 1,
    "reference/metrics": 1,
    "reference/graphs": 1,
    "reference/interactions": 1,
    "reference/datasets": 1,
}


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty working directory that modules can be imported from, a cache of its own, registries as they were."""
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(METHODS, "_added", dict(METHODS._added))
    yield
    for name in [n for n in sys.modules if n.startswith("my_")]:
        del sys.modules[name]


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pages", DOCS / "_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


runner = _runner()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_runs_and_prints_what_it_shows(page: Path) -> None:
    executed = list(runner.run_page(page))
    faults = [ran.fault for ran in executed if ran.fault is not None]
    assert not faults, "\n\n".join([f"{page.name}; `python docs/_pages.py {page.name}` writes what is printed", *faults])
    assert len(executed) == EXPECTED[name_of(page)]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("auc 0.957", "auc   0.95\n", True),
        ("auc 0.957", "auc 0.9", False),
        ("auc 120.5", "auc 124.1", True),
        ("-0.01", "+0.009", True),
        ("steps 13", "steps 14", False),
        ("verdict sufficient", "verdict insufficient", False),
        ("took 0.3 s", "took 27.5 s", True),
        ("a  seconds\n-----------\nx 0.5 0.3", "a seconds\n------\nx 0.5  12.25", True),
        ("a  seconds\n-----------\nx 0.5 0.3", "a seconds\n------\nx 0.7  0.3", False),
        ("a  seconds\nx 0.3\n\nauc 0.5", "a seconds\nx 0.9\n\nauc 0.7", False),
        ("one ... three", "one two 2.5 three", True),
        ("one ... three", "one two", False),
        ("[1.5] (a|b)", "[1.5] (a|b)", True),
    ],
)
def test_outputs_are_compared_with_what_may_differ(shown: str, printed: str, same: bool) -> None:
    assert (runner.difference(shown, printed) is None) == same


def test_what_is_printed_and_not_shown_is_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```python\nprint("x 0.5")\n```\n\n```python\nprint("y 1.5")\n```\n\n```text\ny 1.5\n```\n')
    first, second = runner.run_page(page)
    assert "does not show" in first.fault and second.fault is None
    runner.write_outputs(page)
    assert page.read_text().count("```text") == 2 and all(ran.fault is None for ran in runner.run_page(page))


def test_an_output_of_nothing_is_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```text\nx\n```\n")
    with pytest.raises(ValueError, match="neither run nor"):
        list(runner.run_page(page))


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


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda p: p.stem)
def test_pages_name_files_that_exist(page: Path) -> None:
    root = DOCS.parent
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?|[a-z_]+/[a-z_]+\.py)`", text))
    there = [root, root / "graphforget", *(p for p in (root / "graphforget").rglob("*") if p.is_dir())]
    missing = {name for name in named if not any((base / name).exists() for base in there)}
    assert missing <= WRITTEN_BY_RUNS, f"{page.name} names {missing}"
    for name in set(re.findall(r"`(graphforget(?:\.\w+)+)`", text)):
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", sorted([*DOCS.rglob("*.md"), DOCS.parent / "README.md"]), ids=lambda p: p.stem)
def test_code_does_not_run_over_the_edge(page: Path) -> None:
    for block in re.findall(
        r"^```(?:\{code-block\} )?(?:python|bash|console|json|yaml)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    ):
        assert max(map(len, block.splitlines()), default=0) <= WIDEST, f"{page.name}:\n{block}"


def test_pictures_are_small_and_described() -> None:
    pictures = list((DOCS / "_static").glob("*.webp"))
    assert pictures and all(picture.stat().st_size < 200_000 for picture in pictures)
    for name in re.findall(r"```{image} (\S+)\n:alt: \w", (DOCS / "index.md").read_text(encoding="utf-8")):
        assert (DOCS / name).is_file()


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
    built = {p.parent.name for p in root.glob("*/__init__.py")} | {p.stem for p in root.glob("[!_]*.py")}
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
