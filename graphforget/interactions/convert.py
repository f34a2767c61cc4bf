"""Interactions from and to PyTorch Geometric's ``HeteroData``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions

_PARTS = ("train", "val", "test", "canary")


def is_hetero(data: Any) -> bool:
    """Whether this is a ``HeteroData``; torch_geometric is not imported to find out."""
    return any(cls.__name__ == "HeteroData" for cls in type(data).__mro__)


def from_hetero(data: Any, *, user: str = "user", item: str = "item", name: str = "interactions") -> Interactions:
    """Interactions from the one edge type that leads from users to items.

    Every edge is an interaction. Boolean masks ``train_mask``, ``val_mask``, ``test_mask`` and ``canary_mask`` on the edge store
    say which part it is in; without a ``train_mask`` what the others leave is for training. Floating-point matrices with one row
    per item become features under their own names. Repeated edges count once.

    Args:
        data: A ``torch_geometric.data.HeteroData``.
        user: Node type of the users.
        item: Node type of the items.
        name: For reports.

    Raises:
        InputError: Not a HeteroData, no or several edge types from users to items, or masks of another length.
    """
    if not is_hetero(data):
        raise InputError(f"from_hetero needs a torch_geometric.data.HeteroData, got {type(data).__name__}.")
    types = [kind for kind in data.edge_types if (kind[0], kind[2]) == (user, item)]
    if len(types) != 1:
        found = ", ".join(str(kind) for kind in data.edge_types) or "none"
        raise InputError(
            f"the data must have one edge type from '{user}' to '{item}', found {len(types)} among {found}; name the node "
            f"types with user= and item=."
        )
    store = data[types[0]]
    pairs = store.edge_index.t().cpu()
    masks = {part: getattr(store, f"{part}_mask", None) for part in _PARTS}
    for part, mask in masks.items():
        if mask is not None and (mask.dtype != torch.bool or mask.shape != pairs.shape[:1]):
            raise InputError(f"{part}_mask must be boolean with one value per edge, [{len(pairs)}]; got {list(mask.shape)}.")
    held = {part: mask.cpu() for part, mask in masks.items() if mask is not None}
    if "train" not in held:
        rest = torch.ones(len(pairs), dtype=torch.bool)
        for mask in held.values():
            rest &= ~mask
        held["train"] = rest
    count = {kind: int(data[kind].num_nodes) for kind in (user, item)}
    features = {
        str(key): value
        for key, value in data[item].items()
        if isinstance(value, Tensor) and value.dim() == 2 and len(value) == count[item] and value.is_floating_point()
    }
    splits = {part: pairs[held[part]] for part in _PARTS if part in held}
    return Interactions.create(splits, num_users=count[user], num_items=count[item], name=name, features=features)


def to_hetero(data: Interactions) -> Any:
    """A ``HeteroData`` with node types ``user`` and ``item`` and edges ``("user", "takes", "item")``, masks for the parts.

    Features keep their names on the item store; ``alive`` marks of both node types say what is forgotten.

    Args:
        data: Interactions.

    Example:
        >>> hetero = to_hetero(Interactions.create({"train": [[0, 0], [1, 2]], "test": [[0, 1]]}))
        >>> hetero["user", "takes", "item"].test_mask.tolist()
        [False, False, True]
    """
    from torch_geometric.data import HeteroData

    result = HeteroData()
    result["user"].num_nodes, result["item"].num_nodes = data.num_users, data.num_items
    result["user"].alive, result["item"].alive = data.alive_users.clone(), data.alive_items.clone()
    for key, table in data.features.items():
        result["item"][key] = table.clone()
    store = result["user", "takes", "item"]
    parts = [(part, data.part(part)) for part in _PARTS if part != "canary" or part in data.splits]
    store.edge_index = torch.cat([pairs for _, pairs in parts]).t().contiguous()
    which = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(pairs) for _, pairs in parts]))
    for number, (part, _) in enumerate(parts):
        store[f"{part}_mask"] = which == number
    return result
