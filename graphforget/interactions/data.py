"""Interactions: who took what, and what the items are. Implicit feedback as (user, item) pairs; ids never move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphforget.base import content_digest
from graphforget.exceptions import InputError, say
from graphforget.interactions.content import ItemAttribute, as_attributes, as_item_features
from graphforget.registry import nearest
from graphforget.requests import DeletionRequest, Lineage, OwnNames, as_ids, as_positions, resolve_names, show_ids
from graphforget.requests.keys import KeySet, column_keys, key_columns, key_rows, row_keys
from graphforget.requests.names import as_names

# Of which entities the ids of a request consist.
_PARTS = {"user": ("user",), "item": ("item",), "interaction": ("user", "item"), "modality": ("item",)}


@dataclass(frozen=True, eq=False)
class Positives:
    """The items of every user in CSR form, for masking and for drawing negatives.

    Attributes:
        rowptr: [num_users + 1] int64; the items of user u are ``items[rowptr[u]:rowptr[u + 1]]``, ascending.
        items: [n] int64.
        num_items: Number of items.
    """

    rowptr: Tensor
    items: Tensor
    num_items: int

    @classmethod
    def from_pairs(cls, pairs: Tensor, num_users: int, num_items: int) -> Positives:
        """From rows (user, item), [n, 2], in any order and without repetitions."""
        sizes = (num_users, num_items)
        keys = row_keys(pairs, sizes).sort().values
        rowptr = torch.zeros(num_users + 1, dtype=torch.long)
        rowptr[1:] = torch.bincount(pairs[:, 0], minlength=num_users).cumsum(0)
        return cls(rowptr, key_columns(keys, sizes)[1], num_items)

    @cached_property
    def keys(self) -> Tensor:
        """Key of every pair (see :meth:`Interactions.keys`), ascending, [n]."""
        users = torch.repeat_interleave(torch.arange(len(self.rowptr) - 1), self.rowptr.diff())
        return column_keys((users, self.items), self._sizes)

    @property
    def _sizes(self) -> tuple[int, int]:
        return len(self.rowptr) - 1, self.num_items

    def counts(self) -> Tensor:
        """Number of items per user, [num_users]."""
        return self.rowptr.diff()

    @cached_property
    def _set(self) -> KeySet:
        return KeySet(self.keys, places=32, most=2**28)

    def contains(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        """Whether each pair is among them, bool [n]."""
        return self._set.contains(column_keys((user_id, item_id), self._sizes))

    def of(self, user_id: Tensor) -> Tensor:
        """Pairs (position in ``user_id``, item) of these users, [m, 2]: what a ranked list must leave out."""
        start, count = self.rowptr[user_id], self.counts()[user_id]
        rows = torch.repeat_interleave(torch.arange(len(user_id)), count)
        within = torch.arange(len(rows)) - torch.repeat_interleave(count.cumsum(0) - count, count)
        return torch.stack([rows, self.items[start[rows] + within]], 1)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Implicit feedback of users on items; an example is a row (user_id, item_id).

    Attributes:
        splits: Pairs of ``train``, ``val`` and ``test`` (and ``canary``, see
            :func:`~graphforget.interactions.with_canaries`), each [n, 2] int64, sorted, unique, and in one part only.
        num_users: Number of user slots, forgotten ones included.
        num_items: Number of item slots, forgotten ones included.
        alive_users: [num_users] bool; False for forgotten users.
        alive_items: [num_items] bool; False for forgotten items.
        name: For reports.
        lineage: Set on retained data.
        features: Item features by modality, each [num_items, F] float32; NaN in rows of forgotten items and of items that lack
            the modality.
        attributes: What else is known of items, e.g. ``publisher``; see :class:`~graphforget.interactions.ItemAttribute`.
        user_names: The users' own names by id, where they have some; they are no part of the digest.
        item_names: The items' own names by id, likewise.
        notes: What a reader should know of how the data were read, in sentences; no part of the digest.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 2]], "test": [[1, 0]]})
        >>> data.num_users, data.num_items, data.positives.counts().tolist()
        (2, 3, [2, 1])
    """

    splits: Mapping[str, Tensor]
    num_users: int
    num_items: int
    alive_users: Tensor
    alive_items: Tensor
    name: str = "interactions"
    lineage: Lineage | None = field(default=None, repr=False)
    features: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    attributes: Mapping[str, ItemAttribute] = field(default_factory=dict, repr=False)
    user_names: tuple[str, ...] | None = field(default=None, repr=False)
    item_names: tuple[str, ...] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def create(
        cls,
        splits: Mapping[str, object],
        *,
        num_users: int | None = None,
        num_items: int | None = None,
        name: str = "interactions",
        features: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
        user_names: Sequence[Any] | None = None,
        item_names: Sequence[Any] | None = None,
        absent_users: Any = (),
        absent_items: Any = (),
    ) -> Interactions:
        """A validated container.

        Args:
            splits: Pairs (user, item), [n, 2], of ``train`` and, where there are some, ``val``, ``test`` and ``canary``.
            num_users: Number of users; by default the largest user id plus one, and ids below it that nothing is known of are
                noted.
            num_items: Number of items, likewise.
            name: For reports.
            features: Item features by modality, each [num_items, F]; a row of NaN where an item lacks the modality.
            attributes: By name, one value (or a list of values, or None) per item, or an ``ItemAttribute``.
            user_names: The users' own names, [num_users].
            item_names: The items' own names, [num_items].
            absent_users: Ids at which there is no user, such as the padding row 0 of some libraries: never trained on or served.
            absent_items: Ids at which there is no item: never a negative, never recommended.

        Raises:
            InputError: No training pairs, a wrong shape or type, ids out of range, a pair in two parts, or features, attributes
                or names that do not fit the items.
        """
        if not isinstance(splits, Mapping) or "train" not in splits:
            raise InputError(
                "splits must be a mapping with at least 'train', for example "
                "{'train': pairs, 'val': pairs, 'test': pairs} with pairs of shape [n, 2]."
            )
        clean: dict[str, Tensor] = {}
        given = 0
        for part, pairs in splits.items():
            if part != "train" and torch.as_tensor(pairs).numel() == 0:
                clean[part] = torch.empty((0, 2), dtype=torch.long)
                continue
            if torch.as_tensor(pairs).numel() == 0:
                raise InputError("split 'train' is empty: a recommender needs at least one interaction to learn from.")
            clean[part] = as_ids(pairs, "interaction")
            given += len(pairs)  # type: ignore[arg-type]
        every = torch.cat(list(clean.values()))
        sizes = []
        for column, (what, size) in enumerate((("user", num_users), ("item", num_items))):
            largest = int(every[:, column].max())
            if size is not None and largest >= size:
                raise InputError(
                    f"the interactions name {what} {largest}, but num_{what}s is {size}: ids must lie in 0..{size - 1}."
                )
            sizes.append(largest + 1 if size is None else int(size))
        keys = row_keys(every, sizes).sort().values
        twice = torch.unique(keys[1:][keys[1:] == keys[:-1]])
        if len(twice):
            raise InputError(
                f"interactions {show_ids(key_rows(twice, sizes))} are in more than one split: keep each pair in one of "
                f"{', '.join(clean)}."
            )
        alive_users, alive_items = (
            _alive(what, size, gone, every[:, column])
            for column, (what, size, gone) in enumerate((("user", sizes[0], absent_users), ("item", sizes[1], absent_items)))
        )
        gone = ~alive_items
        data = cls(
            clean,
            sizes[0],
            sizes[1],
            alive_users,
            alive_items,
            name,
            features=as_item_features(features or {}, sizes[1], alive_items),
            attributes={
                key: one.without(gone) if bool(gone.any()) else one
                for key, one in as_attributes(attributes or {}, sizes[1]).items()
            },
            user_names=_names("user", user_names, alive_users),
            item_names=_names("item", item_names, alive_items),
        )
        if given > len(every):
            data = data.noted(f"{given - len(every):,} of {given:,} given interactions repeat another, and count once")
        for name_, table in data.features.items():
            empty = int((table == 0).all(1).sum())
            if empty:
                data = data.noted(f"{empty:,} items have a row of zeros in '{name_}'; a row of NaN says that an item lacks it")
        gaps = [data._gaps(kind) for kind, size in (("user", num_users), ("item", num_items)) if size is None]
        return data.noted(*(gap for gap in gaps if gap), warn=True)

    def _gaps(self, kind: str) -> str | None:
        """A note where there are ids that no interaction, feature, attribute or name knows."""
        column, names = (0, self.user_names) if kind == "user" else (1, self.item_names)
        alive = self.alive_users if kind == "user" else self.alive_items
        known = ~alive if names is None else torch.ones_like(alive)
        for pairs in self.splits.values():
            known[pairs[:, column]] = True
        if kind == "item":
            for table in self.features.values():
                known |= table.isfinite().all(1)
            for one in self.attributes.values():
                known[one.pairs[:, 0]] = True
        unknown = (~known).nonzero().view(-1)
        if not len(unknown):
            return None
        role = "may be recommended" if kind == "item" else "have nothing to learn from"
        return (
            f"ids of {kind}s run to {len(alive) - 1}, but nothing is known of {len(unknown):,} of them ({show_ids(unknown)}), "
            f"which count as {kind}s and {role}: number {kind}s without gaps, as from_frame does, or pass absent_{kind}s=[...]; "
            f"num_{kind}s= says that they exist"
        )

    @property
    def positives(self) -> Positives:
        """Training items per user. Built anew on every access; ``Recommendation.context`` keeps it."""
        return Positives.from_pairs(self.splits["train"], self.num_users, self.num_items)

    @property
    def modalities(self) -> dict[str, int]:
        """Width of every feature table by modality, sorted by name: what a model that reads features is built with."""
        return {name: table.size(1) for name, table in sorted(self.features.items())}

    def part(self, name: str) -> Tensor:
        """Pairs of a part, [n, 2]; empty where there is none."""
        return self.splits.get(name, torch.empty((0, 2), dtype=torch.long))

    def keys(self, pairs: Tensor) -> Tensor:
        """One integer per pair (user, item) [n, 2], see :mod:`graphforget.requests.keys`; [n]."""
        return row_keys(pairs, (self.num_users, self.num_items))

    def alive(self, pairs: Tensor) -> Tensor:
        """Whether both ends of each pair exist, bool [n]."""
        return self.alive_users[pairs[:, 0]] & self.alive_items[pairs[:, 1]]

    def items_with(self, attribute: str, value: Any) -> Tensor:
        """Ids of the live items with a value of an attribute: one request for "everything of this publisher".

        Raises:
            InputError: An unknown attribute or value; the nearest are listed.
        """
        if attribute not in self.attributes:
            known = nearest(attribute, list(self.attributes)) if self.attributes else "it has none."
            raise InputError(f"'{self.name}' has no item attribute '{attribute}': {known}")
        return as_positions(self.attributes[attribute].items_of(value))

    # ---- own names ----------------------------------------------------------------------------------------
    def user_ids(self, names: Any) -> Tensor:
        """Ids of users by their own names, [n] in the order of the names.

        Args:
            names: One name or several; a whole number is the name that is written so.

        Raises:
            InputError: Users have no names here, or not these; the nearest are listed.

        Example:
            >>> data = Interactions.create({"train": [[0, 0], [1, 0]]}, user_names=["ann", "007"])
            >>> data.user_ids("007").tolist(), data.user_ids(["ann"]).tolist()
            ([1], [0])
        """
        return self.own_names("user").positions(as_names(names, "user"))

    def item_ids(self, names: Any) -> Tensor:
        """Ids of items by their own names; see :meth:`user_ids`."""
        return self.own_names("item").positions(as_names(names, "item"))

    def own_names(self, kind: str) -> OwnNames:
        """The names of all ``"user"`` or ``"item"`` positions, forgotten ones included where the first data are known."""
        return self._own_names[kind]

    @cached_property
    def _own_names(self) -> dict[str, OwnNames]:
        first = self if self.lineage is None else self.lineage.data
        return {
            "user": OwnNames("user", first.user_names, self.num_users, self.name),
            "item": OwnNames("item", first.item_names, self.num_items, self.name),
        }

    def plain_ids(self, kind: str, ids: Any) -> Tensor:
        """Users or items that a caller named by numbers, as ids; a number that could also be a name is refused.

        Args:
            kind: ``"user"`` or ``"item"``.
            ids: Integers or a boolean mask; not checked where :func:`~graphforget.requests.as_positions` marked them.

        Raises:
            InputError: No ids, an ambiguous one, or a mask of another length than there are users or items.
        """
        request = DeletionRequest.users(ids) if kind == "user" else DeletionRequest.items(ids)
        return self.resolved(request).ids(kind)

    def resolved(self, request: DeletionRequest) -> DeletionRequest:
        """The request with ids for names, and with the names of all that it asks for.

        Raises:
            InputError: Unknown names, ids that could also be names, or a boolean mask of the wrong length.
        """
        return resolve_names(request, self._own_names, _PARTS)

    def noted(self, *notes: str, warn: bool = False) -> Interactions:
        """The same data with further notes; ``warn`` also says them at once."""
        if not notes:
            return self
        sentences = tuple(f"{note[0].upper()}{note[1:].removesuffix('.')}." for note in notes)
        if warn:
            say(sentences)
        return replace(self, notes=(*self.notes, *sentences))

    def with_lineage(self, lineage: Lineage | None) -> Interactions:
        """The same content with another past."""
        return replace(self, lineage=lineage)

    @cached_property
    def _digest(self) -> str:
        known = {name: (one.pairs, one.values) for name, one in self.attributes.items()}
        return content_digest(
            dict(self.splits), self.num_users, self.num_items, self.alive_users, self.alive_items, dict(self.features), known
        )

    def digest(self) -> str:
        """Content digest (sha256)."""
        return self._digest


