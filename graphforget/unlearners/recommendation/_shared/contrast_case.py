"""A deletion as it is contrasted: what is forgotten returns as new, and removed pairs stand beside matched others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphforget.interactions import Interactions
from graphforget.requests import ForgetSplit
from graphforget.requests.keys import column_keys
from graphforget.unlearners.recommendation._shared.contrast import Contrast, matched

HELD_OUT = {"canary": "canary", "val": "validation"}  # parts that are never trained on, and what their pairs are called
OTHERS = 16  # matched others per pair
_WINDOW = 30  # how far away they lie in the order of activity


@dataclass(frozen=True, eq=False)
class Returning:
    """One deletion to be worked off: what goes, and the two sets of pairs that are compared.

    Attributes:
        data: What scores are read on.
        named: Users and items whose rows are put back, by kind; items that lose a modality by ``"modality:image"``.
        members: Removed pairs, with matched others that measure.
        pushed: The same pairs with another draw of others, for the steps: what a step pushes must not measure it.
        unseen: Pairs that were never trained on, of the same items (of the same users for forgotten users), with matched others.
        unseen_are: What they are: ``"canary pairs"``, ``"validation pairs"`` or ``"canary and validation pairs"``.
        remember: Whose rows hold what is to be forgotten: users for forgotten items, items for forgotten users, both for
            interactions, where both rows stand.
    """

    data: Interactions
    named: Mapping[str, Tensor]
    members: Contrast
    pushed: Contrast
    unseen: Contrast
    unseen_are: str
    remember: tuple[str, ...]


def returning(
    kind: str, split: ForgetSplit, gone: Tensor, named: Mapping[str, Tensor], generator: torch.Generator
) -> Returning | None:
    """The deletion of ``gone`` as seen through one kind of removed pair; None where there is none.

    A removed pair is of its item's kind if the item goes and the user stays, of its user's kind the other way round, and an
    interaction where both stay. Where both go nothing of the pair is left that could be read.
    """
    before: Interactions = split.data
    sizes = {"user": before.num_users, "item": before.num_items}
    dead = {k: torch.zeros(size, dtype=torch.bool).index_fill(0, named[k], True) for k, size in sizes.items()}

    def of_kind(pairs: Tensor) -> Tensor:
        user, item = dead["user"][pairs[:, 0]], dead["item"][pairs[:, 1]]
        return pairs[{"item": item & ~user, "user": user & ~item, "interaction": ~user & ~item}[kind]]

    train = before.part("train")
    train = train[~torch.isin(before.keys(train), before.keys(gone))]
    members, side = of_kind(gone), 1 if kind == "user" else 0
    if kind == "user":
        back, members = _halves(members, generator)
        train = torch.cat([train, back])
        train = train[before.keys(train).argsort()]
    # The lineage lets the nearest items of the first data serve here too: content is as it was.
    data = replace(split.unlinked_data, splits={"train": train}, lineage=split.lineage)
    taken = torch.cat([before.keys(before.part(part)) for part in ("train", *HELD_OUT)])
    alive = (before.alive_users, before.alive_items)[side] & ~dead["item" if side else "user"]
    activity = torch.bincount(train[:, side], minlength=len(alive))

    def contrast(pairs: Tensor) -> Contrast:
        return matched(
            pairs,
            side,
            activity,
            alive,
            lambda user, item: torch.isin(column_keys((user, item), (before.num_users, before.num_items)), taken),
            count=OTHERS,
            window=_WINDOW,
            generator=generator,
        )

    found, pushed = contrast(members), contrast(members)
    held = {what: of_kind(before.part(part)) for part, what in HELD_OUT.items()}
    held = {what: pairs[torch.isin(pairs[:, 1 - side], members[:, 1 - side])] for what, pairs in held.items()}
    unseen = torch.cat(list(held.values()))
    remember = {"item": ("user",), "user": ("item",), "interaction": ("user", "item")}[kind]
    what = " and ".join(name for name, pairs in held.items() if len(pairs)) + " pairs"
    return Returning(data, named, found, pushed, contrast(unseen), what, remember) if len(found) and len(pushed) else None


def _halves(pairs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every user's pairs in two random halves, the first one larger by one where the number is odd."""
    mixed = pairs[torch.randperm(len(pairs), generator=generator)]
    mixed = mixed[torch.argsort(mixed[:, 0], stable=True)]
    count = torch.bincount(mixed[:, 0])
    place = torch.arange(len(mixed)) - (count.cumsum(0) - count)[mixed[:, 0]]
    second = place % 2 == 1
    return mixed[~second], mixed[second]
