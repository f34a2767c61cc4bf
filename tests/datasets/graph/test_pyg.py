"""Graphs of PyG: found locally without a write, checked before they are read, kept when downloaded."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_geometric.datasets

from graphforget.datasets import load
from graphforget.datasets.graph import pyg
from graphforget.exceptions import InputError

NODES = 30


def _raw_file(folder, name="roman_empire"):
    """A tiny file in the layout of the heterophilous graphs: a ring with three splits."""
    folder.mkdir(parents=True)
    ring = np.arange(NODES)
    masks = np.stack([np.roll(ring < 10, 10 * i) for i in range(3)])
    np.savez(
        folder / f"{name}.npz",
        node_features=np.eye(NODES, 4, dtype=np.float32),
        node_labels=ring % 3,
        edges=np.stack([ring, np.roll(ring, -1)], 1),
        train_masks=masks,
        val_masks=np.roll(masks, 10, 1),
        test_masks=np.roll(masks, 20, 1),
    )
    return folder / f"{name}.npz"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache, no local data, and the tiny graph announced as roman_empire."""
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAPHFORGET_DATA", raising=False)
    spec = replace(pyg.SPECS["roman_empire"], counts=(NODES, 2 * NODES, 4, 3), columns=3)
    monkeypatch.setitem(pyg.SPECS, "roman_empire", spec)
    return tmp_path / "home" / "datasets"


def _local(monkeypatch, tmp_path, under="graph"):
    root = tmp_path / "local"
    path = _raw_file(root / under / "heterophilous" / "roman_empire" / "raw")
    monkeypatch.setenv("GRAPHFORGET_DATA", str(root))
    return path


@pytest.mark.parametrize("under", ["", "graph"])
def test_local_files_are_read_and_nothing_is_written_beside_them(cache, monkeypatch, tmp_path, under, capfd):
    path = _local(monkeypatch, tmp_path, under)
    path.parent.chmod(0o555)
    data = load("roman_empire")
    assert (data.num_nodes, data.name, data.undirected) == (NODES, "roman_empire", True)
    assert data.splits["train"].tolist() == list(range(10)) and data.splits["val"].tolist() == list(range(10, 20))
    assert os.listdir(path.parent) == [path.name] and os.listdir(path.parents[1]) == ["raw"]
    assert os.listdir(cache) == []
    assert capfd.readouterr() == ("", "")


def test_public_splits_and_links(cache, monkeypatch, tmp_path):
    _local(monkeypatch, tmp_path)
    assert load("roman_empire", split=1).splits["train"].tolist() == list(range(10, 20))
    with pytest.raises(InputError, match="split must be 0 to 2, got 3"):
        load("roman_empire", split=3)
    assert len(load("roman_empire", task="link_prediction").splits["test"]) == 1


def test_another_graph_under_the_name_is_refused(cache, monkeypatch, tmp_path):
    _local(monkeypatch, tmp_path)
    monkeypatch.setitem(pyg.SPECS, "roman_empire", replace(pyg.SPECS["roman_empire"], counts=(NODES, 58, 4, 3)))
    with pytest.raises(InputError, match=r"has \(30, 60, 4, 3\) .* but the published graph has \(30, 58, 4, 3\)"):
        load("roman_empire")


def test_checksums_are_checked_before_the_file_is_read(cache, monkeypatch, tmp_path):
    path = _local(monkeypatch, tmp_path)
    relative = "heterophilous/roman_empire/raw/roman_empire.npz"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(pyg.SHA256, relative, digest)
    sums = path.parents[3] / "SHA256SUMS"
    sums.write_text(f"{digest}  {relative}\n")
    load("roman_empire")
    path.write_bytes(b"neither zip nor graph")
    with pytest.raises(InputError, match="roman_empire.npz' is not the published file"):
        load("roman_empire")
    monkeypatch.delitem(pyg.SHA256, relative)
    with pytest.raises(InputError, match=f"expected {digest[:12]}"):  # the local list alone suffices
        load("roman_empire")


def test_a_local_folder_without_the_file(cache, monkeypatch, tmp_path):
    path = _local(monkeypatch, tmp_path)
    path.rename(path.with_name("something_else.npz"))
    with pytest.raises(InputError, match="lacks roman_empire.npz: complete it"):
        load("roman_empire")


def test_a_download_is_kept_and_used_again(cache, monkeypatch):
    calls = []

    def download(self):
        calls.append(self.raw_dir)
        os.rmdir(self.raw_dir)
        _raw_file(type(cache)(self.raw_dir))

    monkeypatch.setattr(torch_geometric.datasets.HeterophilousGraphDataset, "download", download)
    first = load("roman_empire")
    assert load("roman_empire").digest() == first.digest() and len(calls) == 1
    assert os.listdir(cache / "heterophilous" / "roman_empire") == ["raw"] and os.listdir(cache) == ["heterophilous"]


def test_a_failed_download_is_one_sentence(cache, monkeypatch):
    def download(self):
        raise OSError("no route to host")

    monkeypatch.setattr(torch_geometric.datasets.HeterophilousGraphDataset, "download", download)
    with pytest.raises(InputError, match=r"could not download .* no route to host.*GRAPHFORGET_DATA .*us/roman_empire/raw"):
        load("roman_empire")
    assert os.listdir(cache) == []


def test_features_are_row_normalised_and_sparse_where_large(monkeypatch):
    x = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    dense = pyg._features(x, True)
    assert dense.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0, 0], [0.25] * 4]
    assert torch.equal(pyg._features(x, False), x.float())
    monkeypatch.setattr(pyg, "_DENSE_BELOW", 11)
    sparse = pyg._features(x, True)
    assert sparse.layout == torch.sparse_csr and torch.equal(sparse.to_dense(), dense)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cora", (140, 500, 1000)),
        ("citeseer", (120, 500, 1000)),
        ("citeseer_full", (2539, 847, 844)),
        ("minesweeper", (5000, 2500, 2500)),
    ],
)
def test_real_graphs(name, sizes, monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    if pyg.find_raw(pyg.SPECS[name]) is None:
        pytest.skip(f"GRAPHFORGET_DATA has no raw files of {name}")
    data = load(name)  # the published counts are checked by the loader
    assert tuple(len(data.splits[part]) for part in ("train", "val", "test")) == sizes
