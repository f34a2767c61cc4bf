"""What a graph is made of, checked one thing at a time: every sentence names the ids, the shape or the type that does not fit."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.edge_index import sorted_edges
from graphforget.graphs.features import plain
from graphforget.requests import show_ids
from graphforget.requests.keys import canonical_pairs, column_keys, difference, key_rows, row_keys

TARGET = "target"  # what y is called where it holds numbers or several labels rather than classes


def holds_targets(y: Any) -> bool:
    """Whether y holds real numbers, or several columns of labels."""
    return isinstance(y, Tensor) and (y.is_floating_point() or (y.dim() == 2 and y.size(1) > 1))


def checked_count(num_nodes: Any) -> int:
    """The number of nodes, at least 1."""
    try:
        count = operator.index(num_nodes)
    except TypeError:
        count = 0
    if count < 1:
        raise InputError(f"num_nodes must be an integer of at least 1, got {num_nodes!r}.")
    return count


def checked_mask(alive: Any, num_nodes: int) -> Tensor:
    """Which nodes are alive, [N] bool."""
    if not isinstance(alive, Tensor) or alive.dtype != torch.bool or tuple(alive.shape) != (num_nodes,):
        raise InputError(f"alive must be a boolean tensor of shape [{num_nodes}].")
    return alive.detach().cpu()


def _integers(tensor: Any, what: str, shape: str) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise InputError(
            f"{what} must be an integer tensor of shape {shape}, got {type(tensor).__name__}; convert with torch.as_tensor(...)."
        )
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(
            f"{what} must be an integer tensor of shape {shape}, got dtype "
            f"{str(tensor.dtype).removeprefix('torch.')}; convert with .long()."
        )
    return plain(tensor).long()


def checked_edges(edge_index: Any, num_nodes: int, alive: Tensor) -> Tensor:
    """``edge_index`` [2, E] of known, live nodes, sorted by source, then target."""
    edges = _integers(edge_index, "edge_index", "[2, E]")
    if edges.dim() != 2 or edges.size(0) != 2:
        hint = "; transpose it with .t()" if edges.dim() == 2 and edges.size(1) == 2 else ""
        raise InputError(f"edge_index must have shape [2, E], got {list(edges.shape)}{hint}.")
    flat = torch.unique(edges)
    outside = flat[(flat < 0) | (flat >= num_nodes)]
    if len(outside):
        raise InputError(f"edge_index names unknown nodes {show_ids(outside)}: the graph has nodes 0 to {num_nodes - 1}.")
    dead = flat[~alive[flat]]
    if len(dead):
        raise InputError(f"edge_index touches nodes {show_ids(dead)}, which are not alive.")
    return sorted_edges(edges, num_nodes)


def checked_direction(edge_index: Tensor, num_nodes: int, undirected: bool | None) -> bool:
    """Whether every edge has its reverse, which ``undirected=True`` promises."""
    sizes = (num_nodes, num_nodes)
    lonely = difference(torch.unique(column_keys(edge_index, sizes)), column_keys(edge_index.flip(0), sizes))
    if undirected and len(lonely):
        rows = key_rows(lonely, sizes)
        raise InputError(
            f"undirected=True, but edges {show_ids(rows)} lack their reverse: list both directions "
            f"(torch_geometric.utils.to_undirected), or give undirected=False."
        )
    return not len(lonely) if undirected is None else bool(undirected)


def checked_labels(y: Any, num_nodes: int, num_classes: int | None) -> tuple[Tensor | None, int]:
    """(class numbers [N] with -1 where there is none, number of classes)."""
    if y is None:
        return None, num_classes or 0
    labels = _integers(y, "y", f"[{num_nodes}]")
    if labels.dim() == 2 and labels.size(1) == 1:
        labels = labels.view(-1)
    if tuple(labels.shape) != (num_nodes,):
        raise InputError(
            f"y must hold one class number per node, shape [{num_nodes}]; got {list(labels.shape)}. "
            f"Leave y out where the nodes have no classes."
        )
    if bool((labels < -1).any()):
        rows = (labels < -1).nonzero().view(-1)
        raise InputError(f"y has negative labels at nodes {show_ids(rows)}: classes count from 0, and -1 means no label.")
    classes = int(labels.max()) + 1 if num_classes is None else int(num_classes)
    if int(labels.max()) >= classes:
        rows = (labels >= classes).nonzero().view(-1)
        raise InputError(
            f"y has labels up to {int(labels.max())} (nodes {show_ids(rows)}), but num_classes is {classes}: "
            f"labels must lie in 0..{classes - 1}."
        )
    return labels, classes


def checked_splits(splits: Any, num_nodes: int, alive: Tensor, edge_index: Tensor, undirected: bool) -> dict[str, Tensor]:
    """Parts of nodes [n] or of pairs [n, 2], canonical and disjoint."""
    if not isinstance(splits, Mapping):
        raise InputError(f"splits must be a mapping like {{'train': ids, 'val': ids, 'test': ids}}, got {type(splits).__name__}.")
    clean: dict[str, Tensor] = {}
    for part, value in splits.items():
        if isinstance(value, Tensor) and value.dtype == torch.bool:
            value = _mask_ids(value, part, num_nodes)
        rows = _integers(value, f"split '{part}'", "[n] (node ids) or [n, 2] (pairs)")
        if rows.dim() not in (1, 2) or (rows.dim() == 2 and rows.size(1) != 2):
            raise InputError(f"split '{part}' must have shape [n] (node ids) or [n, 2] (pairs), got {list(rows.shape)}.")
        flat = torch.unique(rows)
        unknown = flat[(flat < 0) | (flat >= num_nodes)]
        if len(unknown):
            raise InputError(f"split '{part}' names unknown nodes {show_ids(unknown)}: the graph has nodes 0 to {num_nodes - 1}.")
        if not bool(alive[flat].all()):
            raise InputError(f"split '{part}' names nodes {show_ids(flat[~alive[flat]])}, which are not alive.")
        clean[part] = flat if rows.dim() == 1 else canonical_pairs(rows, undirected, num_nodes)
    if len({rows.dim() for rows in clean.values()}) > 1:
        raise InputError("splits mixes node ids [n] and pairs [n, 2]: give node ids for node tasks, pairs for link tasks.")
    if any(rows.dim() == 2 for rows in clean.values()):
        _disjoint_pairs(clean, edge_index, undirected, num_nodes)
    else:
        times = torch.bincount(torch.cat([*clean.values(), torch.empty(0, dtype=torch.long)]), minlength=num_nodes)
        if bool((times > 1).any()):
            raise InputError(f"nodes {show_ids((times > 1).nonzero().view(-1))} are in more than one split.")
    return clean


def _mask_ids(mask: Tensor, part: str, num_nodes: int) -> Tensor:
    if tuple(mask.shape) != (num_nodes,):
        raise InputError(f"split '{part}' is a boolean mask of shape {list(mask.shape)}, expected [{num_nodes}].")
    return mask.nonzero().view(-1)


def _disjoint_pairs(splits: dict[str, Tensor], edge_index: Tensor, undirected: bool, num_nodes: int) -> None:
    """Every positive stands in one place, and no sampled non-edge is an edge."""
    if "train" in splits:
        raise InputError(
            "splits has pairs under 'train', but the training pairs of a link task are the edges themselves: leave 'train' out."
        )
    sizes = (num_nodes, num_nodes)
    seen = row_keys(canonical_pairs(edge_index.t(), undirected, num_nodes), sizes)
    where = "the training edges (edge_index)"
    for part in sorted(splits, key=lambda name: (name.endswith("_neg"), name)):
        keys = row_keys(splits[part], sizes)
        twice = splits[part][torch.isin(keys, seen)]
        if len(twice):
            raise InputError(f"pairs {show_ids(twice)} of split '{part}' are also in {where}: splits must not overlap.")
        if not part.endswith("_neg"):
            seen, where = torch.cat([seen, keys]), "the training edges or another split"
