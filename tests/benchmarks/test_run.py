"""Every benchmark runs from end to end on small sizes, and a finished cell is not run again."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .conftest import BENCHMARKS


def call(*args: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "run.py"), *args], capture_output=True, text=True, timeout=900, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dblp_edges", "cora_nodes", "rec_tiktok", "rec_bookcrossing", "rec_cf"])
def test_a_grid_runs_small(name: str) -> None:
    code, out, err = call(name, "--smoke", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["lost"] == [] and document["folder"] is None
    assert {r["label"] for r in document["records"] if r["role"] == "unlearned"} >= {"identity", "retrain"}
    assert not [r for r in document["records"] if r["role"] == "failed"]


@pytest.mark.slow
def test_the_parts_of_recommenders_run_small() -> None:
    code, out, err = call("rec_tiktok_parts", "--smoke", "--json")
    assert code == 0, err
    records = json.loads(out)
    assert {r["cell"]["part"] for r in records} == {"quality", "sequence", "grid"}
    (chain,) = [r for r in records if r["cell"]["part"] == "sequence"]
    assert [p["request"] for p in chain["points"] if p["metric"] == "recall@20"] == [1, 2, 4] and len(chain["cpu_seconds"]) == 4
    path = [r["point"] for r in records if r["cell"]["part"] == "grid"]
    assert [(point["alpha"], point["epochs"]) for point in path] == [(0.1, 1), (0.1, 2), (0.9, 1), (0.9, 2)]
    (quality,) = [r for r in records if r["cell"]["part"] == "quality"]
    assert len(quality["validation"]) == 2 and quality["figures"]["recall@20/test"] > 0


@pytest.mark.slow
def test_an_epoch_on_the_path_is_a_shorter_run_draw_for_draw() -> None:
    from recommendation import along_the_path

    from graphforget.testing import tiny_case
    from graphforget.unlearners import MMRecUn

    case = tiny_case("recommendation")
    split = case.task.split(case.data, case.requests["items"])
    results = along_the_path({"alpha": 0.3, "lr": 0.01}, 3, case.model(), case.task, split, 0)
    for number, result in enumerate(results, 1):
        plain = MMRecUn(alpha=0.3, lr=0.01, epochs=number).unlearn(case.model(), case.task, split, seed=0)
        assert result.params["epochs"] == number and result.label == plain.label
        assert all(a.equal(b) for a, b in zip(result.model.parameters(), plain.model.parameters(), strict=True))


def test_cells_that_are_there_are_skipped() -> None:
    from run import run_missing

    class Experiment:
        ran: list[int] = []

        def cells(self, config: Any) -> list[dict[str, Any]]:
            return [{"n": n} for n in (1, 2, 3)]

        def digest(self, config: Any, cell: Any) -> str:
            return f"{config['of']}"

        def run_cell(self, config: Any, cell: Any, say: Any) -> list[dict[str, Any]]:
            self.ran.append(cell["n"])
            return [{"value": cell["n"]}]

    records: list[dict[str, Any]] = []
    experiment = Experiment()
    run_missing(experiment, {"of": "a"}, {"n": [1, 3]}, records, records.extend, lambda text: None)
    run_missing(experiment, {"of": "a"}, {}, records, records.extend, lambda text: None)
    assert experiment.ran == [1, 3, 2] and len(records) == 3
    run_missing(experiment, {"of": "b"}, {"n": [2]}, records, records.extend, lambda text: None)
    assert experiment.ran[-1] == 2 and len(records) == 4


def test_a_cut_off_line_is_dropped_and_a_broken_one_refused(tmp_path) -> None:
    from run import read

    from graphforget.exceptions import InputError

    file = tmp_path / "a.jsonl"
    file.write_text('{"a": 1}\n{"a": 2')
    assert read(file) == [{"a": 1}] and file.read_text() == '{"a": 1}\n'
    file.write_text('{"a": 1\n{"a": 2}\n')
    with pytest.raises(InputError, match="line 1 of"):
        read(file)


def test_unknown_names_are_told_in_one_sentence() -> None:
    code, _, err = call("dblp_edge")
    assert code == 2 and "did you mean 'dblp_edges'" in err and err.count("\n") == 1
    code, _, err = call("rec_cf_parts", "--smoke")
    assert code == 2 and "names no sizes for --smoke" in err
