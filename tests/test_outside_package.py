"""A package of others, installed with pip: its method, metric, attack and data set work like our own, wherever a name is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

import graphforget
from graphforget.base import save_model
from graphforget.cli import app
from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.models import GCN
from graphforget.pipeline import load_result, run, save_result
from graphforget.unlearners import METHODS

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "acme-forget"
version = "0.4"

[project.entry-points."graphforget.methods"]
acme_blend = "acme_forget:Blend"
acme_broken = "acme_forget.missing:Broken"

[project.entry-points."graphforget.metrics"]
acme_surprise = "acme_forget:SURPRISE"

[project.entry-points."graphforget.attacks"]
acme_gap = "acme_forget:GAP"

[project.entry-points."graphforget.datasets"]
acme_ring = "acme_forget:ring"

[tool.setuptools]
py-modules = ["acme_forget"]
"""
CODE = '''
"""What somebody else wrote."""
import torch
from torch_geometric.data import Data

from graphforget.base import Tags, Unlearner
from graphforget.base.attack import AttackRecord
from graphforget.base.metric import MetricRecord
from graphforget.metrics.divergence import confidence


class Blend(Unlearner):
    """theta <- (1 - share) theta + share theta_fresh."""

    tags = Tags("acme_blend", "Moves the weights towards fresh ones.", "acme", reads_forget=False, reads_retain=False)

    def __init__(self, *, share: float = 0.1) -> None:
        self.share = share

    def _unlearn(self, run):
        fresh = dict(run.task.new_model(run.split.retain_data, seed=run.seed).named_parameters())
        with torch.no_grad():
            for name, parameter in run.model.named_parameters():
                parameter.lerp_(fresh[name].to(parameter), self.share)


def surprise(measured):
    return -confidence(measured.output_kind, measured.outputs, measured.targets).log()


INF = float("inf")
SURPRISE = MetricRecord(
    "acme_surprise", "forgetting", (0.0, INF), "gold", False, "acme", "How surprised the model is.", compute=surprise
)
WHAT = ("confidences of deleted", "confidences of test")
GAP = AttackRecord("acme_gap", WHAT, "acme", "Deleted elements are surer.", compute=lambda a, b: float(a.mean() - b.mean()))


def ring(*, task=None, seed=0, nodes: int = 40):
    """Nodes in a circle, of two classes."""
    ids, y = torch.arange(nodes), (torch.arange(nodes) < nodes // 2).long()
    edges = torch.stack([ids, (ids + 1) % nodes])
    x = torch.randn(nodes, 6, generator=torch.Generator().manual_seed(seed)) + y.view(-1, 1)
    masks = {f"{part}_mask": ids % 5 == place for place, part in ((3, "val"), (4, "test"))}
    return Data(x=x, y=y, edge_index=torch.cat([edges, edges.flip(0)], 1), train_mask=ids % 5 < 3, **masks)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the package."""
    for needed in ("pip", "setuptools"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: a package can be neither built nor installed without a network")
    source, target = tmp_path_factory.mktemp("acme"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "acme_forget.py").write_text(CODE)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--no-cache-dir"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def installed(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process, and those that it starts, have the package; the working directory is the test's own."""
    assert "acme_blend" not in METHODS
    monkeypatch.syspath_prepend(str(site))
    paths = [str(site), str(Path(graphforget.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield site
    sys.modules.pop("acme_forget", None)


def program(*arguments: str) -> subprocess.CompletedProcess:
    """``python -m graphforget`` in a process of its own."""
    command = [sys.executable, "-m", "graphforget", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def trained() -> tuple[GCN, object, graphforget.DeletionRequest]:
    data, request = load("acme_ring"), graphforget.DeletionRequest.nodes([1, 2, 7])
    task = graphforget.make_task("node_classification", build=lambda d: GCN(6, 8, 2), recipe={"epochs": 20})
    adopted = task.adopt(data)
    model = task.new_model(adopted, seed=0)
    task.fit(model, adopted, seed=0)
    return model, data, request


def test_from_python_and_after_loading(installed: Path, tmp_path: Path) -> None:
    model, data, request = trained()
    assert load("acme-ring", nodes=10).num_nodes == 10  # hyphens are read as underscores in names of others too
    result = graphforget.unlearn(model, data, request, task="node_classification", method="acme_blend", share=0.5)
    assert result.label == "acme_blend(share=0.5)" and result.changed_parameters
    by_path = graphforget.unlearn(model, data, request, task="node_classification", method="acme_forget:Blend", share=0.5)
    pairs = zip(result.model.parameters(), by_path.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    report = graphforget.evaluate(result, gold=2, metrics=["acme_surprise"], attacks=["acme_forget:GAP"])
    roles = {row.role for row in report.rows if row.metric == "acme_surprise"}
    assert roles == {"original", "unlink", "unlearned", "gold"} == {row.role for row in report.rows if row.metric == "acme_gap"}
    assert "How surprised the model is." in report.to_markdown()
    save_result(result, tmp_path / "saved")
    sys.modules.pop("acme_forget")
    back = load_result(tmp_path / "saved", load("acme_ring"))
    assert back.to_dict() == result.to_dict() and type(back.unlearner) is METHODS["acme_blend"]
    again = back.then(graphforget.DeletionRequest.nodes([20]))
    assert again.label == "acme_blend(share=0.5)"


def test_a_broken_entry_point_is_one_sentence_and_breaks_nothing(installed: Path) -> None:
    with pytest.raises(InputError, match=r"method 'acme_broken' of the installed package acme-forget 0\.4 cannot be imported"):
        METHODS["acme_broken"]
    rows = {row["key"]: row for row in graphforget.list_methods()}
    assert rows["acme_blend"]["from"] == "acme-forget 0.4" and rows["acme_blend"]["summary"].startswith("Moves the weights")
    assert "cannot be imported" in rows["acme_broken"]["problem"] and not rows["retrain"]["problem"]


def test_from_the_command_line(installed: Path, tmp_path: Path) -> None:
    model, _, request = trained()
    save_model(model, tmp_path / "model")
    (tmp_path / "request.json").write_text(request.to_json())
    told = CliRunner().invoke(app, ["list", "methods"])  # in this process, which is quicker
    assert told.exit_code == 0 and len([line for line in told.stdout.splitlines() if "acme-forget 0.4" in line]) == 2
    options = ["--data", "acme_ring", "--task", "node_classification", "--request", "request.json", "--out", "out", "--json"]
    done = program("unlearn", "--model", "model", "--method", "acme_blend", "-o", "share=0.5", *options)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (
        record["method"] == "acme_blend" and record["params"] == {"share": 0.5} and record["info"]["data"]["name"] == "acme_ring"
    )
    further = ["--metric", "acme_surprise", "--attack", "acme_gap", "--gold", "1", "--json"]
    judged = CliRunner().invoke(app, ["evaluate", "out", "--data", "acme_ring", *further])
    assert judged.exit_code in (0, 3), judged.output
    metrics = {row["metric"] for row in json.loads(judged.stdout)["report"]["rows"]}
    assert {"acme_surprise", "acme_gap"} <= metrics


def test_from_a_recipe(installed: Path, tmp_path: Path) -> None:
    recipe = {
        "name": "ring",
        "data": {"name": "acme_ring", "nodes": 30},
        "task": {"name": "node_classification", "recipe": {"epochs": 5, "patience": None}},
        "model": {"name": "gcn", "hidden_channels": 8},
        "request": {"target": "node", "ids": [1, 6]},
        "unlearner": {"method": "acme_blend", "share": 0.5},
        "compare": [{"method": "acme_forget:Blend", "share": 0.2}],
        "evaluate": {"gold": 1, "metrics": ["acme_surprise"], "attacks": ["acme_gap"]},
    }
    (tmp_path / "ring.yaml").write_text(yaml.safe_dump(recipe))
    done = run("ring.yaml")
    labels = {row.method for row in done.report.rows if row.metric == "acme_surprise" and row.role == "unlearned"}
    assert labels == {"acme_blend(share=0.5)", "acme_blend(share=0.2)"} and done.report.values("gold", "acme_gap")
    with pytest.raises(InputError, match=r"unlearner.shre: unknown key; did you mean 'share'\?"):
        run(recipe | {"unlearner": {"method": "acme_blend", "shre": 0.5}})
    assert len(run("ring.yaml").skipped) == 7


def test_without_the_package_every_name_is_a_sentence(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(site))
        model, data, request = trained()
        result = graphforget.unlearn(model, data, request, task="node_classification", method="acme_blend")
        save_result(result, tmp_path / "saved")
        data = result.split.lineage.data
    sys.modules.pop("acme_forget")
    with pytest.raises(InputError, match="made by a method that is not known here: unknown method 'acme_blend'"):
        load_result(tmp_path / "saved", data)
    with pytest.raises(InputError, match="unknown dataset 'acme_ring'"):
        load("acme_ring")
    with pytest.raises(InputError, match="unknown metric 'acme_surprise'"):
        graphforget.evaluate(result, gold=1, metrics=["acme_surprise"])
