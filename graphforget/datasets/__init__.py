"""Datasets by name, with fixed splits. ``load("digits")`` needs no download."""

from __future__ import annotations

import importlib
from typing import Any

from graphforget.exceptions import InputError
from graphforget.registry import Registry, accepted, check_params

_SYNTHETIC = "graphforget.datasets.recommender.synthetic:"
_PYG = "graphforget.datasets.graph.pyg:"
_REC = "graphforget.datasets.recommender.local:"
_ENTRIES = {
    "digits": ("graphforget.datasets.graph.embedded:digits", "handwritten digits as a nearest-neighbour graph; embedded"),
    "digits_images": ("graphforget.datasets.samples.digits:digits_images", "handwritten digits as 8 x 8 images; embedded"),
    "karate": ("graphforget.datasets.graph.embedded:karate", "Zachary's karate club, 34 nodes; embedded"),
    "cora": (_PYG + "cora", "Planetoid Cora, citations, public split"),
    "citeseer": (_PYG + "citeseer", "Planetoid CiteSeer, citations, public split"),
    "pubmed": (_PYG + "pubmed", "Planetoid PubMed, citations, public split"),
    "dblp": (_PYG + "dblp", "CitationFull DBLP, citations"),
    "cora_full": (_PYG + "cora_full", "CitationFull Cora, citations, 70 classes"),
    "cora_ml": (_PYG + "cora_ml", "CitationFull Cora_ML, citations"),
    "citeseer_full": (_PYG + "citeseer_full", "CitationFull CiteSeer, citations"),
    "pubmed_full": (_PYG + "pubmed_full", "CitationFull PubMed, citations"),
    "coauthor_cs": (_PYG + "coauthor_cs", "Coauthor CS, co-authorship"),
    "coauthor_physics": (_PYG + "coauthor_physics", "Coauthor Physics, co-authorship"),
    "amazon_photo": (_PYG + "amazon_photo", "Amazon Photo, co-purchases"),
    "amazon_computers": (_PYG + "amazon_computers", "Amazon Computers, co-purchases"),
    "minesweeper": (_PYG + "minesweeper", "synthetic grid, heterophilous, 10 splits"),
    "tolokers": (_PYG + "tolokers", "crowd workers, heterophilous, 10 splits"),
    "roman_empire": (_PYG + "roman_empire", "word graph, heterophilous, 10 splits"),
    "amazon_ratings": (_PYG + "amazon_ratings", "product ratings, heterophilous, 10 splits"),
    "questions": (_PYG + "questions", "user interactions, heterophilous, 10 splits"),
    "ml_100k": ("graphforget.datasets.recommender.movielens:ml_100k", "MovieLens 100K, films liked by users, for recommendation"),
    "tastes": (_SYNTHETIC + "tastes", "synthetic tastes with two modalities, for recommendation; embedded"),
    "tiktok": (_REC + "tiktok", "TikTok videos with image and audio features, for recommendation"),
    "amazon_baby": (_REC + "amazon_baby", "Amazon Baby, 5-core, for recommendation"),
    "amazon_beauty": (_REC + "amazon_beauty", "Amazon Beauty in time order, with categories and brands, for recommendation"),
    "citeulike_a": (_REC + "citeulike_a", "CiteULike papers with tags, for recommendation"),
    "ml_1m": (_REC + "ml_1m", "MovieLens 1M, split of RecEraser, for recommendation"),
    "book_crossing": (_REC + "book_crossing", "books with title, author, publisher and year, for recommendation"),
    "gowalla": (_REC + "gowalla", "Gowalla check-ins, split of LightGCN, for recommendation"),
}
DATASETS = Registry("dataset", {name: target for name, (target, _) in _ENTRIES.items()}, group="graphforget.datasets")
DESCRIPTIONS: dict[str, str] = {name: text for name, (_, text) in _ENTRIES.items()}
_EXPORTS = {
    "split_edges": "graph.splits",
    "stratified": "splits",
    "from_frame": "recommender.formats",
    "read_interactions": "recommender.formats",
    "read_mmrec": "recommender.inter_files",
    "read_recbole": "recommender.inter_files",
    "split_by_time": "recommender.splits",
    "split_leave_one_out": "recommender.splits",
    "split_per_user": "recommender.splits",
    "text_features": "recommender.text",
}

__all__ = ["DATASETS", "DESCRIPTIONS", "load", *_EXPORTS]


def load(name: str, *, task: str | None = None, seed: int = 0, canary: float | None = None, **params: Any) -> Any:
    """A dataset, ready for a task.

    Raw files are looked for in ``GRAPHFORGET_DATA`` (read only), then in the cache, then downloaded as PyTorch Geometric does.

    Args:
        name: See :data:`DATASETS`; hyphens count as underscores. Of others ``"package.module:function"``: a function of ``task``,
            ``seed`` and its own parameters that returns one of graphforget's containers, or what the task adopts.
        task: What to split for, e.g. ``"link_prediction"``; by default the dataset's first task.
        seed: Seed of the split, where the dataset has no public one.
        canary: For recommendation: share of the training interactions to hold out as canaries, e.g. 0.01; see
            :func:`~graphforget.interactions.with_canaries`.
        **params: Parameters of the dataset, e.g. ``num_neighbors`` of digits.

    Raises:
        InputError: Unknown name, task or parameter (the nearest are listed), files that are not the published ones, a download
            that failed, or canaries of data that are no interactions.

    Example:
        >>> load("karate").num_nodes
        34
    """
    maker = DATASETS[name if not isinstance(name, str) or ":" in name or name in DATASETS else name.replace("-", "_")]
    lacking = [option for option in ("task", "seed") if option not in accepted(maker)]
    if lacking:
        raise InputError(f"dataset '{name}' must take task= and seed=, and it does not take {' and '.join(lacking)}.")
    check_params(maker, params, f"dataset '{name}'")
    data = maker(task=task, seed=seed, **params)
    if canary is None:
        return data
    from graphforget.interactions import Interactions, with_canaries

    if not isinstance(data, Interactions):
        raise InputError(f"canaries are interactions held out before training, and '{name}' has none: leave out canary.")
    return with_canaries(data, canary, seed=seed)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"graphforget.datasets.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'graphforget.datasets' has no attribute '{name}'")
