"""The pages' tables are those of the committed results; fronts compare like with like."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import BENCHMARKS

ROOT = BENCHMARKS.parent


def test_every_table_of_the_pages_is_what_the_committed_results_say(tmp_path: Path) -> None:
    from tables import write_tables

    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "results").symlink_to(BENCHMARKS / "results")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    write_tables(tmp_path)
    pages = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "<!-- end " in page.read_text(encoding="utf-8")]
    assert len(pages) >= 2
    for page in pages:
        written = (tmp_path / page.relative_to(ROOT)).read_text(encoding="utf-8")
        assert written == page.read_text(encoding="utf-8"), f"{page}: run benchmarks/run.py --tables"


def test_every_mark_of_the_pages_is_a_part_of_a_benchmark(tmp_path: Path) -> None:
    import re

    from run import read
    from tables import parts_of

    results = sorted((BENCHMARKS / "results").glob("*.jsonl"))
    known = {f"{file.stem}: {part}" for file in results for part, text in parts_of(file.stem, read(file)).items() if text}
    for page in (ROOT / "docs").rglob("*.md"):
        marks = re.findall(r"<!-- end (\w+: [\w ]+) -->", page.read_text(encoding="utf-8"))
        assert set(marks) <= known, page


@pytest.mark.parametrize("name", sorted(path.stem for path in (BENCHMARKS / "configs").glob("*.yaml")))
def test_every_configuration_is_valid(name: str) -> None:
    import yaml
    from recommendation import cells
    from run import EXPERIMENTS

    from graphforget.sweeps import load_grid
    from graphforget.sweeps.plan import plan

    file = BENCHMARKS / "configs" / f"{name}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if "experiment" not in content:
        assert plan(load_grid(file)) and plan(load_grid(file, smoke=True))
    elif content["experiment"] == "recommendation":
        assert all(cell["dataset"] and cell["part"] for cell in cells(content))
    else:
        assert content["experiment"] in EXPERIMENTS


def record(seed: int, recall: float, *, part: str = "methods", **more: Any) -> dict[str, Any]:
    cell = {"part": part, "dataset": "tastes", "model": "mgcn", "target": "item", "where": "random", "size": 0.05, "seed": seed}
    figures = {
        "recall@20/test": recall,
        "gap_same_item_auc/deleted": 0.5 - recall,
        "gap_same_item_auc_matched/deleted": 0.5 - recall,
        "neighbourhood_overlap/forgotten items": recall,
        "cpu_seconds/all": 1.0,
    }
    facts = {"removed": 10, "gold_cpu_seconds": 20.0, "figures": figures, "role": "unlearned", "label": "row_reset"}
    return {"cell": cell, "config": "a", **facts, **more}


def test_a_front_compares_settings_on_the_same_seeds() -> None:
    from tables_recommendation import blocks, front

    from graphforget.sweeps.records import present

    def point(seed: int, alpha: float, recall: float) -> dict[str, Any]:
        where = {"graph": "retained", "alpha": alpha, "lr": 0.01, "epochs": 1}
        one = record(seed, recall, part="grid", point=where, label=f"mmrecun(alpha={alpha})")
        one["cell"] = one["cell"] | {"alpha": alpha, "graph": "retained", "lr": 0.01}
        return one

    grid = [point(seed, 0.1, 0.1 * seed) for seed in (1, 2, 3)] + [point(1, 0.5, 0.05)]
    found = blocks(grid)
    assert list(found) == ["seeds 1, 2, 3", "seed 1"]
    three, one = found.values()
    assert {r["point"]["alpha"] for r in three} == {0.1} and len(three) == 3
    assert {(r["point"]["alpha"], r["cell"]["seed"]) for r in one} == {(0.1, 1), (0.5, 1)}
    methods = present([record(seed, 0.08 if seed == 1 else 0.4) for seed in (1, 2, 3)])
    # On seed 1 alone the rival is beaten by one setting; its better seeds do not count there.
    (line,) = [line for line in front(one, methods).splitlines() if "`row_reset`" in line]
    assert "| 0.0800 |" in line and "dominates 1 of 2 settings, is dominated by 1 |" in line
