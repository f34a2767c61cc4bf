"""What is known of items: dense feature rows per modality, and attributes such as publisher, author or genre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests import show_ids


@dataclass(frozen=True, eq=False)
class ItemAttribute:
    """One attribute of items, single- or multi-valued.

    Attributes:
        pairs: [m, 2] int64 rows (item, number of the value), sorted and unique.
        values: The values by number.

    Example:
        >>> publisher = ItemAttribute.of_items(["Pocket", None, "Pocket", "Plume"])
        >>> publisher.items_of("Pocket").tolist(), publisher.counts()
        ([0, 2], {'Pocket': 2, 'Plume': 1})
    """

    pairs: Tensor
    values: tuple[str, ...]

    @classmethod
    def of_items(cls, column: Sequence[Any]) -> ItemAttribute:
        """From one value per item; None and empty strings mean unknown, a list or tuple means several values.

        Args:
            column: [num_items] values.
        """
        numbers: dict[str, int] = {}
        rows: set[tuple[int, int]] = set()
        for item, value in enumerate(column):
            several = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
            for one in several:
                if one is not None and str(one).strip():
                    rows.add((item, numbers.setdefault(str(one).strip(), len(numbers))))
        return cls(torch.tensor(sorted(rows), dtype=torch.long).view(-1, 2), tuple(numbers))

    def items_of(self, value: str) -> Tensor:
        """Ids of the items with a value, ascending.

        Raises:
            InputError: No item has it; the nearest values are listed.
        """
        if value not in self.values:
            raise InputError(f"no item has the value '{value}': {nearest(str(value), list(self.values[:20_000]))[:300]}")
        return self.pairs[self.pairs[:, 1] == self.values.index(value), 0]

    def counts(self) -> dict[str, int]:
        """Number of items per value, the most frequent first; values without an item are left out."""
        count = torch.bincount(self.pairs[:, 1], minlength=len(self.values))
        order = torch.argsort(count, descending=True, stable=True).tolist()
        return {self.values[number]: int(count[number]) for number in order if count[number]}

    def without(self, gone: Tensor) -> ItemAttribute:
        """The same attribute with nothing known of the items in ``gone`` [num_items] bool; unused values go too."""
        pairs = self.pairs[~gone[self.pairs[:, 0]]]
        used, number = torch.unique(pairs[:, 1], return_inverse=True)
        return ItemAttribute(torch.stack([pairs[:, 0], number], 1), tuple(self.values[v] for v in used.tolist()))


def as_item_features(features: Mapping[str, Any], num_items: int, alive: Tensor) -> dict[str, Tensor]:
    """Feature tables, checked: float32 [num_items, F] by modality. A row of NaN says that an item lacks the modality.

    Raises:
        InputError: Wrong shape or type, or a live row with some values that are not finite.
    """
    clean: dict[str, Tensor] = {}
    for name, table in features.items():
        try:
            rows = torch.as_tensor(table).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"features['{name}'] must be an array of numbers, got {type(table).__name__}.") from None
        if rows.dim() != 2 or rows.size(0) != num_items or rows.size(1) == 0:
            raise InputError(
                f"features['{name}'] must have one row per item, shape [{num_items}, F]; got shape {list(rows.shape)}."
            )
        if rows.is_complex() or rows.dtype == torch.bool:
            raise InputError(f"features['{name}'] must hold real numbers, got {str(rows.dtype).removeprefix('torch.')}.")
        # Half precision overflows in sums and norms, so it is widened before anything else.
        rows = rows.float().contiguous().clone()
        finite = rows.isfinite()
        partly = alive & ~finite.all(1) & ~rows.isnan().all(1)
        if bool(partly.any()):
            raise InputError(
                f"features['{name}'] has NaN or infinite values in items {show_ids(partly.nonzero().view(-1))}: fill them, "
                f"or make the whole row NaN where an item has no '{name}'."
            )
        clean[name] = rows
    return clean


def as_attributes(attributes: Mapping[str, Any], num_items: int) -> dict[str, ItemAttribute]:
    """Attributes, checked; a column of values becomes an :class:`ItemAttribute`.

    Raises:
        InputError: A column of another length than there are items, or items out of range.
    """
    clean: dict[str, ItemAttribute] = {}
    for name, column in attributes.items():
        if not isinstance(column, ItemAttribute):
            if len(column) != num_items:
                raise InputError(f"attributes['{name}'] has {len(column)} values, but there are {num_items} items.")
            column = ItemAttribute.of_items(list(column))
        elif len(column.pairs) and int(column.pairs[:, 0].max()) >= num_items:
            raise InputError(
                f"attributes['{name}'] names item {int(column.pairs[:, 0].max())}, but there are {num_items} items: "
                f"ids must lie in 0..{num_items - 1}."
            )
        if len(column.pairs) and int(column.pairs[:, 1].max()) >= len(column.values):
            raise InputError(
                f"attributes['{name}'] names value {int(column.pairs[:, 1].max())}, but there are {len(column.values)} values: "
                f"numbers must lie in 0..{len(column.values) - 1}."
            )
        clean[name] = column
    return clean
