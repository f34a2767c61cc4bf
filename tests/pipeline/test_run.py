"""Runs: finished stages are not done again, a killed run continues, and both ways end the same."""

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

from graphforget.exceptions import InputError, UnsupportedError
from graphforget.pipeline import STAGES, load_result, run
from graphforget.pipeline.files import read_data

from .conftest import small_config

# Runs the recipe, but stops for good once a given stage is noted as finished, so that the test can kill it there.
CHILD = """
import sys, time
from graphforget.pipeline import run
def wait(stage, step, total, values):
    if stage == sys.argv[3] and step == 0:
        time.sleep(600)
run(sys.argv[1], folder=sys.argv[2], progress=wait)
"""


def figures(report: Any) -> list[tuple[Any, ...]]:
    """Every row that does not depend on the clock."""
    return [
        (r.role, r.method, r.context, r.subset, r.metric, r.seed, r.value)
        for r in report.rows
        if "seconds" not in r.metric and r.metric not in ("speedup", "peak_memory_mb")
    ]


def times(path: Path) -> dict[str, int]:
    """How often each stage was started."""
    return {name: stage["times"] for name, stage in json.loads((path / "status.json").read_text())["stages"].items()}


@pytest.mark.figures
def test_a_run_leaves_everything_behind_and_is_not_done_twice(tmp_path) -> None:
    config, told = small_config(tmp_path), []
    first = run(config, folder=tmp_path / "runs", progress=lambda *event: told.append(event))
    assert first.path.parent == tmp_path / "runs" / "small" and first.skipped == ()
    names = {p.relative_to(first.path).as_posix() for p in first.path.rglob("*") if p.is_file()}
    assert {
        "config.yaml",
        "environment.json",
        "request.json",
        "metrics.jsonl",
        "report.json",
        "report.md",
        "report.html",
        "figures/distance_to_gold.png",
        "status.json",
        "models/original/model.safetensors",
        "models/original/fit.json",
        "models/unlearned-finetune-0/model.safetensors",
        "models/compare0-unlink-0/result.json",
    } <= names
    assert len([n for n in names if n.startswith("models/gold-") and n.endswith(".safetensors")]) == 2
    assert {stage for stage, *_ in told} == set(STAGES) and first.status["state"] == "done"
    environment = json.loads((first.path / "environment.json").read_text())
    assert environment["seeds"] == {"original": 0, "unlearn": [0]} and environment["versions"]["torch"]
    lines = [json.loads(line) for line in (first.path / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"unlearn", "evaluate"}  # without early stopping training has no curve
    assert first.report.verdict is not None and set(first.report.meta["verdicts"]) == {"finetune(epochs=2)", "unlink"}

    again = run(first.path / "config.yaml", folder=tmp_path / "runs")
    assert again.path == first.path and again.skipped == STAGES and set(times(first.path).values()) == {1}
    other = run(config, folder=tmp_path / "runs", resume=False)
    assert other.path != first.path and figures(other.report) == figures(first.report)


def test_a_damaged_file_is_made_again_and_only_what_depends_on_it(tmp_path) -> None:
    first = run(small_config(tmp_path), folder=tmp_path / "runs")
    (first.path / "models" / "unlearned-finetune-0" / "model.safetensors").write_bytes(b"broken")
    again = run(small_config(tmp_path), folder=tmp_path / "runs")
    assert set(STAGES) - set(again.skipped) == {"unlearn"} and figures(again.report) == figures(first.report)


def test_changed_data_under_the_same_name_is_seen(tmp_path) -> None:
    import numpy

    config = small_config(tmp_path)
    first = run(config, folder=tmp_path / "runs")
    arrays = dict(numpy.load(config["data"]["file"]))
    arrays["x"] = arrays["x"] + 1
    numpy.savez(config["data"]["file"], **arrays)
    again = run(config, folder=tmp_path / "runs")
    assert again.path == first.path and "original" not in again.skipped and "gold" not in again.skipped
    assert figures(again.report) != figures(first.report)


@pytest.mark.parametrize("stage", ["unlearn", "evaluate"])
def test_a_killed_run_continues_and_ends_as_if_nothing_had_happened(tmp_path, stage: str) -> None:
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(small_config(tmp_path)))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(recipe), str(tmp_path / "runs"), stage],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GRAPHFORGET_HOME": str(tmp_path / "child_home")},
    )
    try:
        status: dict[str, Any] = {}
        deadline = time.monotonic() + 120
        while status.get("stages", {}).get(stage, {}).get("state") != "running":
            assert child.poll() is None and time.monotonic() < deadline, (
                "the run ended, or took too long, before it could be killed"
            )
            time.sleep(0.05)
            found = list((tmp_path / "runs").glob("small/*/status.json"))
            status = json.loads(found[0].read_text()) if found else {}
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    (path,) = (tmp_path / "runs" / "small").iterdir()
    finished = STAGES[: STAGES.index(stage)]
    weights = {p: p.stat().st_mtime_ns for p in path.rglob("original/model.safetensors")}

    done = run(recipe, folder=tmp_path / "runs")
    assert done.path == path and done.skipped == finished
    assert times(path) == {name: 2 if name == stage else 1 for name in STAGES}
    assert path / "models" / "original" / "model.safetensors" in weights
    assert all(p.stat().st_mtime_ns == then for p, then in weights.items() if p.parts[-3] == "models")
    assert done.status["state"] == "done"

    whole = run(recipe, folder=tmp_path / "whole")
    assert figures(done.report) == figures(whole.report) and done.report.verdict == whole.report.verdict
    for file in ("request.json", "config.yaml"):
        assert (done.path / file).read_bytes() == (whole.path / file).read_bytes()
    assert (done.path / "models/original/model.safetensors").read_bytes() == (
        whole.path / "models/original/model.safetensors"
    ).read_bytes()


