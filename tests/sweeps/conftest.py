"""A grid that runs in a second, and methods of a user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

METHODS = '''
"""Methods of somebody who uses graphforget."""

import os
import signal

import torch

from graphforget.base import Tags, Unlearner


class Nudge(Unlearner):
    """Adds noise to every weight."""

    tags = Tags(key="nudge", summary="Adds noise to every weight.", citation="nobody")

    def __init__(self, *, size=0.01):
        self.size = size

    def _unlearn(self, run):
        with torch.no_grad():
            for parameter in run.model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=run.generator), alpha=self.size)


class Breaks(Unlearner):
    """Has a mistake."""

    tags = Tags(key="breaks", summary="Has a mistake.", citation="nobody")

    def _unlearn(self, run):
        raise RuntimeError("a matrix is singular")


class Lost(Unlearner):
    """Takes its process with it on one seed."""

    tags = Tags(key="lost", summary="Takes its process with it on one seed.", citation="nobody")

    def _unlearn(self, run):
        if run.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)


class Diverges(Unlearner):
    """Leaves weights that cannot be read."""

    tags = Tags(key="diverges", summary="Leaves weights that cannot be read.", citation="nobody")

    def _unlearn(self, run):
        for parameter in run.model.parameters():
            parameter.data = parameter.data[:1]
'''


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trained model of another test is found."""
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "home"))


@pytest.fixture
def own_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file ``own_methods.py`` that can be imported."""
    file = tmp_path / "lib" / "own_methods.py"
    file.parent.mkdir()
    file.write_text(METHODS)
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.delitem(sys.modules, "own_methods", raising=False)
    yield file
    sys.modules.pop("own_methods", None)


def small_grid(**changes: Any) -> dict[str, Any]:
    """Karate, a short training, two golds."""
    grid = {
        "name": "small",
        "task": {"name": "node_classification", "recipe": {"epochs": 5}},
        "data": ["karate"],
        "models": {"gcn": {"hidden_channels": 4}},
        "requests": [{"target": "node", "where": "random", "size": 2}],
        "methods": ["finetune"],
        "seeds": [0],
        "evaluate": {"gold": 2},
    }
    return grid | changes


def figures(records: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, float]]:
    """What does not depend on the clock, by cell and line of the table."""
    return {
        (*r["cell"].values(), r["role"], r["label"], r.get("model_seed")): {
            name: value for name, value in r["figures"].items() if not name.endswith("/all") or name.startswith("forward")
        }
        for r in records
        if "figures" in r
    }
