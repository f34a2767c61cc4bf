"""Interactions in one ``.safetensors`` file, with what is known of items and which of them are forgotten; nothing is unpickled.

Tensors hold the parts, the marks and the feature tables; names and the values of attributes are JSON text in the file's header.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.home import replacing
from graphforget.interactions import Interactions, ItemAttribute

_FORMAT = "graphforget.interactions/1"


def write_interactions(data: Interactions, path: str | Path) -> Path:
    """Write interactions; :func:`~graphforget.pipeline.read_data` reads them back with the same digest.

    Args:
        data: Interactions of which nothing is remembered that is not in them (no lineage).
        path: A ``.safetensors`` file; written under a temporary name and renamed.

    Raises:
        InputError: Retained data of a request, which only mean something beside the first data; or another ending.

    Example:
        >>> import tempfile
        >>> from graphforget.pipeline import read_data
        >>> data = Interactions.create({"train": [[0, 0], [1, 2]]}, attributes={"publisher": ["Plume", None, "Pocket"]})
        >>> file = write_interactions(data, tempfile.mkdtemp() + "/books.safetensors")
        >>> read_data(file).digest() == data.digest()
        True
    """
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"interactions are written to a .safetensors file, got '{path}'.")
    if data.lineage is not None:
        raise InputError(f"'{data.name}' are the retained data of a request: keep the first data and the request instead.")
    tensors = {f"part.{part}": pairs for part, pairs in data.splits.items()}
    tensors |= {"alive_users": data.alive_users, "alive_items": data.alive_items}
    tensors |= {f"feature.{name}": table for name, table in data.features.items()}
    tensors |= {f"attribute.{name}": one.pairs for name, one in data.attributes.items()}
    tensors |= {f"user_data.{name}": table for name, table in data.user_data.items()}
    tensors |= {f"item_data.{name}": table for name, table in data.item_data.items()}
    text = {
        "name": data.name,
        "values": {name: one.values for name, one in data.attributes.items()},
        "user_names": data.user_names,
        "item_names": data.item_names,
        "notes": data.notes,
    }
    with replacing(path) as temporary:
        header = {"format": _FORMAT, "text": json.dumps(text, ensure_ascii=False)}
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, str(temporary), metadata=header)
    return path


def is_interactions_file(path: Path) -> bool:
    """Whether :func:`write_interactions` wrote the file."""
    return _header(path).get("format") == _FORMAT


def read_interactions_file(path: Path) -> Interactions:
    """Read what :func:`write_interactions` wrote.

    Raises:
        InputError: Damaged content.
    """
    from graphforget.base.checkpoint import load_tensors

    tensors = load_tensors(path)
    try:
        text = json.loads(_header(path)["text"])
        alive: dict[str, Tensor] = {side: tensors[f"alive_{side}"] for side in ("users", "items")}
        attributes = {name: ItemAttribute(tensors[f"attribute.{name}"], tuple(v)) for name, v in text["values"].items()}
        found = Interactions.create(
            _named("part.", tensors),
            num_users=len(alive["users"]),
            num_items=len(alive["items"]),
            name=text["name"],
            features=_named("feature.", tensors),
            attributes=attributes,
            user_data=_named("user_data.", tensors),
            item_data=_named("item_data.", tensors),
            user_names=text["user_names"],
            item_names=text["item_names"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"'{path}' is a damaged file of interactions ({type(error).__name__}: {error}).") from None
    if any(marks.dtype != torch.bool for marks in alive.values()):
        raise InputError(f"'{path}' is a damaged file of interactions: the alive marks must be boolean.")
    return replace(found, alive_users=alive["users"], alive_items=alive["items"]).noted(*text.get("notes", ()))


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _header(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}  # whoever reads the tensors says what is wrong
