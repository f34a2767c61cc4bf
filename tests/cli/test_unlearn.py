"""unlearn and evaluate: a saved model and a request in, a result folder out, judged and continued."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import torch

from graphforget.base import load_model
from graphforget.pipeline import find_data, load_result
from graphforget.requests import DeletionRequest
from graphforget.testing.tiny import tiny_data

from .conftest import UNLEARN, call, call_json


def test_a_result_folder_is_written_and_told_of(workspace: Path) -> None:
    code, document = call_json(
        *UNLEARN, "--method", "finetune", "-o", "epochs=2", "-o", "lr=1e-2", "-r", "epochs=5", "--seed", "4"
    )
    assert (
        code == 0
        and document["method"] == "finetune"
        and {k: document["params"][k] for k in ("epochs", "lr")} == {"epochs": 2, "lr": 0.01}
        and document["seed"] == 4
    )
    assert document["task"]["recipe"]["epochs"] == 5 and document["counts"]["removed"] == 4 and document["changed_parameters"]
    out = workspace / document["out"]
    assert json.loads((out / "result.json").read_text()) == {k: v for k, v in document.items() if k != "out"}
    model, _ = load_model(out)
    before, _ = load_model(workspace / "model")
    assert not torch.equal(model.convs[0].lin.weight, before.convs[0].lin.weight)
    kept, _ = load_model(out / "original")
    assert torch.equal(kept.convs[0].lin.weight, before.convs[0].lin.weight)


def test_people_are_told_what_changed(workspace: Path) -> None:
    code, out, err = call(*UNLEARN, "--method", "unlink")
    assert (code, err) == (0, "")
    assert "4 edges" in out and "0 of 4 parameters changed" in out and "4 removed" in out and "saved:    out" in out


def test_people_are_told_what_a_region_read(workspace: Path) -> None:
    code, out, _ = call(*UNLEARN, "--method", "finetune", "-o", "scope=region", "-o", "epochs=1")
    result = load_result(workspace / "out", find_data("links.npz", "link_prediction"), None)
    share, rows = result.info["region_share"], result.info["region_rows"]
    assert code == 0 and f"{rows} rows can change, {share:.2%} of the edge entries were read" in out


def test_auto_takes_parameters_of_the_method_it_chooses(workspace: Path) -> None:
    _, document = call_json(*UNLEARN)
    code, _, err = call(*UNLEARN, "--force", "-o", "wat=1")
    assert document["method"] != "auto" and code == 2 and "-o.wat: unknown key" in err


def test_a_result_is_continued_and_what_was_deleted_stays_deleted(workspace: Path) -> None:
    call(*UNLEARN, "--method", "finetune", "-o", "epochs=2")
    pairs = tiny_data("link_prediction").pairs()
    (workspace / "second.json").write_text(DeletionRequest.edges(pairs=pairs[10:12]).to_json())
    code, document = call_json("unlearn", "--model", "out", "--data", "links.npz", "--request", "second.json", "--out", "out2")
    assert code == 0 and len(document["earlier_requests"]) == 1
    result = load_result("out2", find_data("links.npz", "link_prediction"))
    assert len(result.split.lineage.request) == 6
    assert len(result.data.pairs()) == len(pairs) - 6
    code, _, err = call("unlearn", "--model", "out", "--data", "links.npz", "--request", "request.json", "--out", "out3")
    assert code == 2 and "forgotten" in err and not (workspace / "out3").exists()


def test_a_model_that_run_trained_brings_its_recipe_and_history(workspace: Path) -> None:
    folder = call_json("run", "recipe.yaml")[1]["folder"]
    model = f"{folder}/models/original"
    command = ["unlearn", "--model", model, *UNLEARN[3:], "--method", "unlink"]
    assert call_json(*command)[1]["task"]["recipe"]["epochs"] == 3
    assert call_json(*command, "--force", "-r", "epochs=4")[1]["task"]["recipe"]["epochs"] == 4
    code, _, err = call(*command, "--force", "--task", "node_classification")
    assert code == 2 and "was trained for task 'link_prediction'" in err


def test_a_model_of_ones_own_is_named_to_be_run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "own_net.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, width=8):\n        super().__init__()\n"
        "        self.config = {'width': width}\n        self.lin = nn.Linear(width, 4)\n\n    def forward(self, x, edge_index):\n"
        "        return self.lin(x).index_add(0, edge_index[1], self.lin(x)[edge_index[0]])\n"
    )
    monkeypatch.syspath_prepend(str(workspace))
    from own_net import Net

    from graphforget.base import save_model

    save_model(Net(), workspace / "own")
    command = [
        "unlearn",
        "--model",
        "own",
        "--data",
        "links.npz",
        "--request",
        "request.json",
        "--method",
        "finetune",
        "-o",
        "epochs=1",
    ]
    assert call(*command, "--out", "no")[0] == 2
    assert call(*command, "--out", "yes", "--model-class", "own_net:Net")[0] == 0
    code, out, _ = call("evaluate", "yes", "--data", "links.npz", "--gold", "1", "--model-class", "own_net:Net", "--json")
    assert code == 0 and json.loads(out)["verdicts"] == {"verdict": "inconclusive"}


def test_a_model_that_cannot_read_the_data_is_refused_in_a_sentence(workspace: Path) -> None:
    arrays = dict(numpy.load(workspace / "links.npz"))
    numpy.savez(workspace / "bare.npz", **{k: v for k, v in arrays.items() if k != "x"}, num_nodes=60)
    code, _, err = call("unlearn", "--model", "model", "--data", "bare.npz", "--request", "request.json", "--out", "no")
    assert code == 2 and "no node features x" in err and not (workspace / "no").exists()


def test_results_are_judged_alone_and_side_by_side(workspace: Path) -> None:
    call(*UNLEARN, "--method", "unlink", "-r", "epochs=40", "-r", "patience=null")
    call(*UNLEARN[:-1], "out2", "--method", "finetune", "-o", "epochs=1", "-r", "epochs=40", "-r", "patience=null")
    # The model was never trained, so it is far from models that were: the verdict, and with it the exit code, must say so.
    code, document = call_json("evaluate", "out", "--data", "links.npz", "--gold", "2", "--out", "judged")
    assert code == 3 and document["verdicts"] == {"verdict": "insufficient"}
    assert json.loads((workspace / "judged" / "report.json").read_text()) == document["report"]
    assert (workspace / "judged" / "report.html").is_file()
    code, document = call_json("evaluate", "out", "out2", "--data", "links.npz", "--gold", "2", "--tolerance", "1")
    assert code == 0 and set(document["verdicts"].values()) == {"sufficient"} and len(document["verdicts"]) == 2
    code, _, err = call("evaluate", "out", "--data", "karate", "--gold", "1")
    assert code == 2 and "does not fit the data" in err
    call(*UNLEARN[:-1], "out3", "--method", "unlink", "-r", "epochs=41")
    code, _, err = call("evaluate", "out", "out3", "--data", "links.npz")
    assert code == 2 and "different tasks or training recipes" in err
