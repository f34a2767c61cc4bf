"""Own names: what people call users, items and nodes, beside the positions that the library counts from 0.

Two ways lead to an entity: its position in the data, and the name that it has there ("B007", or a raw id such as 1193). They must
not be taken for one another: a number that could be either is refused, and the sentence says how to give each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests.keys import show_ids

Names = tuple[Any, ...]  # str per id, (str, str) per pair, (str, str, str) per triple
_TOGETHER = {2: ("pairs", ("ann", "B007")), 3: ("triples", ("ann", "knows", "bob"))}


def as_positions(ids: Tensor) -> Tensor:
    """Mark ids as positions, so that a request made of this tensor need not say so. What is computed from it is not marked.

    Example:
        >>> from graphforget.requests import DeletionRequest
        >>> DeletionRequest.items(as_positions(torch.tensor([3]))) == DeletionRequest.items(ids=[3])
        True
    """
    ids.are_positions = True  # type: ignore[attr-defined]
    return ids


def are_positions(ids: Any) -> bool:
    """Whether :func:`as_positions` marked these ids."""
    return isinstance(ids, Tensor) and bool(getattr(ids, "are_positions", False))


def as_names(names: Any, kind: str, *, width: int = 1, some: bool = False) -> Names:
    """Own names as text: one name, or a sequence of them; for pairs a sequence of (name, name), and so on.

    Args:
        names: Text or whole numbers.
        kind: Of which kind of target, for messages.
        width: How many names belong together.
        some: Whether "" stands for none.

    Raises:
        InputError: Neither text nor whole numbers, an empty name, or not as many together as belong together.

    Example:
        >>> as_names("ann", "user"), as_names([7, "007"], "user")
        (('ann',), ('7', '007'))
    """
    if isinstance(names, (str, int)):
        names = [names]
    if not isinstance(names, Iterable):
        raise InputError(f"names of {kind}s must be text, for example names=['ann', 'bob']; got {type(names).__name__}.")
    if width == 1:
        return tuple(_one_name(name, kind, some) for name in names)
    found = []
    for row in names:
        if isinstance(row, (str, int)) or not isinstance(row, Iterable) or len(row := tuple(row)) != width:
            what, example = _TOGETHER[width]
            raise InputError(f"names of {kind}s must be {what}, for example names=[{example}]; got {row!r}.")
        found.append(tuple(_one_name(name, kind, some) for name in row))
    return tuple(found)


def _one_name(name: Any, kind: str, some: bool) -> str:
    plain = name.item() if hasattr(name, "item") and getattr(name, "ndim", 0) == 0 else name
    if isinstance(plain, bool) or not isinstance(plain, (str, int)):
        raise InputError(f"names of {kind}s must be text or whole numbers, got {plain!r}.")
    if plain == "" and not some:
        raise InputError(f"the name of one {kind} is empty: give it as it stands in the data.")
    return str(plain)


@dataclass(frozen=True, eq=False)
class OwnNames:
    """The names that one kind of entity has in some data.

    Attributes:
        kind: ``"user"``, ``"item"`` or ``"node"``.
        names: By position; "" where there is none. None where the data have no names at all.
        size: Number of positions.
        where: What the data are called, for messages.

    Example:
        >>> items = OwnNames("item", ("50", "1193"), 2, "log")
        >>> items.positions(["1193"]).tolist()
        [1]
        >>> items.check_plain(torch.tensor([50]))
        Traceback (most recent call last):
            ...
        graphforget.exceptions.InputError: item 50 could be the item named '50', which is at position 0 of 'log', \
