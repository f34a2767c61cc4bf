"""How the Triton kernels share out the rows of a CSR matrix: short rows together, long rows alone, hubs in parts.

A power-law graph has rows of one entry and rows of thousands. One program per row would leave most of them idle behind the
hubs, so rows are listed by length: *short* ones several to a program, grouped so that lengths in a program differ by less than a
factor of two; *long* ones one to a program; *hubs* cut into parts of at most ``PART`` entries, whose results a second pass joins
in order. The lists depend on the structure alone, hence so does the order of every addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

SHORT = 32  # entries: up to here several rows share a program
PART = 512  # entries: beyond, a row is cut


@dataclass(frozen=True)
class Segments:
    """Runs of entries. A kernel reads ``start .. end``, what belongs to ``row``, and writes to ``slot``.

    Attributes:
        start: [S] first entry.
        end: [S] one past the last.
        row: [S] the row that the run belongs to.
        slot: [S] where its result goes.
        short: Whether several share a program.
    """

    start: Tensor
    end: Tensor
    row: Tensor
    slot: Tensor
    short: bool = False

    def __len__(self) -> int:
        return self.start.numel()


@dataclass(frozen=True)
class Buckets:
    """The rows of one structure, shared out.

    Attributes:
        whole: Segments that are whole rows; none of them is empty as a list.
        parts: Parts of hubs; ``slot`` counts the parts, those of one hub stand side by side.
        joins: One segment per hub: ``start .. end`` are its parts.
        num_slots: Rows of the result.
    """

    whole: tuple[Segments, ...]
    parts: Segments | None
    joins: Segments | None
    num_slots: int


_KEPT: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def buckets(rowptr: Tensor) -> Buckets:
    """The buckets of all rows of a structure, made once and kept as long as ``rowptr`` [n + 1] lives."""
    found = _KEPT.get(rowptr)
    if found is None:
        rows = torch.arange(rowptr.numel() - 1, dtype=rowptr.dtype, device=rowptr.device)
        found = _KEPT[rowptr] = _share_out(rowptr[:-1], rowptr[1:], rows)
    return found


def row_buckets(rowptr: Tensor, rows: Tensor) -> Buckets:
    """The buckets of the listed rows only; slot i belongs to ``rows[i]``."""
    rows = rows.long()
    return _share_out(rowptr.index_select(0, rows), rowptr.index_select(0, rows + 1), rows.to(rowptr.dtype))


@torch.inference_mode(False)  # what is kept must serve training later
def _share_out(start: Tensor, end: Tensor, row: Tensor) -> Buckets:
    length = (end - start).long()
    slots = torch.arange(length.numel(), dtype=row.dtype, device=row.device)
    # Bits of length: 0 for an empty row, else one more than the floor of its logarithm to base 2.
    group = torch.frexp(length.to(torch.float64)).exponent.clamp(min=0)
    group[length > SHORT] = 100
    group[length > PART] = 101
    order = torch.argsort(group, stable=True)
    # The one wait for the device: how long the lists are.
    num_short, num_long = torch.stack([group < 100, group == 100]).sum(1).tolist()

    def pick(index: Tensor, short: bool) -> Segments:
        return Segments(start[index].contiguous(), end[index].contiguous(), row[index].contiguous(), slots[index], short)

    whole = [(order[:num_short], True), (order[num_short : num_short + num_long], False)]
    kept = tuple(pick(index, short) for index, short in whole if index.numel())
    hubs = order[num_short + num_long :]
    if not hubs.numel():
        return Buckets(kept, None, None, length.numel())
    count = (length[hubs] + PART - 1) // PART
    after = count.cumsum(0)
    owner = torch.repeat_interleave(torch.arange(hubs.numel(), device=row.device), count)
    part = torch.arange(owner.numel(), device=row.device)
    offset = (part - (after - count)[owner]) * PART
    begin = start[hubs][owner].long() + offset
    finish = torch.minimum(begin + PART, end[hubs][owner].long())
    kind = row.dtype
    parts = Segments(begin.to(kind), finish.to(kind), row[hubs][owner], part.to(kind))
    joins = Segments((after - count).to(kind), after.to(kind), row[hubs], slots[hubs])
    return Buckets(kept, parts, joins, length.numel())
