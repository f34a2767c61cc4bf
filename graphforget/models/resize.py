"""A recommender follows its data to other numbers of slots: rows move, are dropped, or are made fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from graphforget import seed as seeds
from graphforget.base.capabilities import RowBlock, config_of, has_entity_rows
from graphforget.base.edits import edits_in, replay
from graphforget.base.model import device_of
from graphforget.exceptions import InputError
from graphforget.interactions.resize import Slots


def resized(model: nn.Module, slots: Slots, *, seed: int = 0) -> nn.Module:
    """A copy of a model for data that was compacted or that got new items.

    Rows of users and items go where their slots are; a new slot has the row that a fresh model has. All else is copied.

    Args:
        model: Says by ``entity_rows()`` which rows belong to whom, and by ``config``, with ``num_users`` and ``num_items``, how
            it was made.
        slots: From :func:`~graphforget.interactions.compact` or :func:`~graphforget.interactions.add_items`.
        seed: Seed of fresh rows.

    Raises:
        InputError: The model cannot be resized; the sentence says why.

    Example:
        >>> from graphforget.interactions import Interactions, add_items
        >>> from graphforget.models import BPRMF
        >>> model = BPRMF(2, 3, dim=4)
        >>> data, slots = add_items(Interactions.create({"train": [[0, 0], [1, 2]]}), 1)
        >>> larger = resized(model, slots)
        >>> larger.item_embedding.weight.shape, bool((larger.item_embedding.weight[:3] == model.item_embedding.weight).all())
        (torch.Size([4, 4]), True)
    """
    what, config = type(model).__name__, config_of(model)
    if config is None or not {"num_users", "num_items"} <= set(config):
        raise InputError(f"{what} cannot grow or shrink: its config does not say num_users and num_items; train a new one.")
    if (config["num_users"], config["num_items"]) != (slots.num_users, slots.num_items):
        raise InputError(
            f"{what} was made for {config['num_users']} users and {config['num_items']} items, but the slots are for "
            f"{slots.num_users} and {slots.num_items}."
        )
    with seeds.isolated(seed):
        fresh = type(model)(**config | {"num_users": len(slots.users), "num_items": len(slots.items)})
    replay(fresh, edits_in(model))
    ids = {"user": slots.users, "item": slots.items}
    old_rows, new_rows = _rows(model), _rows(fresh)
    state, target = dict(model.state_dict()), dict(fresh.state_dict())
    moved = {block.parameter for blocks in old_rows.values() for block in blocks}
    for name, table in state.items():
        if name not in moved and target[name].shape != table.shape:
            raise InputError(
                f"{what} cannot grow or shrink: '{name}' of shape {list(table.shape)} is no table of user or item rows; "
                f"train a new one on the new data."
            )
    with torch.no_grad():
        for name, table in state.items():
            if name not in moved:
                target[name].copy_(table)
        for kind, blocks in old_rows.items():
            kept = (ids[kind] >= 0).nonzero().view(-1)
            for old, new in zip(blocks, new_rows[kind], strict=True):
                rows = state[old.parameter][old.offset + old.stride * ids[kind][kept].to(state[old.parameter].device)]
                target[new.parameter][new.offset + new.stride * kept] = rows.to(target[new.parameter])
    fresh.to(device_of(model))
    return fresh.train(model.training)


def _rows(model: nn.Module) -> Mapping[str, Sequence[RowBlock]]:
    return model.entity_rows() if has_entity_rows(model) else {}
