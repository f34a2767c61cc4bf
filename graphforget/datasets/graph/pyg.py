"""Graphs that PyTorch Geometric knows: found locally (read only), else in the cache, else downloaded by its own classes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from graphforget.datasets.check import check_task
from graphforget.datasets.graph.checksums import SHA256
from graphforget.datasets.graph.splits import split_edges, with_node_split
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, as_graph
from graphforget.home import data_root, home

_DENSE_BELOW = 64_000_000  # entries of x; larger feature matrices are kept sparse
_SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Spec:
    """One dataset of PyG.

    Attributes:
        cls: Class in ``torch_geometric.datasets``.
        title: Its name there.
        family: Folder that is the class's root.
        folder: Folder below it that holds ``raw``.
        counts: Published (nodes, edges, features, classes); an undirected edge counts twice.
        bag_of_words: Whether rows of x are normalised to sum 1.
        columns: Number of public splits stored as mask columns, 0 where masks are plain or missing.
    """

    cls: str
    title: str
    family: str
    folder: str
    counts: tuple[int, int, int, int]
    bag_of_words: bool = True
    columns: int = 0


def _specs() -> Iterator[tuple[str, Spec]]:
    for key, title, counts in (
        ("cora", "Cora", (2708, 10556, 1433, 7)),
        ("citeseer", "CiteSeer", (3327, 9104, 3703, 6)),
        ("pubmed", "PubMed", (19717, 88648, 500, 3)),
    ):
        yield key, Spec("Planetoid", title, "planetoid", title, counts)
    for key, title, counts in (
        ("dblp", "DBLP", (17716, 105734, 1639, 4)),
        ("cora_full", "Cora", (19793, 126842, 8710, 70)),
        ("cora_ml", "Cora_ML", (2995, 16316, 2879, 7)),
        ("citeseer_full", "CiteSeer", (4230, 10674, 602, 6)),
        ("pubmed_full", "PubMed", (19717, 88648, 500, 3)),
    ):
        yield key, Spec("CitationFull", title, "citation_full", title.lower(), counts)
    yield "coauthor_cs", Spec("Coauthor", "CS", "coauthor", "CS", (18333, 163788, 6805, 15))
    yield "coauthor_physics", Spec("Coauthor", "Physics", "coauthor", "Physics", (34493, 495924, 8415, 5))
    yield "amazon_photo", Spec("Amazon", "Photo", "amazon", "Photo", (7650, 238162, 745, 8))
    yield "amazon_computers", Spec("Amazon", "Computers", "amazon", "Computers", (13752, 491722, 767, 10))
    for title, counts in (
        ("Minesweeper", (10000, 78804, 7, 2)),
        ("Tolokers", (11758, 1038000, 10, 2)),
        ("Roman-empire", (22662, 65854, 300, 18)),
        ("Amazon-ratings", (24492, 186100, 300, 5)),
        ("Questions", (48921, 307080, 301, 2)),
    ):
        key = title.lower().replace("-", "_")
        yield key, Spec("HeterophilousGraphDataset", title, "heterophilous", key, counts, bag_of_words=False, columns=10)


SPECS: dict[str, Spec] = dict(_specs())


def __getattr__(name: str) -> Any:
    """The loader of a dataset, e.g. ``cora(*, task=None, seed=0)``; what the registry names."""
    if name not in SPECS:
        raise AttributeError(f"module 'graphforget.datasets.graph.pyg' has no attribute '{name}'")
    return functools.partial(_load_column if SPECS[name].columns else _load, name)


def _load(key: str, *, task: str | None = None, seed: int = 0) -> GraphData:
    return _prepare(key, task, seed, None)


def _load_column(key: str, *, task: str | None = None, seed: int = 0, split: int = 0) -> GraphData:
    return _prepare(key, task, seed, split)


def _prepare(key: str, task: str | None, seed: int, split: int | None) -> GraphData:
    spec = SPECS[key]
    task = check_task(key, task, ("node_classification", "link_prediction"))
    if split is not None and not 0 <= split < spec.columns:
        raise InputError(f"split must be 0 to {spec.columns - 1}, got {split}: '{key}' has {spec.columns} public splits.")
    raw = read_raw(spec)
    raw.x = _features(raw.x, spec.bag_of_words)
    data = as_graph(raw, split=split, name=key)
    found = (data.num_nodes, data.edge_index.size(1), raw.x.size(1), data.num_classes)
    if found != spec.counts:
        raise InputError(
            f"'{key}' has {found} (nodes, edges, features, classes), but the published graph has {spec.counts}: "
            f"remove its raw files and load it again."
        )
    return split_edges(data, seed=seed) if task == "link_prediction" else with_node_split(data, seed)


def _features(x: Tensor, bag_of_words: bool) -> Tensor:
    """Rows divided by their sum (where it exceeds 1), as ``NormalizeFeatures`` does; sparse where large."""
    x = x.float()
    if bag_of_words:
        x = x / x.sum(1, keepdim=True).clamp(min=1.0)
    if x.numel() <= _DENSE_BELOW:
        return x
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return x.to_sparse_csr()


# ---- raw files -------------------------------------------------------------------------------------------------
def find_raw(spec: Spec) -> Path | None:
    """The folder with raw files: below ``GRAPHFORGET_DATA`` (or its folder ``graph``), else in the cache, else None."""
    root = data_root()
    places = [root, root / "graph"] if root is not None else []
    for place in (*places, _cache()):
        folder = place / spec.family / spec.folder / "raw"
        if folder.is_dir() and any(folder.iterdir()):
            return folder
    return None


def read_raw(spec: Spec) -> Any:
    """PyG's ``Data`` from the raw files, which are checked before they are read.

    PyG writes beside the raw files and takes no lock, so it works in a private folder that links to them and is removed at once.

    Raises:
        InputError: A raw file is missing or not the published one, or a download failed.
    """
    base: Any = getattr(importlib.import_module("torch_geometric.datasets"), spec.cls)
    raw = find_raw(spec)

    class Checked(base):
        def download(self) -> None:
            if raw is not None:
                missing = [name for name in _names(self) if not (raw / name).is_file()]
                raise InputError(
                    f"the folder '{raw}' lacks {', '.join(missing)}: complete it, or remove it to have them downloaded."
                )
            try:
                super().download()
            except Exception as error:  # whatever the downloader of the installed version raises
                raise InputError(
                    f"could not download {spec.cls} {spec.title} ({type(error).__name__}: {error}); connect to "
                    f"the internet, or set GRAPHFORGET_DATA to a folder with {spec.family}/{spec.folder}/raw."
                ) from error

        def process(self) -> None:
            verify(Path(self.raw_dir) if raw is None else raw, _names(self), f"{spec.family}/{spec.folder}/raw")
            super().process()

    _cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".work-", dir=_cache()) as folder:
        where = Path(folder) / spec.folder
        if raw is not None:
            where.mkdir()
            _link(raw.resolve(), where / "raw")
        # PyG announces its steps on the error stream; a download should be seen, reading local files need not be.
        with contextlib.redirect_stderr(io.StringIO()) if raw is not None else contextlib.nullcontext():
            data = Checked(folder, spec.title)[0]
        if raw is None:
            _keep(where / "raw", _cache() / spec.family / spec.folder / "raw")
    return data


def verify(raw: Path, names: list[str], relative: str) -> None:
    """Compare raw files with the published checksums, and with a ``SHA256SUMS`` file of the local data where there is one.

    Raises:
        InputError: A file differs.
    """
    local = _local_sums(raw)
    for name in names:
        path = raw / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        for expected in (SHA256.get(f"{relative}/{name}"), local.get(f"{relative}/{name}")):
            if expected is not None and digest != expected:
                raise InputError(
                    f"'{path}' is not the published file (sha256 {digest[:12]}..., expected {expected[:12]}...): "
                    f"replace it, or remove its folder to have it downloaded again."
                )


def _local_sums(raw: Path) -> dict[str, str]:
    """Checksums of the data folder that ``raw`` lies in: lines ``<sha256>  <path>``."""
    path = raw.parents[2] / _SUMS
    if not path.is_file():
        return {}
    lines = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())
    return {entry[1].lstrip("*").strip(): entry[0] for entry in lines if len(entry) == 2}


def _names(dataset: Any) -> list[str]:
    names = dataset.raw_file_names
    return [names] if isinstance(names, str) else list(names)


def _cache() -> Path:
    return home() / "datasets"


def _link(raw: Path, link: Path) -> None:
    try:
        link.symlink_to(raw, target_is_directory=True)
    except OSError:  # a file system without links
        shutil.copytree(raw, link)


def _keep(raw: Path, target: Path) -> None:
    """Move freshly downloaded raw files into the cache; another process may have done so first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        os.replace(raw, target)
