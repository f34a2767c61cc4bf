"""Interaction data for recommenders: MovieLens 100K, found locally (read only), else in the cache, else downloaded."""

from __future__ import annotations

import contextlib
import io
import urllib.request
import zipfile

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.base import content_digest
from graphforget.datasets.embedded import check_task
from graphforget.exceptions import InputError
from graphforget.home import data_root, home, write_bytes
from graphforget.interactions import Interactions

_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_USERS, _ITEMS, _RATINGS = 943, 1682, 100_000
# content_digest of the rows (user, item, rating), ids from 0, sorted by user, then item.
_DIGEST = "5177247ca25e2e872fbf8d31bd6434eb00c61d870b4695f83bba5fc4213e7d05"


def ml_100k(*, task: str | None = None, seed: int = 0, min_rating: int = 4) -> Interactions:
    """MovieLens 100K as implicit feedback: 943 users, 1,682 films; a rating of at least ``min_rating`` is an interaction.

    Each user's interactions are split 80 / 10 / 10 at random; the first of the shuffled ones is always a training one.
    Data: Harper and Konstan, "The MovieLens Datasets", ACM TiiS 5(4), 2015; for research, not to be redistributed.

    The raw file is GroupLens' ``u.data``, or ``interactions.npz`` with arrays u, i (from 0) and rating, in a folder ``ml-100k``
    below ``GRAPHFORGET_DATA`` (or below its folder ``rec``).

    Args:
        task: ``"recommendation"``.
        seed: Seed of the split.
        min_rating: Lowest rating, 1 to 5, that counts.

    Raises:
        InputError: A rating out of range, a file that is not the published one, or a download that failed.
    """
    check_task("ml_100k", task, ("recommendation",))
    if min_rating not in (1, 2, 3, 4, 5):
        raise InputError(f"min_rating must be 1, 2, 3, 4 or 5, got {min_rating!r}.")
    rows = _ratings()
    pairs = rows[rows[:, 2] >= min_rating, :2]
    return Interactions.create(split_per_user(pairs, seed=seed), num_users=_USERS, num_items=_ITEMS, name="ml_100k")


def split_per_user(pairs: Tensor, *, seed: int = 0, train: float = 0.8, val: float = 0.1) -> dict[str, Tensor]:
    """Every user's interactions shared out at random to ``train``, ``val`` and ``test``; each user keeps one in ``train``.

    Args:
        pairs: [n, 2] rows (user, item).
        seed: Seed of the shuffle.
        train: Share of training interactions.
        val: Share of validation interactions; the rest is for test.

    Raises:
        InputError: Bad shares.

    Example:
        >>> parts = split_per_user(torch.tensor([[0, i] for i in range(10)] + [[1, 3]]))
        >>> {part: len(rows) for part, rows in parts.items()}
        {'train': 9, 'val': 1, 'test': 1}
    """
    if not (0 < train < 1 and 0 <= val < 1 and train + val <= 1):
        raise InputError(f"train and val must be shares with a sum of at most 1, got train={train} and val={val}.")
    # Sorted first, so that the split depends on the interactions and not on the order of the file.
    pairs = torch.unique(pairs, dim=0)
    pairs = pairs[torch.randperm(len(pairs), generator=seeds.generator(seed))]
    pairs = pairs[torch.argsort(pairs[:, 0], stable=True)]
    count = torch.bincount(pairs[:, 0])
    place = torch.arange(len(pairs)) - (count.cumsum(0) - count)[pairs[:, 0]]
    share = place.double() / count[pairs[:, 0]]
    first, second = (place == 0) | (share < train), share < train + val - 1e-9
    return {"train": pairs[first], "val": pairs[~first & second], "test": pairs[~first & ~second]}


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
