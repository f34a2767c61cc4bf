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
        """From one value per item; None, NaN and empty strings mean unknown, a list or tuple means several values.

        Whole numbers are written without decimals, whatever their type: 1994.0 is "1994".

        Args:
            column: [num_items] values.
        """
        numbers: dict[str, int] = {}
        rows: set[tuple[int, int]] = set()
        for item, value in enumerate(column):
            several = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
            for one in several:
                if (text := value_text(one)) is not None:
                    rows.add((item, numbers.setdefault(text, len(numbers))))
        return cls(torch.tensor(sorted(rows), dtype=torch.long).view(-1, 2), tuple(numbers))

    def items_of(self, value: Any) -> Tensor:
        """Ids of the items with a value, ascending; a number is the value that is written so.

        Raises:
            InputError: No item has it; the nearest values are listed.
        """
        text = value_text(value)
        if text not in self.values:
            known = nearest(str(value), list(self.values[:20_000]))[:300] if self.values else "no item has any value of it."
            raise InputError(f"no item has the value '{value}': {known}")
        return self.pairs[self.pairs[:, 1] == self.values.index(text), 0]

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


def value_text(value: Any) -> str | None:
    """A value as text, as it is asked for: whole numbers without decimals; None where it is unknown.

    Example:
        >>> [value_text(value) for value in (1994.0, 1994, " UMG ", float("nan"), None, "")]
        ['1994', '1994', 'UMG', None, None, None]
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas' own, which is not imported for this
        return None
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(plain, float):
        if plain != plain:
            return None
        plain = int(plain) if plain.is_integer() and abs(plain) < 2**53 else plain
    return str(plain).strip() or None


def as_item_features(features: Mapping[str, Any], num_items: int, alive: Tensor) -> dict[str, Tensor]:
    """Feature tables, checked: float32 [num_items, F] by modality. A row of NaN says that an item lacks the modality.

    Raises:
        InputError: Wrong shape or type, or a live row with some values that are not finite.
    """
    clean: dict[str, Tensor] = {}
    for name, table in features.items():
        try:
            rows = torch.as_tensor(_dense(table)).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"features['{name}'] must be an array of numbers, got {type(table).__name__}.") from None
        if rows.dim() != 2 or rows.size(0) != num_items or rows.size(1) == 0:
            raise InputError(
                f"features['{name}'] must have one row per item, shape [{num_items}, F]; got shape {list(rows.shape)}."
            )
        if rows.is_complex() or rows.dtype == torch.bool:
            raise InputError(f"features['{name}'] must hold real numbers, got {str(rows.dtype).removeprefix('torch.')}.")
        # Half precision overflows in sums and norms, so it is widened before anything else.
        rows = rows.float().contiguous().masked_fill(~alive.view(-1, 1), float("nan"))
        finite = rows.isfinite()
        partly = alive & ~finite.all(1) & ~rows.isnan().all(1)
        if bool(partly.any()):
            raise InputError(
                f"features['{name}'] has NaN or infinite values in items {show_ids(partly.nonzero().view(-1))}: fill them, "
                f"or make the whole row NaN where an item has no '{name}'."
            )
        clean[name] = rows
    return clean


def _dense(table: Any) -> Any:
    """Frames and sparse matrices as plain arrays."""
    if isinstance(table, Tensor):
        return table.to_dense() if table.layout != torch.strided else table
    for way in ("toarray", "to_numpy"):  # scipy, pandas
        if callable(getattr(table, way, None)):
            return getattr(table, way)()
    return table


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
