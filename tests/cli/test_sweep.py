"""sweep: tables and ranks for people, one JSON document, the exit code of lost cells, bad input in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import call, call_json

GRID = """
task: {name: node_classification, recipe: {epochs: 5}}
data: [karate]
models: {gcn: {hidden_channels: 4}}
requests: [{target: node, where: random, size: 2}]
methods: [finetune, mmrecun]
seeds: [0, 1]
evaluate: {gold: 2}
smoke: {seeds: [7]}
"""


@pytest.fixture
def grid(workspace: Path) -> Path:
    (workspace / "grid.yaml").write_text(GRID)
    return workspace


def test_a_grid_gives_tables_and_is_not_run_twice(grid: Path) -> None:
    code, out, err = call("sweep", "grid.yaml")
    assert code == 0 and "[2/2] karate, gcn, 2 nodes, seed 1:" in err and "1 refused" in err
    assert "mean rank" in out and "retrain" in out and "2 cells run, 0 there before" in out
    folder = grid / "sweeps" / "grid"
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"grid.yaml", "records.jsonl", "tables.md", "ranks.csv", "ranks.png", "karate-gcn-2-nodes.md"} <= names
    assert {"karate-gcn-2-nodes.csv", "karate-gcn-2-nodes.tex"} <= names
    assert "`mmrecun` refuses: it serves recommendation" in (folder / "tables.md").read_text()
    code, document = call_json("sweep", "grid.yaml", "--only", "seed=0", "--only", "seed=1")
    assert (code, document["ran"], document["skipped"], document["lost"]) == (0, 0, 2, [])
    assert len(document["records"]) == len((folder / "records.jsonl").read_text().splitlines())
    assert all(json.loads(line)["provenance"]["threads"] == 1 for line in (folder / "records.jsonl").read_text().splitlines())


def test_smoke_and_tables_alone(grid: Path) -> None:
    code, document = call_json("sweep", "grid.yaml", "--smoke", "--only", "method=finetune")
    assert code == 0 and document["folder"] is None and {r["cell"]["seed"] for r in document["records"]} == {7}
    assert not (grid / "sweeps").exists()
    code, out, _ = call("sweep", "grid.yaml", "--tables", "--folder", "elsewhere")
    assert code == 0 and "0 cells run" in out and (grid / "elsewhere" / "grid" / "tables.md").is_file()


def test_lost_cells_are_told_and_end_with_1(grid: Path) -> None:
    code, out, err = call("sweep", "grid.yaml", "-o", "requests.0.size=500", "--only", "seed=0")
    assert code == 1 and "1 without records" in out and "there are 20 training nodes" in out and "lost: cannot draw 500" in err
    assert call("sweep", "grid.yaml", "-o", "requests.0.size=500", "--tables")[0] == 1
