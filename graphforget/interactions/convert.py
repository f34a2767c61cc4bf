"""Interactions from and to PyTorch Geometric's ``HeteroData``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions.checks import RESERVED
from graphforget.interactions.data import Interactions

_PARTS = ("train", "val", "test", "canary")


def is_hetero(data: Any) -> bool:
    """Whether this is a ``HeteroData``; torch_geometric is not imported to find out."""
    return any(cls.__name__ == "HeteroData" for cls in type(data).__mro__)


def from_hetero(data: Any, *, user: str = "user", item: str = "item", name: str = "interactions") -> Interactions:
    """Interactions from the one edge type that leads from users to items.

    Every edge is an interaction. Boolean masks ``train_mask``, ``val_mask``, ``test_mask`` and ``canary_mask`` on the edge store
    say which part it is in; without a ``train_mask`` what the others leave is for training. Floating-point matrices with one row
    per item become features under their own names, all other tensors with one row per user or item become ``user_data`` and
    ``item_data``, and nodes whose ``alive`` is False are absent. Repeated edges count once; what edges have besides is noted.

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
    features, beside, unread = {}, {user: {}, item: {}}, []  # type: ignore[var-annotated]
    for kind in (user, item):
        for key, value in data[kind].items():
            if key in ("num_nodes", "alive"):
                continue
            rows = isinstance(value, Tensor) and value.layout == torch.strided and value.dim() and len(value) == count[kind]
            if rows and kind == item and value.dim() == 2 and value.is_floating_point():
                features[str(key)] = value
            elif rows and str(key).isidentifier() and str(key) not in RESERVED:
                beside[kind][str(key)] = value
            else:
                unread.append(f"{kind}.{key}")
    known = ("edge_index", *(f"{part}_mask" for part in _PARTS))
    unread += [f"edge.{key}" for key in dict(store.items()) if key not in known]
    splits = {part: pairs[held[part]] for part in _PARTS if part in held}
    absent = {kind: (~alive).nonzero().view(-1) for kind in (user, item) if isinstance(alive := data[kind].get("alive"), Tensor)}
    made = Interactions.create(
        splits,
        num_users=count[user],
        num_items=count[item],
        name=name,
        features=features,
        user_data=beside[user],
        item_data=beside[item],
        absent_users=_some(absent.get(user)),
        absent_items=_some(absent.get(item)),
    )
    left = len(pairs) - sum(int(mask.sum()) for mask in held.values())
    notes = [f"{left:,} of {len(pairs):,} edges are in no part, and are left out"] if left else []
    notes += [f"not read of the HeteroData, as interactions have no place for it: {', '.join(unread)}"] if unread else []
    return made.noted(*notes, warn=True)


def _some(ids: Tensor | None) -> Any:
    return () if ids is None or not len(ids) else ids


def to_hetero(data: Interactions) -> Any:
    """A ``HeteroData`` with node types ``user`` and ``item`` and edges ``("user", "takes", "item")``, masks for the parts.

    Features and further tables keep their names on the stores; ``alive`` marks of both node types say what is forgotten.

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
    for kind, tables in (("item", data.features), ("user", data.user_data), ("item", data.item_data)):
        for key, table in tables.items():
            result[kind][key] = table.clone()
    store = result["user", "takes", "item"]
    parts = [(part, data.part(part)) for part in _PARTS if part != "canary" or part in data.splits]
    store.edge_index = torch.cat([pairs for _, pairs in parts]).t().contiguous()
    which = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(pairs) for _, pairs in parts]))
    for number, (part, _) in enumerate(parts):
        store[f"{part}_mask"] = which == number
    return result
