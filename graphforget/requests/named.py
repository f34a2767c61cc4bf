"""A request that gives names, made one of positions in some data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from graphforget.exceptions import InputError
from graphforget.requests.names import Names, OwnNames
from graphforget.requests.request import DeletionRequest
from graphforget.requests.target import Target


def resolve_names(request: DeletionRequest, own: Mapping[str, OwnNames], parts: Mapping[str, tuple[str, ...]]) -> DeletionRequest:
    """The request with positions for names, and with the names of all that it asks for; what is ambiguous is refused.

    Args:
        request: As it was given.
        own: Names by kind of entity, e.g. ``{"user": ..., "item": ...}``.
        parts: Of which entities a target's ids consist, e.g. ``{"user": ("user",), "interaction": ("user", "item")}``; targets of
            other kinds are left as they are.

    Raises:
        InputError: Unknown names, ids that could also be names, or a boolean mask of another length than there are entities.
    """
    targets = [_resolve(target, [own[part] for part in parts[target.kind]]) if target.kind in parts else target
               for target in request.targets]  # fmt: skip
    return replace(request, targets=tuple(targets))


def _resolve(target: Target, own: Sequence[OwnNames]) -> Target:
    for length in target.masks:
        if length != own[0].size:
            raise InputError(
                f"the {own[0].kind}s of the request were given as a boolean mask of length {length}, but '{own[0].where}' has "
                f"{own[0].size} {own[0].kind}s: give a mask with one value per {own[0].kind}, or ids."
            )
    single = len(own) == 1
    if target.by_name:
        columns = [target.names] if single else list(zip(*target.names, strict=True))
        found = [one.positions(column) for one, column in zip(own, columns, strict=True)]
        ids = found[0].clone() if single else torch.stack(found, 1)
    else:
        ids = target.ids
        for column, one in enumerate(own):
            at = ids if single else ids[:, column]
            if target.names:
                one.check_named(at, target.names if single else [pair[column] for pair in target.names])
            elif not target.positions:
                one.check_plain(at)
    named = [one.of(ids if single else ids[:, column]) for column, one in enumerate(own)]
    names: Names = () if all(one.names is None for one in own) else named[0] if single else tuple(zip(*named, strict=True))
    return replace(target, ids=ids, names=names, positions=False, masks=())
