"""A sweep does what is missing, once: killed, continued, changed, in one process and in several."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import graphforget
from graphforget.exceptions import InputError
from graphforget.sweeps import read_records, sweep
from graphforget.unlearners import METHODS

from .conftest import figures, small_grid

CLI = [sys.executable, "-c", "from graphforget.cli import main; main()"]


def files(folder: Path) -> dict[str, int]:
    """When every cell was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.jsonl")}


def test_a_killed_sweep_continues_where_it_stopped(tmp_path, own_methods) -> None:
    grid = tmp_path / "small.yaml"
    requests = [{"target": kind, "where": "random", "size": 2} for kind in ("node", "edge")]
    content = small_grid(requests=requests, seeds=[0, 1, 2], methods=["finetune", "mmrecun", "own_methods:Nudge"])
    grid.write_text(yaml.safe_dump(content))
    path = os.pathsep.join([str(own_methods.parent), str(Path(graphforget.__file__).parents[1])])
    command = [*CLI, "sweep", str(grid), "--folder", str(tmp_path / "sweeps"), "--workers", "1"]
    folder = tmp_path / "sweeps" / "small"
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(12_000):  # as long as a busy machine needs
            if child.poll() is not None or ((folder / "cells").is_dir() and files(folder)):
                break
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    first = files(folder)
    assert 1 <= len(first) < 6, "the sweep was killed too early or too late"
    for file in (folder / "cells").glob("*.jsonl"):  # whole or not at all
        assert {json.loads(line)["role"] for line in file.read_text().splitlines()} >= {
            "original",
            "gold",
            "unlearned",
            "refused",
        }

    told: list[Any] = []
    done = sweep(grid, folder=tmp_path / "sweeps", progress=lambda number, total, outcome: told.append(outcome))
    # The worker ends with the sweep, but may have finished a cell before it noticed.
    assert done.ran == len(told) <= 6 - len(first) and done.ran + done.skipped == 6 and not done.lost
    assert {name: at for name, at in files(folder).items() if name in first} == first

    whole = sweep(content, folder=tmp_path / "again")
    assert figures(done.records) == figures(whole.records) != {}
    assert {r["label"] for r in done.records if r["role"] == "unlearned"} == {
        "identity",
        "unlink",
        "finetune",
        "nudge",
        "retrain",
    }
    assert sum(r["role"] == "refused" for r in done.records) == 6
    assert sweep(grid, folder=tmp_path / "sweeps").ran == 0
    assert read_records(folder) == done.records


def test_a_changed_grid_runs_what_is_new_in_it(tmp_path) -> None:
    first = sweep(small_grid(), folder=tmp_path)
    assert (first.ran, first.skipped) == (1, 0)
    before = files(first.folder)
    more = sweep(small_grid(methods=["finetune", "gnndelete"], seeds=[0, 1]), folder=tmp_path)
    assert (more.ran, more.skipped) == (2, 0)
    assert {key: value for key, value in figures(more.records).items() if key in figures(first.records)} == figures(first.records)
    stamps = {r["label"]: r["provenance"]["time"] for r in more.records if r["cell"]["seed"] == 0 and r["entry"] is not None}
    assert stamps["finetune"] == {r["label"]: r["provenance"]["time"] for r in first.records}["finetune"]
    fewer = sweep(small_grid(methods=["gnndelete"]), folder=tmp_path)
    assert fewer.ran == 0 and "finetune" not in {r["label"] for r in fewer.records}
    other = sweep(small_grid(methods=[{"method": "finetune", "epochs": 2}]), folder=tmp_path)
    assert other.ran == 1 and set(before) <= set(files(other.folder))
    renamed = sweep(small_grid(models={"small": {"name": "gcn", "hidden_channels": 4}}), folder=tmp_path)
    assert renamed.ran == 0 and {r["cell"]["model"] for r in renamed.records} == {"small"}


