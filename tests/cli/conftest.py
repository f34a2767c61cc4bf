"""A workspace as a user has it: a saved model and a saved recommender, a data file, a request, a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import yaml
from typer.testing import CliRunner

from graphforget.base import save_model
from graphforget.cli import app
from graphforget.models import BPRMF, GCN
from graphforget.requests import DeletionRequest
from graphforget.testing.tiny import tiny_data

UNLEARN = ["unlearn", "--model", "model", "--data", "links.npz", "--request", "request.json", "--out", "out"]


@pytest.fixture(autouse=True)
def workspace(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, no_figures: None
) -> Path:
    """The working directory of the test."""
    import torch

    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path_factory.getbasetemp() / "cli_home"))
    monkeypatch.chdir(tmp_path)
    data = tiny_data("link_prediction")
    numpy.savez(
        tmp_path / "links.npz",
        **{k: v.numpy() for k, v in ({"edge_index": data.edge_index, "x": data.x} | dict(data.splits)).items()},
    )
    torch.manual_seed(0)
    save_model(GCN(8, 8, 4), tmp_path / "model")
    save_model(BPRMF(300, 400, 4), tmp_path / "shop")  # for the data "tastes"
    (tmp_path / "request.json").write_text(DeletionRequest.edges(pairs=data.pairs()[:4]).to_json())
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "small",
                "data": {"file": "links.npz"},
                "task": {"name": "link_prediction", "recipe": {"epochs": 3, "patience": None}},
                "model": {"name": "gcn", "hidden_channels": 8, "out_channels": 4},
                "request": {"file": "request.json"},
                "unlearner": {"method": "unlink"},
                "evaluate": {"gold": 1},
            },
            sort_keys=False,
        )
    )
    return tmp_path


def call(*args: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of the program; a traceback fails the test that calls."""
    result = CliRunner().invoke(app, list(args), prog_name="graphforget")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def call_json(*args: str) -> tuple[int, dict]:
    """(exit code, the one document on standard output)."""
    code, out, err = call(*args, "--json")
    assert err == ""
    return code, json.loads(out)
