"""Datasets read from GRAPHFORGET_DATA: sizes, content, and a clear sentence where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from graphforget.datasets import load
from graphforget.exceptions import InputError

NAMES = ["tiktok", "amazon_baby", "amazon_beauty", "citeulike_a", "ml_1m", "book_crossing", "gowalla"]


@pytest.mark.parametrize("name", NAMES)
def test_without_files_the_sentence_says_where_they_are_looked_for(name, monkeypatch, tmp_path):
    monkeypatch.delenv("GRAPHFORGET_DATA", raising=False)
    with pytest.raises(InputError, match="GRAPHFORGET_DATA names, but it is not set"):
        load(name)
    monkeypatch.setenv("GRAPHFORGET_DATA", str(tmp_path))
    with pytest.raises(InputError, match=f"there is no folder '{name.replace('_', '-')}' in"):
        load(name)
    with pytest.raises(InputError, match="does not serve task"):
        load(name, task="link_prediction")


def test_other_files_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHFORGET_DATA", str(tmp_path))
    folder = tmp_path / "rec" / "amazon-baby"
    folder.mkdir(parents=True)
    (folder / "interactions.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read as the published arrays"):
        load("amazon_baby")
    ids = np.array([0, 1], dtype="uint16")
    np.savez(
        folder / "interactions.npz", **{f"{part}_{c}": ids + k for k, part in enumerate(("train", "valid", "test")) for c in "ui"}
    )
    with pytest.raises(InputError, match="hold 6 interactions, not the published 160,792"):
        load("amazon_baby")


@pytest.mark.data
def test_tiktok():
    data = load("tiktok", task="recommendation")
    assert {part: len(p) for part, p in data.splits.items()} == {"train": 59541, "val": 3051, "test": 6130}
    assert {name: tuple(x.shape) for name, x in data.features.items()} == {"image": (6710, 128), "audio": (6710, 128)}
    assert float(data.features["image"].mean()) == pytest.approx(2.69, abs=0.01)


@pytest.mark.data
def test_amazon_baby_can_be_named_as_mmrec_does():
    data, other = load("amazon-baby"), load("amazon-baby", mmrec_parts=True)
    assert len(data.splits["val"]) == len(other.splits["test"]) == 21682


@pytest.mark.slow
@pytest.mark.data
def test_attributes_make_requests():
    books = load("book-crossing")
    assert len(books.items_with("publisher", "Ballantine Books")) > 100 and books.features["text"].shape == (17384, 128)
    with pytest.raises(InputError, match="no item has the value 'Balantine Books': did you mean 'Ballantine Books'"):
        books.items_with("publisher", "Balantine Books")
    beauty = load("amazon-beauty")
    assert len(beauty.splits["test"]) == len(beauty.splits["val"]) == 22363
    assert len(beauty.attributes["attribute"].pairs) == 45032  # 5 of the 45,037 rows are repeated
    papers = load("citeulike-a")
    assert int(papers.features["tags"].isnan().all(1).sum()) == 16980 - len(papers.attributes["tag"].pairs[:, 0].unique())
    films = load("ml-100k", content=True)
    assert films.items_with("title", "Toy Story").tolist() == [0] and len(films.items_with("genre", "Drama")) > 700


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name, train", [("ml_1m", 720152), ("gowalla", 810128)])
def test_validation_can_be_held_out(name, train):
    assert "val" not in load(name).splits
    held = load(name, val=0.02)
    assert len(held.splits["train"]) + len(held.splits["val"]) == train and len(held.splits["val"]) > 0.01 * train
