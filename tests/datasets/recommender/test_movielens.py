"""MovieLens 100K: local files, the download and the cache."""

from __future__ import annotations

import io
import urllib.request
import zipfile

import pytest
import torch

from graphforget.base import content_digest
from graphforget.datasets import load
from graphforget.datasets.recommender import movielens as interactions
from graphforget.exceptions import InputError


@pytest.mark.data
def test_ml_100k(tmp_path, monkeypatch):
    data = load("ml_100k")
    assert (data.num_users, data.num_items) == (943, 1682)
    assert sum(len(p) for p in data.splits.values()) == 55375  # ratings of 4 and 5
    assert sum(len(p) for p in load("ml_100k", min_rating=1).splits.values()) == 100_000
    assert load("ml_100k").digest() == data.digest() != load("ml_100k", seed=1).digest()
    # GroupLens' own file gives the same data.
    rows = interactions._ratings() + torch.tensor([1, 1, 0])
    (tmp_path / "ml-100k").mkdir()
    text = "\n".join(f"{u}\t{i}\t{r}\t881250949" for u, i, r in rows.flip(0).tolist())
    (tmp_path / "ml-100k" / "u.data").write_text(text)
    monkeypatch.setenv("GRAPHFORGET_DATA", str(tmp_path))
    assert load("ml_100k").digest() == data.digest()


def test_wrong_files_and_settings_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path / "home"))
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir(parents=True)
    monkeypatch.setenv("GRAPHFORGET_DATA", str(tmp_path / "data"))
    (folder / "u.data").write_text("1\t2\t3\t881250949\n")
    with pytest.raises(InputError, match="not the published MovieLens 100K .1 different ratings"):
        load("ml_100k")
    (folder / "u.data").write_text("some text\n")
    with pytest.raises(InputError, match="cannot be read as MovieLens ratings"):
        load("ml_100k")
    with pytest.raises(InputError, match="min_rating must be 1, 2, 3, 4 or 5"):
        load("ml_100k", min_rating=6)
    with pytest.raises(InputError, match="does not serve task 'link_prediction'"):
        load("ml_100k", task="link_prediction")


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    monkeypatch.delenv("GRAPHFORGET_DATA", raising=False)
    with pytest.raises(InputError, match="no route to host.*set GRAPHFORGET_DATA to a folder with ml-100k/u.data"):
        load("ml_100k")
    assert not list(tmp_path.rglob("u.data"))


def test_a_download_is_kept_once_it_is_checked(tmp_path, monkeypatch):
    content = b"1\t2\t3\t881250949\n"
    packed, asked = io.BytesIO(), []
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ml-100k/u.data", content)
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, **_k: asked.append(url) or io.BytesIO(packed.getvalue()))
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    monkeypatch.delenv("GRAPHFORGET_DATA", raising=False)
    with pytest.raises(InputError, match="returned is not the published"):
        load("ml_100k")
    assert len(asked) == 1 and not list(tmp_path.rglob("u.data"))
    monkeypatch.setattr(interactions, "_DIGEST", content_digest(torch.tensor([[0, 1, 3]])))
    for _ in range(2):
        assert load("ml_100k", min_rating=3).splits["train"].tolist() == [[0, 1]]
    assert len(asked) == 2  # the second load reads the cache
    assert [path.read_bytes() for path in tmp_path.rglob("u.data")] == [content]
