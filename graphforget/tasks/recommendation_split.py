"""What a deletion request means for interactions."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_pairs, remove_users
from graphforget.interactions.edit import check_entities
from graphforget.requests import DeletionRequest, ForgetSplit, Lineage, show_ids


def split_interactions(data: Interactions, request: DeletionRequest, *, propagates: bool) -> ForgetSplit:
    """Resolve a request of users, items and interactions; see ``Recommendation.split``.

    Args:
        data: The interactions.
        request: What must go.
        propagates: Whether interactions are the model's input graph too, so that the unlinked data lack the removed ones.

    Raises:
        InputError: Unknown or already forgotten ids, or nothing left to retain.
    """
    users, items = request.ids("user"), request.ids("item")
    check_entities(data, users, "user")
    check_entities(data, items, "item")
    pairs = _check_pairs(data, request.ids("interaction"))
    dead_user, dead_item = ~data.alive_users, ~data.alive_items
    dead_user[users], dead_item[items] = True, True
    train = data.splits["train"]
    ended = dead_user[train[:, 0]] | dead_item[train[:, 1]]
    gone = ended | torch.isin(data.keys(train), data.keys(pairs))
    if bool(gone.all()):
        raise InputError("the request removes every training interaction: nothing would be left to retain.")
    removed, retain = train[gone], train[~gone]
    near = torch.isin(retain[:, 0], removed[:, 0]) | torch.isin(retain[:, 1], removed[:, 1])

    def forget(lineage: Lineage) -> Interactions:
        result = remove_pairs(data, pairs) if len(pairs) else data
        result = remove_users(result, users) if len(users) else result
        result = remove_items(result, items) if len(items) else result
        return result.with_lineage(lineage)

    def unlink() -> Interactions:
        return remove_pairs(data, removed) if len(removed) else data

    deny = {kind: ids for kind, ids in (("user", users), ("item", items)) if len(ids)}
    return ForgetSplit(
        request=request,
        data=data,
        unlink=unlink if propagates else "original",
        forget=forget,
        removed=removed,
        altered=train[:0],
        affected=retain[near],
        retain=retain,
        readable=~ended[gone],
        deny=deny,
        region=lambda: {
            "users": torch.isin(torch.arange(data.num_users), removed[:, 0]) & ~dead_user,
            "items": torch.isin(torch.arange(data.num_items), removed[:, 1]) & ~dead_item,
        },
    )


def _check_pairs(data: Interactions, pairs: Tensor) -> Tensor:
    if not len(pairs):
        return pairs
    outside = (pairs[:, 0] >= data.num_users) | (pairs[:, 1] >= data.num_items)
    if bool(outside.any()):
        raise InputError(
            f"unknown interactions {show_ids(pairs[outside])}: the data has users 0 to {data.num_users - 1} "
            f"and items 0 to {data.num_items - 1}."
        )
    keys = data.keys(pairs)
    missing = ~torch.isin(keys, torch.cat([data.keys(p) for p in data.splits.values()]))
    if bool(missing.any()):
        before = data.lineage.request.ids("interaction") if data.lineage else pairs[:0]
        done = missing & (~data.alive(pairs) | torch.isin(keys, data.keys(before)))
        if bool(done.any()):
            raise InputError(f"interactions {show_ids(pairs[done])} are already forgotten.")
        raise InputError(f"unknown interactions {show_ids(pairs[missing])}: they are in no part of '{data.name}'.")
    return pairs
