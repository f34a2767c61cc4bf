"""Data files: what stands in them decides what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file

from graphforget.exceptions import InputError
from graphforget.pipeline.files import read_data
from graphforget.testing.tiny import tiny_data

from .conftest import write_links


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_graph_comes_back_with_the_same_digest(tmp_path: Path, suffix: str) -> None:
    data = tiny_data("link_prediction")
    if suffix == ".npz":
        path = write_links(tmp_path / "links.npz")
    else:
        path = tmp_path / "links.safetensors"
        save_file({"edge_index": data.edge_index, "x": data.x, **data.splits, "num_nodes": torch.tensor(60)}, path)
    assert read_data(path).digest() == data.digest() and read_data(path).name == "links"


def test_masks_and_ids_are_the_same_and_samples_and_interactions_are_known_by_their_arrays(tmp_path: Path) -> None:
    x, y = numpy.random.default_rng(0).random((6, 4)), numpy.array([0, 1, 0, 1, 0, 1])
    numpy.savez(tmp_path / "mask.npz", x=x, y=y, train=numpy.array([True] * 4 + [False] * 2), test=numpy.array([4, 5]))
    numpy.savez(tmp_path / "ids.npz", x=x, y=y, train=numpy.arange(4), test=numpy.array([4, 5]))
    masks, ids = read_data(tmp_path / "mask.npz"), read_data(tmp_path / "ids.npz")
    assert masks.digest() == ids.digest() and masks.splits["train"].tolist() == [0, 1, 2, 3]
    numpy.savez(tmp_path / "taken.npz", train=numpy.array([[0, 1], [1, 0]]), num_items=3)
    assert (read_data(tmp_path / "taken.npz").num_items, read_data(tmp_path / "taken.npz").num_users) == (3, 2)


EDGES = numpy.array([[0, 1], [1, 0]])
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"edges": EDGES}, "a graph needs edge_index, samples need x and y, interactions need train"),
    ({"edge_index": EDGES, "lables": [0, 1]}, "is a graph and has an unknown array 'lables'"),
    ({"edge_index": EDGES.astype(float)}, "edge_index must be an integer tensor"),
    ({"edge_index": numpy.zeros((3, 2), dtype=int)}, "edge_index must have shape [2, E]"),
    ({"edge_index": EDGES, "num_nodes": 1}, "unknown nodes 1"),
    ({"edge_index": EDGES, "num_nodes": [1, 2]}, "num_nodes must be one whole number"),
    ({"edge_index": EDGES, "train": [0.5]}, "train must hold whole numbers or a boolean mask, got float64"),
    ({"edge_index": numpy.array(["a"])}, "is not a readable .npz file of number arrays"),
    ({"edge_index": numpy.array([{}], dtype=object)}, "is not a readable .npz file of number arrays"),
    ({"x": [[1.0]], "y": [0]}, "samples need x, y and train"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG, ids=[m[:30] for _, m in WRONG])
def test_bad_files_are_told_in_a_sentence(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    numpy.savez(tmp_path / "bad.npz", **{k: numpy.asarray(v) for k, v in arrays.items()})
    with pytest.raises(InputError) as caught:
        read_data(tmp_path / "bad.npz")
    assert message in str(caught.value) and "bad.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_no_archive_or_missing_or_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("hello")
    (tmp_path / "a.csv").write_text("1,2")
    (tmp_path / "a.safetensors").write_text("hello")
    for name, message in [
        ("a.npz", "not a readable .npz"),
        ("a.csv", "no data file that graphforget reads"),
        ("a.safetensors", "not a readable safetensors"),
        ("b.npz", "there is no data file"),
    ]:
        with pytest.raises(InputError, match=message):
            read_data(tmp_path / name)


def test_interactions_with_canaries_are_read_from_arrays(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "taken.npz", train=numpy.array([[0, 1], [1, 0]]), canary=numpy.array([[1, 1]]))
    assert read_data(tmp_path / "taken.npz").splits["canary"].tolist() == [[1, 1]]
    numpy.savez(tmp_path / "graph.npz", edge_index=numpy.array([[0], [1]]), canary=numpy.array([0]))
    with pytest.raises(InputError, match="unknown array 'canary'"):
        read_data(tmp_path / "graph.npz")