def test_several_seeds_judge_the_method(tmp_path) -> None:
    done = run(small_config(tmp_path), overrides=["seeds.unlearn=[0, 1, 2]", "compare=[]"], folder=tmp_path / "runs")
    assert {r.seed for r in done.report.rows if r.role == "unlearned"} == {0, 1, 2} and done.report.verdict is not None


def test_a_trained_model_is_taken_as_it_is(tmp_path) -> None:
    first = run(small_config(tmp_path), folder=tmp_path / "runs")
    saved = first.path / "models" / "original"
    config = small_config(tmp_path) | {"name": "given", "model": {"folder": str(saved)}}
    given = run(config, folder=tmp_path / "runs")
    assert (given.path / "models/original/model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()
    weights = config | {
        "name": "weights",
        "model": {"name": "gcn", "hidden_channels": 8, "out_channels": 4, "weights": str(saved / "model.safetensors")},
    }
    assert figures(run(weights, folder=tmp_path / "runs").report) == figures(given.report) == figures(first.report)


def test_results_in_a_run_folder_are_results(tmp_path) -> None:
    config = small_config(tmp_path)
    done = run(config, folder=tmp_path / "runs")
    result = load_result(done.path / "models" / "unlearned-finetune-0", read_data(config["data"]["file"]))
    assert result.method == "finetune" and len(result.split.removed) == 5 and result.changed_parameters


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("request={file: nowhere.json}", InputError, "cannot read the request file"),
        ("request={target: edge, ids: [[0, 59]]}", InputError, "0, 59"),
        ("request={target: node, ids: [77]}", InputError, "77"),
        ("request={target: sample, ids: [7]}", InputError, "cannot forget 'sample' targets"),
        ("request.where=randm", InputError, "request.where: there is no 'randm' for edge targets; did you mean 'random'?"),
        ("request.hops=2", InputError, "request.hops: unknown key"),
        ("request={target: interaction, where: random, size: 2}", InputError, "cannot be drawn; name them"),
        ("data.file=nowhere.npz", InputError, "there is no data file 'nowhere.npz'"),
        ("model={folder: nowhere}", InputError, "nowhere"),
        ("model={name: mlp}", InputError, "MLP"),
        ("task={name: node_classification}", InputError, "labels y"),
        ("unlearner={method: auto, wat: 1}", InputError, "unlearner.wat: unknown key"),
    ],
)
def test_bad_input_stops_before_anything_is_written(tmp_path, override: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        run(small_config(tmp_path), overrides=[override], folder=tmp_path / "runs")
    assert message in str(caught.value) and not (tmp_path / "runs").exists()


def test_a_method_that_cannot_is_refused_before_training(tmp_path) -> None:
    config = {
        "data": {"name": "digits_images"},
        "task": {"name": "image_classification"},
        "model": {"name": "mlp"},
        "request": {"target": "sample", "where": "random", "size": 3},
        "unlearner": {"method": "unlink"},
    }
    with pytest.raises(UnsupportedError):
        run(config, folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_failure_is_noted_in_the_status(tmp_path, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no golds today")

    monkeypatch.setattr(
        sys.modules["graphforget.pipeline.run"], "gold_models", broken
    )  # the package exports a function of that name
    with pytest.raises(RuntimeError):
        run(small_config(tmp_path), folder=tmp_path / "runs")
    (status,) = (tmp_path / "runs").glob("small/*/status.json")
    content = json.loads(status.read_text())
    assert (content["state"], content["message"], content["stages"]["gold"]["state"]) == ("failed", "no golds today", "running")


def test_further_metrics_and_attacks_of_a_recipe_stand_in_the_report(tmp_path: Path) -> None:
    config = small_config(tmp_path) | {"evaluate": {"gold": 2}}
    done = run(config, overrides=["evaluate.attacks=[lira]"], folder=tmp_path / "runs")
    assert done.report.values("unlearned", "lira_mia_auc", "deleted") and "How to read" in (done.path / "report.md").read_text()
    again = run(config, overrides=["evaluate.attacks=[lira]"], folder=tmp_path / "runs")
    assert len(again.skipped) == 7
    other = run(config, folder=tmp_path / "runs")
    assert not other.report.values("unlearned", "lira_mia_auc")


def test_changed_code_of_others_is_run_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from dataclasses import replace\nfrom graphforget.unlearners import Unlink\nclass Mine(Unlink):\n"
        "    tags = replace(Unlink.tags, key='run_mine')\n"
    )
    (tmp_path / "run_own.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = small_config(tmp_path) | {"evaluate": {"gold": 1}, "unlearner": {"method": "run_own:Mine"}}
    first = run(config, folder=tmp_path / "runs")
    assert first.report.meta["methods"][0]["method"] == "run_mine" and not first.skipped
    assert len(run(config, folder=tmp_path / "runs").skipped) == 7
    (tmp_path / "run_own.py").write_text(code + "# another line\n")
    sys.modules.pop("run_own")
    again = run(config, folder=tmp_path / "runs")
    assert again.path == first.path and set(again.skipped) & {"unlearn", "evaluate"} == set() and "original" in again.skipped
    sys.modules.pop("run_own")
