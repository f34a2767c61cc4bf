"""Interactions: who took what, and what the items are. Implicit feedback as (user, item) pairs; ids never move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphforget.base import content_digest
from graphforget.exceptions import InputError, say
from graphforget.interactions.checks import (
    alive_marks,
    as_own_names,
    as_side_tables,
    check_disjoint,
    clean_parts,
    note_gaps,
    sizes_of_parts,
)
from graphforget.interactions.content import ItemAttribute, as_attributes, as_item_features
from graphforget.interactions.positives import Positives
from graphforget.registry import nearest
from graphforget.requests import DeletionRequest, Lineage, OwnNames, as_positions, resolve_names
from graphforget.requests.keys import row_keys
from graphforget.requests.names import as_names

# Of which entities the ids of a request consist.
_PARTS = {"user": ("user",), "item": ("item",), "interaction": ("user", "item"), "modality": ("item",)}


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
        user_data: Further tables with one row per user, such as context features, by the names that models ask for (``age``);
            rows of forgotten users are NaN, or 0 where the table holds integers.
        item_data: Further tables with one row per item, likewise.
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
    user_data: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    item_data: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
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
        user_data: Mapping[str, Any] | None = None,
        item_data: Mapping[str, Any] | None = None,
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
            user_data: Further tables with one row per user, [num_users, ...] each, by the names that models ask for.
            item_data: Further tables with one row per item, likewise.
            absent_users: Ids at which there is no user, such as the padding row 0 of some libraries: never trained on or served.
            absent_items: Ids at which there is no item: never a negative, never recommended.

        Raises:
            InputError: No training pairs, a wrong shape or type, ids out of range, a pair in two parts, or features, attributes
                or names that do not fit the items.
        """
        clean, given = clean_parts(splits)
        every = torch.cat(list(clean.values()))
        sizes = sizes_of_parts(every, num_users, num_items)
        check_disjoint(clean, sizes)
        alive_users = alive_marks("user", sizes[0], absent_users, every[:, 0])
        alive_items = alive_marks("item", sizes[1], absent_items, every[:, 1])
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
            user_names=as_own_names("user", user_names, alive_users),
            item_names=as_own_names("item", item_names, alive_items),
            user_data=as_side_tables("user", user_data, alive_users),
            item_data=as_side_tables("item", item_data, alive_items),
        )
        if given > len(every):
            data = data.noted(f"{given - len(every):,} of {given:,} given interactions repeat another, and count once")
        for name_, table in data.features.items():
            empty = int((table == 0).all(1).sum())
            if empty:
                data = data.noted(f"{empty:,} items have a row of zeros in '{name_}'; a row of NaN says that an item lacks it")
        unknown = []
        if num_users is None:
            unknown += note_gaps("user", alive_users, [every[:, 0]], data.user_names is not None)
        if num_items is None:
            known = [table.isfinite().all(1) for table in data.features.values()]
            known += [one.pairs[:, 0] for one in data.attributes.values()]
            unknown += note_gaps("item", alive_items, [every[:, 1], *known], data.item_names is not None)
        return data.noted(*unknown, warn=True)

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
        beside = [dict(tables) for tables in (self.user_data, self.item_data)]
        return content_digest(
            *(dict(self.splits), self.num_users, self.num_items, self.alive_users, self.alive_items, dict(self.features), known),
            *(beside if any(beside) else []),
        )

    def digest(self) -> str:
        """Content digest (sha256)."""
        return self._digest
