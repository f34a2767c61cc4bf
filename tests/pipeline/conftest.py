"""A small run: 60 nodes, a few epochs, a cache of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from graphforget.testing.tiny import tiny_data


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, no_figures: None) -> None:
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path_factory.mktemp("home")))


def write_links(path: Path) -> Path:
    """The tiny link data as a .npz file."""
    data = tiny_data("link_prediction")
    arrays = {"edge_index": data.edge_index, "x": data.x} | dict(data.splits)
    numpy.savez(path, **{name: tensor.numpy() for name, tensor in arrays.items()})
    return path


def small_config(folder: Path) -> dict[str, Any]:
    """A complete recipe on the tiny link data: two methods, two golds, no early stopping."""
    return {
        "name": "small",
        "data": {"file": str(write_links(folder / "links.npz"))},
        "task": {"name": "link_prediction", "recipe": {"epochs": 6, "lr": 0.02, "patience": None}},
        "model": {"name": "gcn", "hidden_channels": 8, "out_channels": 4},
        "request": {"target": "edge", "where": "random", "size": 5},
        "unlearner": {"method": "finetune", "epochs": 2},
        "compare": [{"method": "unlink"}],
        "evaluate": {"gold": 2},
    }
