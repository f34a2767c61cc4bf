"""Recommendation datasets that cannot be downloaded: read from ``GRAPHFORGET_DATA``, with the splits they come with."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphforget.datasets.check import check_task
from graphforget.datasets.recommender.splits import hold_out, split_leave_one_out, split_per_user
from graphforget.datasets.recommender.text import attribute_features, text_features
from graphforget.exceptions import InputError
from graphforget.home import data_root
from graphforget.interactions import Interactions, ItemAttribute

# users, items, distinct interactions: what the published copies hold
_SIZES = {
    "tiktok": (9308, 6710, 68_722),
    "amazon-baby": (19_445, 7_050, 160_792),
    "amazon-beauty": (22_363, 12_101, 198_502),
    "citeulike-a": (5_551, 16_980, 204_986),
    "ml-1m": (6_040, 3_706, 920_193),
    "book-crossing": (2_946, 17_384, 272_678),
    "gowalla": (29_858, 40_981, 1_027_370),
}
_TEXT_SEED = 0  # features are content: the same for every seed of the split


def tiktok(*, task: str | None = None, seed: int = 0) -> Interactions:
    """TikTok micro-videos with real image and audio features, 128 numbers each; the split of MMSSL and DiffMM.

    9,308 users, 6,710 videos, 68,722 interactions. The published results on this split also used a text modality of 768
    numbers per video; the copy read here has none, so no figure is directly comparable. Data: ICME 2019 short-video
    challenge; Jiang et al., "DiffMM", ACM MM 2024; Wei et al., "MMSSL", WWW 2023; for research only.

    Args:
        task: ``"recommendation"``.
        seed: Without effect: the split is given.

    Raises:
        InputError: The files are not there, or not the published ones.
    """
    arrays = _arrays("tiktok", "interactions", task)
    features = _arrays("tiktok", "features")
    return _make("tiktok", _parts(arrays), features={name: features[name] for name in ("image", "audio")})


def amazon_baby(*, task: str | None = None, seed: int = 0, mmrec_parts: bool = False) -> Interactions:
    """Amazon Baby, five or more interactions per user and item: 19,445 users, 7,050 items, 160,792 interactions; no features.

    The copy names the parts as DiffMM does; MMRec calls DiffMM's validation part the test part and the reverse. Data:
    McAuley et al., SIGIR 2015; for research.

    Args:
        task: ``"recommendation"``.
        seed: Without effect: the split is given.
        mmrec_parts: Name the parts as MMRec does, to compare with its tables.
    """
    parts = _parts(_arrays("amazon-baby", "interactions", task))
    if mmrec_parts:
        parts["val"], parts["test"] = parts["test"], parts["val"]
    return _make("amazon-baby", parts)


def amazon_beauty(*, task: str | None = None, seed: int = 0, dim: int = 128) -> Interactions:
    """Amazon Beauty in time order: 22,363 users, 12,101 items, 198,502 interactions; the last of each user is for test.

    Items have 637 unnamed attributes (categories and brands), as attribute ``"attribute"`` and, reduced, as features
    ``"attributes"``. Data: McAuley et al., SIGIR 2015; Zhou et al., "S3-Rec", CIKM 2020; for research.

    Args:
        task: ``"recommendation"``.
        seed: Without effect: the split follows the order.
        dim: Number of features.
    """
    arrays = _arrays("amazon-beauty", "interactions", task)
    rows = _arrays("amazon-beauty", "item_attributes")
    pairs = torch.stack([rows["item"].long(), rows["attribute"].long() - 1], 1)
    known = ItemAttribute(torch.unique(pairs, dim=0), tuple(str(k + 1) for k in range(int(pairs[:, 1].max()) + 1)))
    splits = split_leave_one_out(_pairs(arrays["u"], arrays["i"]), arrays["position"].long())
    features = {"attributes": attribute_features(known, _SIZES["amazon-beauty"][1], dim=dim, seed=_TEXT_SEED)}
    return _make("amazon-beauty", splits, features=features, attributes={"attribute": known})


def citeulike_a(*, task: str | None = None, seed: int = 0, dim: int = 128) -> Interactions:
    """CiteULike-a: 5,551 users, 16,980 papers, 204,986 interactions, split 80 / 10 / 10 per user.

    Papers have user tags, as attribute ``"tag"`` and, reduced, as features ``"tags"``. Titles and abstracts are not in the
    copy read here. Data: Wang, Chen and Li, IJCAI 2013.

    Args:
        task: ``"recommendation"``.
        seed: Seed of the split.
        dim: Number of features.
    """
    arrays = _arrays("citeulike-a", "interactions", task)
    rows = _arrays("citeulike-a", "item_tags")
    names = _lines("citeulike-a", "tag_names.txt.gz")
    tags = ItemAttribute(torch.unique(torch.stack([rows["item"].long(), rows["tag"].long()], 1), dim=0), tuple(names))
    features = {"tags": attribute_features(tags, _SIZES["citeulike-a"][1], dim=dim, seed=_TEXT_SEED)}
    splits = split_per_user(_pairs(arrays["u"], arrays["i"]), seed=seed)
    return _make("citeulike-a", splits, features=features, attributes={"tag": tags})


def ml_1m(*, task: str | None = None, seed: int = 0, val: float = 0.0) -> Interactions:
    """MovieLens 1M with the split of RecEraser (Chen et al., WWW 2022): 6,040 users, 3,706 films, no validation part.

    Data: Harper and Konstan, ACM TiiS 5(4), 2015; for research, not to be redistributed.

    Args:
        task: ``"recommendation"``.
        seed: Seed of the validation interactions.
        val: Share of every user's training interactions to validate on; 0 trains on all of them, without early stopping.
    """
    return _train_test("ml-1m", task, seed, val)


def gowalla(*, task: str | None = None, seed: int = 0, val: float = 0.0) -> Interactions:
    """Gowalla check-ins with the split of LightGCN (He et al., SIGIR 2020): 29,858 users, 40,981 places, no validation part.

    Args:
        task: ``"recommendation"``.
        seed: Seed of the validation interactions.
        val: Share of every user's training interactions to validate on; 0 trains on all of them, without early stopping.
    """
    return _train_test("gowalla", task, seed, val)


def book_crossing(*, task: str | None = None, seed: int = 0, dim: int = 128) -> Interactions:
    """Book-Crossing: 2,946 readers, 17,384 books, 272,678 interactions, split 80 / 10 / 10 per user.

    Books have the attributes ``author``, ``publisher``, ``year`` and ``title``, so that a revoked licence is one request, and
    features ``"text"`` made of title, author and publisher. Data: Ziegler et al., WWW 2005; for research.

    Args:
        task: ``"recommendation"``.
        seed: Seed of the split.
        dim: Number of features.
    """
    arrays = _arrays("book-crossing", "interactions", task)
    header, *rows = (line.split("\t") for line in _lines("book-crossing", "items.tsv.gz"))
    columns = dict(zip(header, zip(*rows)))
    _require("book-crossing", columns, ("isbn", "title", "author", "publisher", "year"))
    columns["year"] = tuple(None if year in ("", "0") else year for year in columns["year"])  # type: ignore[misc]
    texts = [" ".join(words) for words in zip(columns["title"], columns["author"], columns["publisher"])]
    return _make(
        "book-crossing",
        split_per_user(_pairs(arrays["u"], arrays["i"]), seed=seed),
        features={"text": text_features(texts, dim=dim, seed=_TEXT_SEED)},
        attributes={name: columns[name] for name in ("author", "publisher", "year", "title")},
        item_names=columns["isbn"],
    )


# ---- reading ----------------------------------------------------------------------------------------------
def find_folder(name: str) -> Path:
    """The folder ``name`` below ``GRAPHFORGET_DATA``, or below its folder ``rec``.

    Raises:
        InputError: There is none.
    """
    root = data_root()
    for folder in (root / name, root / "rec" / name) if root is not None else ():
        if folder.is_dir():
            return folder
    where = f"there is no folder '{name}' in '{root}' or in '{root / 'rec'}'" if root is not None else "it is not set"
    raise InputError(
        f"dataset '{name}' cannot be downloaded and is read from the folder that the variable GRAPHFORGET_DATA names, but "
        f"{where}. For data that needs no file, use load('tastes')."
    )


def _arrays(name: str, file: str, task: str | None = None) -> dict[str, Tensor]:
    import numpy as np

    check_task(name, task, ("recommendation",))
    path = find_folder(name) / f"{file}.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            # Half precision overflows in sums; small unsigned integers are no index type.
            return {
                key: torch.from_numpy(archive[key].astype("float32" if archive[key].dtype.kind == "f" else "int64"))
                for key in archive.files
            }
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' cannot be read as the published arrays of '{name}' ({error}).") from None


def _lines(name: str, file: str) -> list[str]:
    path = find_folder(name) / file
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8").rstrip("\n").split("\n")
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as the published text of '{name}' ({error}).") from None


def _require(name: str, found: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    missing = [key for key in wanted if key not in found]
    if missing:
        raise InputError(f"the files of '{name}' lack {', '.join(missing)}: they are not the published ones.")


def _pairs(users: Tensor, items: Tensor) -> Tensor:
    return torch.stack([users, items], 1)


def _parts(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = {"train": "train", "val": "valid", "test": "test"}
    return {ours: _pairs(arrays[f"{part}_u"], arrays[f"{part}_i"]) for ours, part in names.items() if f"{part}_u" in arrays}


def _train_test(name: str, task: str | None, seed: int, val: float) -> Interactions:
    parts = _parts(_arrays(name, "interactions", task))
    return _make(name, {**hold_out(parts["train"], val, seed=seed), "test": parts["test"]})


def _make(name: str, splits: Mapping[str, Tensor], **content: Any) -> Interactions:
    users, items, count = _SIZES[name]
    found = sum(len(rows) for rows in splits.values())
    if found != count:
        raise InputError(f"the files of '{name}' hold {found:,} interactions, not the published {count:,}: replace them.")
    return Interactions.create(splits, num_users=users, num_items=items, name=name.replace("-", "_"), **content)