def _alive(what: str, size: int, absent: Any, used: Tensor) -> Tensor:
    """Which ids stand for something, bool [size]."""
    alive = torch.ones(size, dtype=torch.bool)
    if not isinstance(absent, Tensor) and not len(absent):
        return alive
    gone = as_ids(absent, what)
    if int(gone.max()) >= size:
        raise InputError(f"absent_{what}s names {what} {int(gone.max())}, but there are {size} {what}s.")
    alive[gone] = False
    if bool((~alive[used]).any()):
        raise InputError(f"{what}s {show_ids(torch.unique(used[~alive[used]]))} have interactions, and are said to be absent.")
    return alive


def _names(what: str, names: Sequence[Any] | None, alive: Tensor) -> tuple[str, ...] | None:
    if names is None:
        return None
    if len(names) != len(alive):
        raise InputError(f"{what}_names has {len(names)} names, but there are {len(alive)} {what}s.")
    text = tuple(str(name) if there else "" for name, there in zip(names, alive.tolist(), strict=True))
    twice = [name for name, count in Counter(text).items() if name and count > 1]
    if twice:
        more = f" and {len(twice) - 1} more names stand twice" if len(twice) > 1 else ""
        raise InputError(f"{text.count(twice[0])} {what}s are named '{twice[0]}'{more}: give every {what} a name of its own.")
    return text
