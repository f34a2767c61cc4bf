"""What a deletion request means for interactions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_items, remove_modality, remove_pairs, remove_users
from graphforget.interactions.edit import check_entities, check_modality
from graphforget.requests import DeletionRequest, ForgetSplit, Lineage, as_positions, show_ids


def split_interactions(data: Interactions, request: DeletionRequest, *, propagates: Callable[[], bool]) -> ForgetSplit:
    """Resolve a request of users, items, interactions and modalities; see ``Recommendation.split``.

    Args:
        data: The interactions.
        request: What must go.
        propagates: Whether the model reads the interactions and the content of items as its input, so that the unlinked data
            lack what was removed of them. Asked when they are first read.

    Raises:
        InputError: Unknown or already forgotten ids, an unknown modality, or nothing left to retain.
    """
    request = data.resolved(request)
    users, items = request.ids("user"), request.ids("item")
    check_entities(data, users, "user")
    check_entities(data, items, "item")
    pairs = _check_pairs(data, request.ids("interaction"))
    for name, named in request.modalities.items():
        check_modality(data, name, named)
    dead_user, dead_item = ~data.alive_users, ~data.alive_items
    dead_user[users], dead_item[items] = True, True
    train = data.splits["train"]
    ended = dead_user[train[:, 0]] | dead_item[train[:, 1]]
    gone = ended | torch.isin(data.keys(train), data.keys(pairs))
    if bool(gone.all()):
        raise InputError("the request removes every training interaction: nothing would be left to retain.")
    removed, retain = train[gone], train[~gone]
    # An item that goes takes all of its content along.
    content = {name: named[~dead_item[named]] for name, named in request.modalities.items()}
    bare = _among(data.num_items, torch.cat([pairs[:0, 0], *content.values()]))
    altered = bare[retain[:, 1]]
    near = torch.isin(retain[:, 0], torch.cat([removed[:, 0], retain[altered, 0]])) | torch.isin(retain[:, 1], removed[:, 1])

    def without_content(result: Interactions) -> Interactions:
        for name, named in content.items():
            result = remove_modality(result, name, as_positions(named)) if len(named) else result
        return result

    def forget(lineage: Lineage) -> Interactions:
        result = without_content(data)
        result = remove_pairs(result, as_positions(pairs)) if len(pairs) else result
        result = remove_users(result, as_positions(users)) if len(users) else result
        result = remove_items(result, as_positions(items)) if len(items) else result
        return result.with_lineage(lineage)

    def unlink() -> Interactions:
        if not propagates():
            return data
        result = without_content(data)
        return remove_pairs(result, as_positions(removed)) if len(removed) else result

    deny = {kind: ids for kind, ids in (("user", users), ("item", items)) if len(ids)}
    return ForgetSplit(
        request=request,
        data=data,
        unlink=unlink,
        forget=forget,
        removed=removed,
        altered=retain[altered],
        affected=retain[near & ~altered],
        retain=retain,
        readable=~ended[gone],
        deny=deny,
        region=lambda: {
            "users": _among(data.num_users, torch.cat([removed[:, 0], retain[altered, 0]])) & ~dead_user,
            "items": (_among(data.num_items, removed[:, 1]) | bare) & ~dead_item,
        },
    )


def _among(size: int, ids: Tensor) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[ids] = True
    return mask


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
