"""Tables of recommenders are of one configuration and compare like with like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Benchmarks are scripts beside each other, not a package.
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def record(seed: int, config: str, recall: float, *, part: str = "methods", **more: Any) -> dict[str, Any]:
    cell = {"part": part, "dataset": "tastes", "model": "mgcn", "target": "item", "where": "random", "size": 0.05, "seed": seed}
    figures = {
        "recall@20/test": recall,
        "gap_same_item_auc/deleted": 0.5 - recall,
        "gap_same_item_auc_matched/deleted": 0.5 - recall,
        "neighbourhood_overlap/forgotten items": recall,
        "cpu_seconds/all": 1.0,
    }
    facts = {"removed": 10, "gold_cpu_seconds": 20.0, "figures": figures, "role": "unlearned", "label": "row_reset"}
    return {"cell": cell, "config": config, **facts, **more}


def test_records_of_an_earlier_configuration_are_in_no_mean() -> None:
    from tables_recommendation import tables

    old = [record(seed, "old", 0.9) for seed in (1, 2)]
    new = [record(seed, "new", 0.1) for seed in (2, 3)]  # other seeds as well: those of the old one are not run again
    assert tables(old + new) == tables(new) and "2 seeds" in tables(new)["methods"]
    assert tables(new + old) == tables(old) != tables(new)
    other = record(1, "old", 0.9)
    other["cell"] = other["cell"] | {"size": 0.01}
    assert "1 % of items" in tables([other, *new])["methods"]  # another request keeps its own last configuration


def test_a_front_compares_settings_on_the_same_seeds() -> None:
    from tables_recommendation import blocks, front_table

    def point(seed: int, alpha: float, recall: float) -> dict[str, Any]:
        where = {"graph": "retained", "alpha": alpha, "lr": 0.01, "epochs": 1}
        one = record(seed, "a", recall, part="grid", point=where, label=f"mmrecun(alpha={alpha})")
        one["cell"] = one["cell"] | {"alpha": alpha, "graph": "retained", "lr": 0.01}
        return one

    grid = [point(seed, 0.1, 0.1 * seed) for seed in (1, 2, 3)] + [point(1, 0.5, 0.05)]
    found = blocks(grid)
    assert list(found) == [", seeds 1, 2, 3", ", seed 1"]
    three, one = found.values()
    assert {r["point"]["alpha"] for r in three} == {0.1} and len(three) == 3
    assert {(r["point"]["alpha"], r["cell"]["seed"]) for r in one} == {(0.1, 1), (0.5, 1)}
    methods = [record(seed, "a", 0.08 if seed == 1 else 0.4) for seed in (1, 2, 3)]
    # On seed 1 alone the rival is beaten by one setting; its better seeds do not count there.
    lines = [line for line in front_table(one, methods) if line[0] == "`row_reset`"]
    assert lines[0][6] == "0.0800" and "dominates 1 of 2 settings, is dominated by 1" in lines[0][-1]
