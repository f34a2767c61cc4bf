"""The items of every user, to be left out of lists and of draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphforget.requests.keys import KeySet, column_keys, key_columns, row_keys


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
