"""run, demo and report: the run folder, one JSON document, the exit code of the verdict."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .conftest import call, call_json

QUICK = ("-o", "task.recipe.epochs=3", "-o", "evaluate.gold=1", "-o", "unlearner.method=unlink", "-o", "compare=[]")


def test_a_recipe_is_run_continued_and_run_anew(workspace: Path) -> None:
    code, document = call_json("run", "recipe.yaml")
    assert code == 0 and document["verdict"] == "inconclusive" and document["skipped"] == []
    assert json.loads((workspace / document["folder"] / "report.json").read_text()) == document["report"]
    again, fresh = call_json("run", "recipe.yaml")[1], call_json("run", "recipe.yaml", "--fresh", "--folder", "runs")[1]
    assert again["folder"] == document["folder"] != fresh["folder"] and len(again["skipped"]) == 7 and fresh["skipped"] == []


def test_people_get_the_table_the_verdict_and_the_page(workspace: Path) -> None:
    code, out, err = call("run", "recipe.yaml")
    assert (code, err) == (0, "")
    assert "INCONCLUSIVE" in out and "unlearned: unlink" in out and "report.html" in out


def test_insufficient_ends_with_3_except_in_the_demonstration(workspace: Path) -> None:
    # Two golds of another training length than the given model: it cannot be near them.
    far = ("-o", "model={folder: model}", "-o", "evaluate.gold=2", "-o", "task.recipe.epochs=40")
    assert call("run", "recipe.yaml", *far)[0] == 3
    folder = call_json("run", "recipe.yaml", *far)[1]["folder"]
    assert call("report", folder)[0] == 3


def test_the_demo_is_the_shipped_recipe(workspace: Path) -> None:
    code, out, _ = call("demo", *QUICK)
    assert code == 0 and "Training a link predictor" in out and "edges from digits" in out
    assert next((workspace / "runs" / "demo").iterdir()).is_dir()
    code, document = call_json("demo", *QUICK)
    assert code == 0 and len(document["skipped"]) == 7


def test_a_report_is_rendered_again(workspace: Path) -> None:
    folder = workspace / call_json("run", "recipe.yaml")[1]["folder"]
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    (folder / "report.md").write_text("gone")
    code, document = call_json("report", str(folder))
    assert code == 0 and Path(document["html"]).read_text() == page and "gone" not in (folder / "report.md").read_text()


def test_the_page_is_opened_where_asked(workspace: Path, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    folder = workspace / call_json("run", "recipe.yaml")[1]["folder"]
    call("report", str(folder))
    assert opened == []
    call("report", str(folder), "--open")
    assert opened == [(folder / "report.html").resolve().as_uri()]


def test_the_program_writes_one_document_and_nothing_else(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from graphforget.cli import main; main()", "run", "recipe.yaml", "--json"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "") and json.loads(done.stdout)["verdict"] == "inconclusive"