or the item at position 50, which is not there: give names=['50'] for the one, ids=[50] for the other.
    """

    kind: str
    names: tuple[str, ...] | None
    size: int
    where: str

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names or ()) if name}

    @cached_property
    def _elsewhere(self) -> dict[int, int]:
        """Numbers that are the name of another position than the one they count: number to that position."""
        read = ((name, position) for name, position in self._position.items() if name.isdecimal() and len(name) <= 18)
        return {int(name): position for name, position in read if int(name) != position}

    def positions(self, names: Sequence[str]) -> Tensor:
        """Positions of some names, [n] int64, in their order.

        Raises:
            InputError: The data have no names, or not these; the nearest are listed.
        """
        if self.names is None:
            raise InputError(
                f"'{self.where}' has no names of {self.kind}s: give ids, which count its {self.size} {self.kind}s from 0."
            )
        unknown = [name for name in names if name not in self._position]
        if unknown:
            more = f" ({len(unknown)} of {len(names)} names are unknown)" if len(unknown) > 1 else ""
            near = nearest(unknown[0], self._near(unknown[0]))[:300]
            raise InputError(f"'{self.where}' has no {self.kind} named '{unknown[0]}'{more}: {near}")
        return as_positions(torch.tensor([self._position[name] for name in names], dtype=torch.long))

    def check_plain(self, ids: Tensor) -> None:
        """Refuse plain ids of which one could also be the name of another entity.

        Raises:
            InputError: Such an id; the sentence says how to give a name and how to give a position.
        """
        if self.names is None or not self._elsewhere:
            return
        found = next((number for number in ids.tolist() if number in self._elsewhere), None)
        if found is None:
            return
        named = self.names[self._elsewhere[found]]
        there = f"named '{self.names[found]}'" if found < self.size else "which is not there"
        raise InputError(
            f"{self.kind} {found} could be the {self.kind} named '{named}', which is at position {self._elsewhere[found]} of "
            f"'{self.where}', or the {self.kind} at position {found}, {there}: give names=['{named}'] for the one, "
            f"ids=[{found}] for the other."
        )

    def listed(self, ids: Any) -> Tensor:
        """Plain ids in the order in which a caller lists them, repetitions kept, int64 [n].

        Raises:
            InputError: No whole numbers, unknown or ambiguous ones, or a boolean mask of another length than there are entities.
        """
        try:
            found = torch.as_tensor(ids).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            raise InputError(
                f"{self.kind}s are listed by ids, which are whole numbers, or by names=[...]; got {ids!r}."
            ) from None
        if not found.numel():
            return torch.empty(0, dtype=torch.long)
        if found.is_floating_point() or found.is_complex() or (found.dtype == torch.bool and found.shape != (self.size,)):
            raise InputError(
                f"{self.kind}s must be listed as whole numbers, or as a boolean mask of length {self.size}; got "
                f"{str(found.dtype).removeprefix('torch.')} of shape {list(found.shape)}."
            )
        found = found.nonzero().view(-1) if found.dtype == torch.bool else found.long().view(-1)
        # All positions in order are meant as such, and so is what as_positions marked.
        if not are_positions(ids) and not torch.equal(found, torch.arange(self.size)):
            self.check_plain(found)
        unknown = found[(found < 0) | (found >= self.size)]
        if len(unknown):
            raise InputError(f"unknown {self.kind}s {show_ids(unknown)}: '{self.where}' has {self.kind}s 0 to {self.size - 1}.")
        return found

    def check_named(self, ids: Tensor, names: Sequence[str]) -> None:
        """Refuse positions whose names are not those that a request recorded with them.

        Raises:
            InputError: The data number their entities otherwise than those that the request was made for.
        """
        if self.names is None:
            return
        for position, name in zip(ids.tolist(), names, strict=True):
            there = self.names[position] if position < self.size else None
            if name and there != "" and there != name:
                now = "is not there" if there is None else f"is '{there}'"
                raise InputError(
                    f"the request names {self.kind} {position} '{name}', but in '{self.where}' {self.kind} {position} {now}: "
                    f"the request was made for other data; make it anew from the names."
                )

    def of(self, ids: Tensor) -> tuple[str, ...]:
        """Names at positions, "" where there is none."""
        return tuple(self.names[i] if self.names is not None and i < self.size else "" for i in ids.tolist())

    def _near(self, name: str) -> list[str]:
        """Names among which to look for a near one: all of few, else those that begin or end alike."""
        known = list(self._position)
        if len(known) <= 5_000:
            return known
        bare = name.strip().lstrip("0")
        alike = [one for one in known if one.strip().lstrip("0") == bare or one[:3] == name[:3] or one[-3:] == name[-3:]]
        return (alike or known)[:5_000]
