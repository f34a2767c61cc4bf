"""Rows of ids as single integers: edges, interactions, typed edges and triples are sorted, matched and told apart by them.

A row (a, b, c) of ids below sizes (A, B, C) has the key ``(a * B + b) * C + c``: its number when all rows are counted in order,
as in ``numpy.ravel_multi_index``. Keys sort as rows do, and comparing them is many times quicker than comparing rows. Ids must
lie in ``0 .. size - 1``; that is checked where ids enter (requests, data containers), not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError

_MOST = 2**63  # as many keys as int64 can count from 0


# ---- rows to keys and back -------------------------------------------------------------------------------------
def row_keys(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """One int64 per row, in the order of the rows.

    Args:
        rows: [n, k] integers, column j below ``sizes[j]``; or [n], which are their own keys.
        sizes: k numbers of ids.

    Returns:
        [n] int64.

    Raises:
        InputError: Keys would not fit 64 bits.

    Example:
        >>> row_keys(torch.tensor([[0, 2], [1, 0]]), (2, 3)).tolist()
        [2, 3]
    """
    return column_keys((rows,) if rows.dim() == 1 else rows.unbind(1), sizes)


def column_keys(columns: Sequence[Tensor] | Tensor, sizes: Sequence[int]) -> Tensor:
    """As :func:`row_keys`, of k columns of ids that need not be stacked, such as the two rows of an ``edge_index`` [2, n].

    Columns of any shapes that broadcast will do, on any device.
    """
    _check_sizes(sizes)
    keys = columns[0].long()
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        keys = keys * size + column
    return keys


def key_columns(keys: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """The columns of ids that :func:`column_keys` made keys of, each shaped as ``keys``."""
    _check_sizes(sizes)
    columns: list[Tensor] = []
    for size in reversed(sizes[1:]):
        rest = keys // max(size, 1)
        columns.append(keys - rest * max(size, 1))
        keys = rest
    return (keys, *reversed(columns))


def key_rows(keys: Tensor, sizes: Sequence[int]) -> Tensor:
    """The rows [n, k] of keys [n].

    Example:
        >>> key_rows(torch.tensor([2, 3]), (2, 3)).tolist()
        [[0, 2], [1, 0]]
    """
    return torch.stack(key_columns(keys, sizes), 1)


def sizes_of(*rows: Tensor) -> tuple[int, ...]:
    """For every column of some rows [n, k] the smallest size that holds all of its ids; 0 where there is none."""
    found = [part.amax(0).tolist() for part in rows if len(part)]
    width = rows[0].size(1)
    return tuple(max(part[column] for part in found) + 1 for column in range(width)) if found else (0,) * width


def _check_sizes(sizes: Sequence[int]) -> None:
    if math.prod(sizes) > _MOST:
        raise InputError(
            f"rows of ids below {', '.join(f'{size:,}' for size in sizes)} have no 64-bit key, because there are more than 2^63 "
            f"of them: number the ids from 0 without gaps."
        )


# ---- sets of keys ----------------------------------------------------------------------------------------------
def ascending(ids: Tensor) -> Tensor:
    """The ids in order, [n] on the CPU; numpy's sort of integers is several times quicker than torch's."""
    return torch.from_numpy(np.sort(ids.reshape(-1).numpy()))


def distinct(ids: Tensor) -> Tensor:
    """The ids in order, each once, [n] on the CPU."""
    ordered = ascending(ids)
    first = torch.ones(len(ordered), dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    return ordered if bool(first.all()) else ordered[first]


def contains(ordered: Tensor, keys: Tensor) -> Tensor:
    """Which keys are among the ascending ones, bool, shaped as ``keys``; the work follows the keys asked for."""
    if not len(ordered):
        return torch.zeros(keys.shape, dtype=torch.bool)
    at = torch.searchsorted(ordered, keys).clamp(max=len(ordered) - 1)
    return ordered[at] == keys


def first_of_each(ids: Tensor) -> Tensor:
    """Whether each id is the first of its value, [n] bool: ``ids[first_of_each(ids)]`` has each once, in the given order.

    Example:
        >>> first_of_each(torch.tensor([7, 2, 7, 2, 5])).tolist()
        [True, True, False, False, True]
    """
    ordered, where = ids.sort(stable=True)
    first = torch.ones(len(ids), dtype=torch.bool)
    first[where[1:]] = ordered[1:] != ordered[:-1]
    return first


class KeySet:
    """A large set of keys that is asked for few of them: a bitmap of hashes settles most look-ups, the others are searched.

    Args:
        keys: [m] int64, in any order.
        places: Places of the bitmap per key, a power of 2: about one absent key in so many is searched for. Twice as many are
            made where the number of keys is just above a power of 2.
        most: The largest number of places, a power of 2.

    Example:
        >>> KeySet(torch.tensor([5, 1])).contains(torch.tensor([1, 2])).tolist()
        [True, False]
    """

    def __init__(self, keys: Tensor, *, places: int = 32, most: int = 2**26) -> None:
        self.keys = keys if bool((keys[1:] >= keys[:-1]).all()) else keys.sort().values
        self._mask = min(max(places * 2 ** len(keys).bit_length(), 1024), most) - 1
        self._bitmap = torch.zeros(self._mask + 1, dtype=torch.bool)
        self._bitmap[self._hash(self.keys)] = True

    def _hash(self, keys: Tensor) -> Tensor:
        return ((keys * 2_654_435_761) >> 16) & self._mask  # multiplicative hashing (Knuth): consecutive keys land far apart

    def contains(self, keys: Tensor) -> Tensor:
        """Which of some keys [n] are in the set, [n] bool."""
        found = self._bitmap.index_select(0, self._hash(keys))
        rows = found.nonzero().view(-1)  # those in the set, and the few others that share a place with one
        if len(rows):
            found[rows] = contains(self.keys, keys[rows])
        return found


# ---- sets of rows ----------------------------------------------------------------------------------------------
def unique_rows(rows: Tensor) -> Tensor:
    """Rows [n, k] (or ids [n]) sorted, each once."""
    if rows.dim() == 1 or not rows.numel():
        return torch.unique(rows, dim=0)
    sizes = sizes_of(rows)
    if math.prod(sizes) > _MOST:  # sparse ids: compare them column by column
        return torch.unique(rows, dim=0)
    return key_rows(torch.unique(row_keys(rows, sizes)), sizes)


def is_among(rows: Tensor, wanted: Tensor) -> Tensor:
    """Which rows [n, k] (or ids [n]) are rows of ``wanted`` [m, k], [n] bool.

    Example:
        >>> is_among(torch.tensor([[0, 1], [4, 4]]), torch.tensor([[4, 4], [1, 0]])).tolist()
        [False, True]
    """
    if rows.dim() == 1:
        return torch.isin(rows, wanted)
    if not len(rows) or not len(wanted):
        return torch.zeros(len(rows), dtype=torch.bool)
    sizes = sizes_of(rows, wanted)
    return torch.isin(row_keys(rows, sizes), row_keys(wanted, sizes))


def difference(rows: Tensor, gone: Tensor) -> Tensor:
    """The rows [n, k] (or ids [n]) that are not rows of ``gone``, in the given order."""
    return rows[~is_among(rows, gone)]


# ---- undirected pairs ------------------------------------------------------------------------------------------
def smaller_first(pairs: Tensor) -> Tensor:
    """Rows (u, v) [n, 2] with u <= v."""
    u, v = pairs.unbind(1)  # comparing two columns is quicker than reducing rows of two
    return torch.stack([torch.minimum(u, v), torch.maximum(u, v)], 1)


def canonical_pairs(pairs: Tensor, undirected: bool, num_nodes: int | None = None) -> Tensor:
    """Rows sorted and unique; in an undirected graph with u <= v, so that both directions are one id.

    Args:
        pairs: [n, 2] integers; ``edge_index.t()`` will do. Self-loops stay.
        undirected: Whether (u, v) and (v, u) are the same edge.
        num_nodes: Taken from the pairs where not given.

    Example:
        >>> canonical_pairs(torch.tensor([[2, 0], [0, 2], [1, 1]]), undirected=True).tolist()
        [[0, 2], [1, 1]]
    """
    if not pairs.numel():
        return pairs.reshape(0, 2).long()
    size = int(pairs.max()) + 1 if num_nodes is None else num_nodes
    rows = smaller_first(pairs) if undirected else pairs
    return key_rows(distinct(row_keys(rows, (size, size))), (size, size))


# ---- as text ---------------------------------------------------------------------------------------------------
def show_ids(ids: Tensor, limit: int = 5) -> str:
    """The first ids as text for an error message, e.g. ``"(3, 7), (4, 9) and 12 more"``."""
    rows = ids.tolist()
    text = ", ".join(f"({', '.join(map(str, r))})" if isinstance(r, list) else str(r) for r in rows[:limit])
    return text + (f" and {len(rows) - limit} more" if len(rows) > limit else "")