def test_a_method_whose_code_changed_is_run_again(tmp_path, own_methods) -> None:
    grid = small_grid(methods=["own_methods:Nudge", "finetune"])
    before = figures(sweep(grid, folder=tmp_path).records)
    assert sweep(grid, folder=tmp_path).ran == 0
    own_methods.write_text(own_methods.read_text().replace("alpha=self.size", "alpha=2 * self.size"))
    sys.modules.pop("own_methods")
    again = sweep(grid, folder=tmp_path)
    assert again.ran == 1
    after = figures(again.records)
    assert {key[5] for key in after if after[key] != before[key]} == {"nudge"}


def test_failures_are_kept_and_run_again_when_asked(tmp_path, own_methods) -> None:
    grid = small_grid(methods=["own_methods:Breaks"])
    first = sweep(grid, folder=tmp_path)
    assert [r["role"] for r in first.records if r["label"] == "breaks"] == ["failed"] and not first.lost
    assert sweep(grid, folder=tmp_path).ran == 0 and sweep(grid, folder=tmp_path, retry=True).ran == 1


def test_a_worker_that_dies_takes_its_cell_with_it_and_nothing_else(tmp_path, own_methods) -> None:
    grid = small_grid(methods=["own_methods:Lost"], seeds=[0, 1, 2])
    done = sweep(grid, folder=tmp_path, workers=2)
    assert done.ran == 3 and {r["cell"]["seed"] for r in done.records} == {0, 2}
    assert [(one["cell"]["seed"], one["reason"]) for one in done.lost] == [(1, "its process was killed by SIGKILL")]
    assert "seed 1" not in done.to_markdown() and "karate, gcn, 2 nodes, 1: its process was killed" in done.to_markdown()
    here = sweep(small_grid(methods=["own_methods:Lost"], seeds=[0, 2]), folder=tmp_path / "here")
    assert figures(here.records) == figures(done.records)  # the number of workers changes no figure
    fixed = own_methods.read_text().replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")
    own_methods.write_text(fixed)
    sys.modules.pop("own_methods")
    again = sweep(grid, folder=tmp_path)
    assert not again.lost and {r["cell"]["seed"] for r in again.records if r["label"] == "lost"} == {0, 1, 2}


def test_a_cell_that_cannot_be_had_is_told_and_the_others_go_on(tmp_path) -> None:
    requests = [{"target": "node", "where": "random", "size": 1000}, {"target": "node", "where": "random", "size": 2}]
    done = sweep(small_grid(requests=requests), folder=tmp_path)
    assert len(done.lost) == 1 and "1,000" in done.lost[0]["reason"]
    assert {r["cell"]["request"] for r in done.records} == {"2 nodes"}


def test_smoke_keeps_nothing_and_tables_alone_run_nothing(tmp_path) -> None:
    grid = small_grid(seeds=[0, 1, 2], smoke={"seeds": [5]})
    done = sweep(grid, folder=tmp_path, smoke=True)
    assert done.ran == 1 and done.records and list(tmp_path.glob("small*")) == []
    nothing = sweep(grid, folder=tmp_path, run=False)
    assert nothing.ran == 0 and nothing.records == [] and "small" in (nothing.folder / "tables.md").read_text()


def test_workers_must_be_a_number_of_processes(tmp_path) -> None:
    with pytest.raises(InputError, match="workers must be 0 or more, got -1"):
        sweep(small_grid(), folder=tmp_path, workers=-1)


def test_names_of_this_process_are_not_for_workers(tmp_path, own_methods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_added", {})
    METHODS.add("nudge", "own_methods:Nudge")
    grid = small_grid(methods=["nudge"])
    with pytest.raises(
        InputError, match="'nudge' was added in this process, and workers do not know it: write 'own_methods:Nudge'"
    ):
        sweep(grid, folder=tmp_path, workers=1)
    assert "nudge" in {r["label"] for r in sweep(grid, folder=tmp_path).records}


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import graphforget\ngraphforget.sweep({small_grid()!r}, folder={str(tmp_path / 'sweeps')!r}, workers=1)\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(graphforget.__file__).parents[1])}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0 and "if __name__ == '__main__'" in done.stderr.splitlines()[-1]
