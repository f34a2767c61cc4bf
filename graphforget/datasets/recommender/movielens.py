"""Interaction data for recommenders: MovieLens 100K, found locally (read only), else in the cache, else downloaded."""

from __future__ import annotations

import contextlib
import io
import urllib.request
import zipfile
from typing import Any

import torch
from torch import Tensor

from graphforget.base import content_digest
from graphforget.datasets.check import check_task
from graphforget.datasets.recommender.local import find_folder
from graphforget.datasets.recommender.splits import split_per_user
from graphforget.datasets.recommender.text import text_features
from graphforget.exceptions import InputError
from graphforget.home import data_root, home, write_bytes
from graphforget.interactions import Interactions

_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_USERS, _ITEMS, _RATINGS = 943, 1682, 100_000
# content_digest of the rows (user, item, rating), ids from 0, sorted by user, then item.
_DIGEST = "5177247ca25e2e872fbf8d31bd6434eb00c61d870b4695f83bba5fc4213e7d05"


def ml_100k(*, task: str | None = None, seed: int = 0, min_rating: int = 4, content: bool = False) -> Interactions:
    """MovieLens 100K as implicit feedback: 943 users, 1,682 films; a rating of at least ``min_rating`` is an interaction.

    Each user's interactions are split 80 / 10 / 10 at random; the first of the shuffled ones is always a training one.
    Data: Harper and Konstan, "The MovieLens Datasets", ACM TiiS 5(4), 2015; for research, not to be redistributed.

    The raw file is GroupLens' ``u.data``, or ``interactions.npz`` with arrays u, i (from 0) and rating, in a folder ``ml-100k``
    below ``GRAPHFORGET_DATA`` (or below its folder ``rec``).

    Args:
        task: ``"recommendation"``.
        seed: Seed of the split.
        min_rating: Lowest rating, 1 to 5, that counts.
        content: Also read ``items.tsv`` from a local folder ``ml-100k``: the attributes ``genre``, ``year`` and ``title``, and
            features ``"text"`` made of title and genres.

    Raises:
        InputError: A rating out of range, a file that is not the published one or not there, or a download that failed.
    """
    check_task("ml_100k", task, ("recommendation",))
    if min_rating not in (1, 2, 3, 4, 5):
        raise InputError(f"min_rating must be 1, 2, 3, 4 or 5, got {min_rating!r}.")
    rows = _ratings()
    pairs = rows[rows[:, 2] >= min_rating, :2]
    splits, known = split_per_user(pairs, seed=seed), _content() if content else {}
    return Interactions.create(splits, num_users=_USERS, num_items=_ITEMS, name="ml_100k", **known)


def _content() -> dict[str, Any]:
    """Attributes and features out of ``items.tsv``: item (from 1), title, year, genres."""
    path = find_folder("ml-100k") / "items.tsv"
    try:
        lines = path.read_text("utf-8").rstrip("\n").split("\n")[1:]
        rows = {int(number) - 1: rest for number, *rest in (line.split("\t") for line in lines)}
        titles, years, genres = zip(*(rows[item] for item in range(_ITEMS)))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"'{path}' cannot be read as the films of MovieLens 100K ({error}).") from None
    words = [f"{title} {genre}" for title, genre in zip(titles, genres)]
    attributes = {"title": titles, "year": years, "genre": [tuple(genre.split()) for genre in genres]}
    return {"attributes": attributes, "features": {"text": text_features(words)}}


def _ratings() -> Tensor:
    """Rows (user, item, rating), [100000, 3], ids from 0, checked."""
    root = data_root()
    places = [root / "ml-100k", root / "rec" / "ml-100k"] if root is not None else []
    cached = home() / "datasets" / "movielens" / "ml-100k"
    path = next(
        (folder / name for folder in (*places, cached) for name in ("u.data", "interactions.npz") if (folder / name).is_file()),
        None,
    )
    content = path.read_bytes() if path is not None else _download()
    where = f"'{path}'" if path is not None else f"what {_URL} returned"
    rows = torch.unique(_parse(content, where), dim=0)
    if content_digest(rows) != _DIGEST:
        raise InputError(
            f"{where} is not the published MovieLens 100K ({len(rows):,} different ratings, expected {_RATINGS:,}, "
            f"or other content): replace it, or remove it to have it downloaded."
        )
    if path is None:
        write_bytes(cached / "u.data", content)
    return rows


def _parse(content: bytes, where: str) -> Tensor:
    import numpy as np

    try:
        if content[:2] == b"PK":
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return torch.stack([torch.from_numpy(arrays[key].astype("int64")) for key in ("u", "i", "rating")], 1)
        table = torch.from_numpy(np.loadtxt(io.BytesIO(content), dtype="int64", usecols=(0, 1, 2), ndmin=2))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{where} cannot be read as MovieLens ratings ({error}): replace it, or remove it to have it downloaded."
        ) from None
    return table - torch.tensor([1, 1, 0])


def _download() -> bytes:
    """The archive's ``u.data``."""
    try:
        with contextlib.closing(urllib.request.urlopen(_URL, timeout=60)) as reply:
            archive = zipfile.ZipFile(io.BytesIO(reply.read()))
        return archive.read("ml-100k/u.data")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"could not download MovieLens 100K from {_URL} ({error}); connect to the internet, or set "
            f"GRAPHFORGET_DATA to a folder with ml-100k/u.data."
        ) from error
