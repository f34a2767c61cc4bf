"""Forgotten content made unusable, so that whoever reads it afterwards is seen."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphforget.interactions import Interactions, ItemAttribute
from graphforget.requests import ForgetSplit, Lineage
from graphforget.testing.report import NotApplicable
from graphforget.testing.snapshots import tensors_of


def forgets_content(split: ForgetSplit) -> bool:
    """Whether a request takes away content that :func:`spoiled` can make unusable, not structure only."""
    if isinstance(split.data, Interactions):
        return any(bool(rows.any()) for rows in _gone_features(split.data, split.retain_data).values())
    return {"x"} <= {name for name, _ in tensors_of(split.data)} and bool(_gone_rows(split).any())


def spoiled(split: ForgetSplit, *, whole_original: bool, reads_forget: bool = False) -> ForgetSplit:
    """The same split with the content of everything forgotten made unusable.

    Inputs become NaN and labels wrong. Item features become wrong numbers, as NaN there only says that an item lacks the
    modality; attributes of items become wrong values. The retained data stay as they are, but what they descend from is
    spoiled too, so that structures which are edited instead of built anew, such as item-item graphs, are edited from it.

    Args:
        split: The real one.
        whole_original: Spoil *all* of the original data, for methods that do not declare to read it; interactions are then
            all others.
        reads_forget: Leave forgotten content alone in the data where a method that declares to read it may do so.

    Raises:
        NotApplicable: The forgotten content lies in structure only, where nothing can be unusable.
    """
    if isinstance(split.data, Interactions):
        whole, partly, between = _interactions(split, whole_original)
    else:
        whole, partly, between = _examples(split, whole_original, reads_forget)
    made = copy.copy(split)
    lineage = split.lineage
    if lineage.data is split.data:
        lineage = Lineage(partly, lineage.request, lineage.digests)
    made.lineage = lineage
    made.data = whole if whole_original else split.data if reads_forget else partly
    made.__dict__["retain_data"] = after = dataclasses.replace(split.retain_data, lineage=lineage)
    if reads_forget:
        made.__dict__["unlinked_data"] = split.unlinked_data
    elif split.unlinked_data is split.data:
        made.__dict__["unlinked_data"] = made.data
    else:
        made.__dict__["unlinked_data"] = after if split.unlinked_data is split.retain_data else between
    return made


# ---- examples with inputs x -----------------------------------------------------------------------------------
def _gone_rows(split: ForgetSplit) -> Tensor:
    """Rows of ``x`` that are forgotten, bool."""
    before, after = split.data, split.retain_data
    rows = torch.zeros(before.x.size(0), dtype=torch.bool)
    if "alive" in {name for name, _ in tensors_of(before)}:
        rows = before.alive & ~after.alive
    rows[split.request.ids("node_feature")] = True
    return rows


def _examples(split: ForgetSplit, whole_original: bool, reads_forget: bool) -> tuple[Any, Any, Any]:
    """The original all spoiled, the original spoiled where forgotten, and the unlinked data spoiled where forgotten.

    Labels stay for a method that reads what is forgotten: they say what a request of classes means.
    """
    before = split.data
    names = {name for name, _ in tensors_of(before)}
    if "x" not in names or before.x is None or not before.x.is_floating_point() or before.x.layout != torch.strided:
        raise NotApplicable("the data has no dense floating-point content that could be NaN")
    rows, features = _gone_rows(split), split.request.ids("node_feature")
    if not bool(rows.any()) and not whole_original:
        raise NotApplicable("the request forgets structure only, and the method declares to read the original structure")

    def spoil(data: Any, everything: bool) -> Any:
        x = data.x.clone()
        x[slice(None) if everything else rows] = float("nan")
        changes: dict[str, Any] = {"x": x}
        if not reads_forget and "y" in names and data.y is not None and not data.y.is_floating_point() and data.num_classes > 1:
            y = data.y.clone()
            gone = rows & (y >= 0)
            gone[features] = False  # a node whose features go keeps its label
            y[gone] = (y[gone] + 1) % data.num_classes
            changes["y"] = y
        return dataclasses.replace(data, **changes)

    return spoil(before, True), spoil(before, False), spoil(split.unlinked_data, False)


# ---- interactions with item content ---------------------------------------------------------------------------
def _gone_features(before: Interactions, after: Interactions) -> dict[str, Tensor]:
    """By modality, the items whose features were there and are forgotten, bool [num_items]."""
    nothing = torch.full((before.num_items, 1), float("nan"))
    return {
        name: table.isfinite().all(1) & ~after.features.get(name, nothing).isfinite().all(1)
        for name, table in before.features.items()
    }


def _interactions(split: ForgetSplit, whole_original: bool) -> tuple[Interactions, Interactions, Interactions]:
    """As :func:`_examples`."""
    before, after = split.data, split.retain_data
    gone = _gone_features(before, after)
    items = before.alive_items & ~after.alive_items
    if not whole_original and not bool(items.any()) and not any(bool(rows.any()) for rows in gone.values()):
        raise NotApplicable("the request forgets interactions only, and the method declares to read the original ones")

    def spoil(data: Interactions, rows: Mapping[str, Tensor], known: Tensor, pairs: Mapping[str, Tensor]) -> Interactions:
        return dataclasses.replace(
            data,
            splits=pairs,
            features={name: _wrong_features(table, rows[name]) for name, table in data.features.items()},
            attributes={name: _wrong_values(one, known) for name, one in data.attributes.items()},
        )

    every = {name: table.isfinite().all(1) for name, table in before.features.items()}
    others = {part: _other_items(before, pairs) for part, pairs in before.splits.items()}
    return (
        spoil(before, every, before.alive_items, others),
        spoil(before, gone, items, before.splits),
        spoil(split.unlinked_data, gone, items, after.splits),
    )


def _wrong_features(table: Tensor, rows: Tensor) -> Tensor:
    """Other finite numbers in some rows, in another direction and of another length."""
    wrong = table.clone()
    wrong[rows] = 50.0 - 7.0 * table[rows].flip(1)
    return wrong


def _wrong_values(attribute: ItemAttribute, items: Tensor) -> ItemAttribute:
    """The next value instead of the true one for some items, bool [num_items]."""
    pairs = attribute.pairs.clone()
    rows = items[pairs[:, 0]]
    pairs[rows, 1] = (pairs[rows, 1] + 1) % max(len(attribute.values), 1)
    return dataclasses.replace(attribute, pairs=torch.unique(pairs, dim=0))


def _other_items(data: Interactions, pairs: Tensor) -> Tensor:
    """As many interactions of the same users, each with the live item after its own."""
    live = data.alive_items.nonzero().view(-1)
    place = torch.searchsorted(live, pairs[:, 1].contiguous())
    return torch.unique(torch.stack([pairs[:, 0], live[(place + 1) % len(live)]], 1), dim=0)
