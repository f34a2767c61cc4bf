from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("triton")

from graphforget.kernels.backends.triton import buckets as triton_buckets
from graphforget.kernels.backends.triton.buckets import PART, SHORT, buckets, row_buckets

EDGES = [0, 1, 2, SHORT - 1, SHORT, SHORT + 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1]


def rowptr_of(lengths, dtype=torch.long):
    return torch.cat([torch.zeros(1, dtype=torch.long), torch.tensor(lengths, dtype=torch.long).cumsum(0)]).to(dtype)


def entries(found):
    """For every slot, the entries that the kernels will read, in the order in which they will be added."""
    read = {}
    for segments in found.whole:
        for start, end, slot in zip(segments.start.tolist(), segments.end.tolist(), segments.slot.tolist()):
            assert slot not in read and end - start <= (SHORT if segments.short else PART)
            assert segments.short or end - start > SHORT
            read[slot] = list(range(start, end))
    if found.parts is not None:
        spans = list(zip(found.parts.start.tolist(), found.parts.end.tolist()))
        assert found.parts.slot.tolist() == list(range(len(spans))) and all(0 < end - start <= PART for start, end in spans)
        for first, last, slot in zip(found.joins.start.tolist(), found.joins.end.tolist(), found.joins.slot.tolist()):
            assert slot not in read and last - first > 1
            read[slot] = [e for start, end in spans[first:last] for e in range(start, end)]
            assert found.parts.row[first:last].unique().numel() == 1
    return read


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(EDGES), max_size=12), st.sampled_from([torch.int32, torch.long]))
def test_every_entry_is_read_once_and_in_order(lengths, dtype):
    rowptr = rowptr_of(lengths, dtype)
    found = buckets(rowptr)
    assert found.num_slots == len(lengths)
    assert entries(found) == {i: list(range(rowptr[i], rowptr[i + 1])) for i in range(len(lengths))}
    assert all(part.start.dtype == dtype for part in found.whole)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(EDGES), min_size=1, max_size=8), st.data())
def test_listed_rows_keep_their_order(lengths, data):
    rowptr = rowptr_of(lengths)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    found = row_buckets(rowptr, torch.tensor(rows, dtype=torch.long))
    assert found.num_slots == len(rows)
    assert entries(found) == {slot: list(range(rowptr[i], rowptr[i + 1])) for slot, i in enumerate(rows)}


def test_short_rows_of_like_length_stand_together():
    (segments,) = buckets(rowptr_of([1, 30, 2, 0, 17, 1, 5])).whole
    assert (segments.end - segments.start).tolist() == [0, 1, 1, 2, 5, 30, 17]


def test_buckets_are_made_once_and_die_with_the_structure():
    rowptr = rowptr_of([3, 1])
    assert buckets(rowptr) is buckets(rowptr)
    before = len(triton_buckets._KEPT)
    del rowptr
    gc.collect()
    assert len(triton_buckets._KEPT) == before - 1
