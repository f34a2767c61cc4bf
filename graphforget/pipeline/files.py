"""Data in one file: ``.npz`` or ``.safetensors`` with named arrays. Nothing is unpickled.

Which arrays stand in it decides what it is:

- a graph: ``edge_index`` [2, E]; optional ``x`` [N, F], ``y`` [N] (-1: no label), ``num_nodes``, and for node tasks the node
  ids or boolean masks ``train``, ``val``, ``test``; for link tasks the pairs ``val``, ``test``, ``val_neg``, ``test_neg``;
- independent samples: ``x`` [N, ...] and ``y`` [N], with sample ids or masks ``train``, ``val``, ``test``;
- interactions: pairs ``train`` [n, 2] (user, item), optional ``val``, ``test``, ``canary``, ``num_users``, ``num_items``;
  or what :func:`~graphforget.pipeline.interaction_files.write_interactions` wrote, with features, attributes and names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphforget.base import TensorData
from graphforget.base.checkpoint import load_tensors
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.interactions import Interactions
from graphforget.pipeline.interaction_files import is_interactions_file, read_interactions_file
from graphforget.registry import nearest

SUFFIXES = (".npz", ".safetensors")
PARTS = ("train", "val", "test", "val_neg", "test_neg", "canary")
_KNOWN = {
    "a graph": ("edge_index", "x", "y", "num_nodes", "num_classes", *PARTS[:5]),
    "samples": ("x", "y", "num_classes", "train", "val", "test"),
    "interactions": ("num_users", "num_items", "train", "val", "test", "canary"),
}


def read_data(path: str | Path) -> GraphData | TensorData | Interactions:
    """Read a data file.

    Raises:
        InputError: Missing, unreadable, unknown arrays, or content that is no graph, samples or interactions.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"there is no data file '{path}': give a {' or '.join(SUFFIXES)} file or the name of a dataset "
            f"(graphforget list datasets)."
        )
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"'{path}' is no data file that graphforget reads: save the arrays edge_index, x, y, ... "
            f"with numpy.savez as .npz, or as .safetensors."
        )
    if path.suffix == ".safetensors" and is_interactions_file(path):
        return read_interactions_file(path)
    arrays = load_tensors(path) if path.suffix == ".safetensors" else _read_npz(path)
    kind = "a graph" if "edge_index" in arrays else "samples" if "x" in arrays else "interactions" if "train" in arrays else None
    if kind is None:
        raise InputError(
            f"'{path}' holds {', '.join(sorted(arrays)) or 'no arrays'}: a graph needs edge_index, "
            f"samples need x and y, interactions need train."
        )
    for name in arrays:
        if name not in _KNOWN[kind]:
            raise InputError(f"'{path}' is {kind} and has an unknown array '{name}'; {nearest(name, list(_KNOWN[kind]))}")
    try:
        return _make(kind, arrays, path.stem)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from None


def _make(kind: str, arrays: dict[str, Tensor], name: str) -> GraphData | TensorData | Interactions:
    splits = {part: _ids(part, arrays[part]) for part in PARTS if part in arrays}
    number: dict[str, Any] = {key: _number(key, arrays[key]) for key in _KNOWN[kind] if key.startswith("num_") and key in arrays}
    if kind == "interactions":
        return Interactions.create(splits, name=name, **number)
    y = arrays.get("y")
    if y is not None and not y.is_floating_point():
        y = y.long()
    if kind == "samples":
        if y is None or "train" not in splits:
            raise InputError("samples need x, y and train (sample ids or a boolean mask).")
        return TensorData.create(arrays["x"], y, splits, name=name, **number)
    edge_index, x = arrays["edge_index"], arrays.get("x")
    nodes = number.pop("num_nodes", None)
    if nodes is None:
        nodes = len(x) if x is not None and x.dim() else int(edge_index.max()) + 1 if edge_index.numel() else 1
    return GraphData.create(edge_index, nodes, x=None if x is None else x.float(), y=y, splits=splits, name=name, **number)


def _number(name: str, values: Tensor) -> int:
    if values.numel() != 1 or values.is_floating_point():
        raise InputError(f"{name} must be one whole number, got shape {list(values.shape)}.")
    return int(values)


def _ids(name: str, values: Tensor) -> Tensor:
    """Ids from ids or from a boolean mask."""
    if values.is_floating_point():
        raise InputError(f"{name} must hold whole numbers or a boolean mask, got {str(values.dtype).removeprefix('torch.')}.")
    return values.nonzero().view(-1) if values.dtype == torch.bool else values.long()


def _read_npz(path: Path) -> dict[str, Tensor]:
    import zipfile

    import numpy

    try:
        with numpy.load(path, allow_pickle=False) as archive:
            content: dict[str, Any] = {name: archive[name] for name in archive.files}
        return {name: torch.from_numpy(numpy.ascontiguousarray(array)).reshape(array.shape) for name, array in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"'{path}' is not a readable .npz file of number arrays ({str(error).splitlines()[0]}); "
            f"write it with numpy.savez(file, edge_index=..., x=..., y=...)."
        ) from None
