"""Keys of rows against Python's tuples and sets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.requests.keys import (
    KeySet,
    ascending,
    canonical_pairs,
    column_keys,
    contains,
    difference,
    distinct,
    first_of_each,
    is_among,
    key_columns,
    key_rows,
    row_keys,
    sizes_of,
    smaller_first,
    unique_rows,
)

PROPERTY = settings(deadline=None, max_examples=50)
SIZES = {2: (6, 9), 3: (6, 4, 9)}


def lists(width, largest=None):
    sizes = SIZES[width] if largest is None else (largest + 1,) * width
    return st.lists(st.tuples(*(st.integers(0, size - 1) for size in sizes)), max_size=30)


ROWS = st.sampled_from([2, 3]).flatmap(lambda width: st.tuples(st.just(width), lists(width), lists(width)))


def tensor(rows, width):
    return torch.tensor(rows, dtype=torch.long).view(-1, width)


def tuples(rows):
    return [tuple(row) for row in rows.tolist()]


# ---- keys ------------------------------------------------------------------------------------------------------
@PROPERTY
@given(ROWS)
def test_keys_number_the_rows_in_order_and_lead_back(drawn):
    width, rows, _ = drawn
    keys = row_keys(tensor(rows, width), SIZES[width])
    assert tuples(key_rows(keys, SIZES[width])) == rows
    assert torch.equal(keys, column_keys(tensor(rows, width).t(), SIZES[width]))
    assert [tuple(c) for c in zip(*(column.tolist() for column in key_columns(keys, SIZES[width])))] == rows
    order = sorted(range(len(rows)), key=rows.__getitem__)
    assert keys.tolist() == [sum(id_ * step for id_, step in zip(row, _steps(SIZES[width]))) for row in rows]
    assert keys[order].tolist() == sorted(keys.tolist())


def _steps(sizes):
    steps = [1]
    for size in reversed(sizes[1:]):
        steps.insert(0, steps[0] * size)
    return steps


def test_the_keys_of_all_rows_are_all_numbers():
    rows = torch.cartesian_prod(torch.arange(3), torch.arange(4), torch.arange(2))
    assert row_keys(rows, (3, 4, 2)).tolist() == list(range(24))


def test_single_ids_are_their_own_keys():
    ids = torch.tensor([4, 0, 4])
    assert row_keys(ids, (5,)).tolist() == [4, 0, 4] and key_rows(ids, (5,)).tolist() == [[4], [0], [4]]


def test_columns_broadcast_and_small_integers_do_not_overflow():
    keys = column_keys((torch.arange(2).view(2, 1), torch.arange(3).view(1, 3)), (2, 3))
    assert keys.tolist() == [[0, 1, 2], [3, 4, 5]]
    large = torch.tensor([2**30], dtype=torch.int32)
    assert column_keys((large, large), (2**31, 2**31)).tolist() == [2**30 * 2**31 + 2**30]


def test_nothing_has_no_keys():
    for width, sizes in ((2, (0, 0)), (3, (0, 5, 0))):
        keys = row_keys(torch.empty((0, width), dtype=torch.long), sizes)
        assert keys.dtype == torch.int64 and keys.tolist() == [] and key_rows(keys, sizes).shape == (0, width)


def test_keys_that_would_overflow_are_refused():
    most = torch.tensor([[2**32 - 1, 2**31 - 1]])
    assert row_keys(most, (2**32, 2**31)).tolist() == [2**63 - 1]  # the largest that fits
    for sizes in ((2**32, 2**31 + 1), (2**22, 2**22, 2**22)):
        with pytest.raises(InputError, match=r"have no 64-bit key, because there are more than 2\^63 of them: number the ids"):
            row_keys(torch.zeros((1, len(sizes)), dtype=torch.long), sizes)
        with pytest.raises(InputError, match="no 64-bit key"):
            key_rows(torch.zeros(1, dtype=torch.long), sizes)


def test_the_number_of_columns_must_be_that_of_the_sizes():
    with pytest.raises(ValueError):
        row_keys(torch.tensor([[0, 1, 2]]), (3, 3))


@PROPERTY
@given(ROWS)
def test_sizes_hold_every_id(drawn):
    width, rows, more = drawn
    expected = tuple(max(column) + 1 for column in zip(*(rows + more))) or (0,) * width
    assert sizes_of(tensor(rows, width), tensor(more, width)) == expected


# ---- sets of keys ----------------------------------------------------------------------------------------------
INTEGERS = st.lists(st.integers(0, 40), max_size=30)


@PROPERTY
@given(INTEGERS, INTEGERS)
def test_sorted_sets_of_ids(ids, asked):
    held, wanted = torch.tensor(ids, dtype=torch.long), torch.tensor(asked, dtype=torch.long)
    assert ascending(held).tolist() == sorted(ids) and distinct(held).tolist() == sorted(set(ids))
    assert contains(ascending(held), wanted).tolist() == [one in set(ids) for one in asked]
    assert held[first_of_each(held)].tolist() == list(dict.fromkeys(ids))


@pytest.mark.parametrize("count", [0, 1, 50, 3000])
@pytest.mark.parametrize("places", [1, 32, 64])
def test_a_key_set_contains_its_keys_and_nothing_else(count, places):
    keys = torch.randperm(200_000, generator=torch.Generator().manual_seed(count))[: 2 * count + 100]
    inside, outside = keys[:count], keys[count:]
    for held in (KeySet(inside, places=places), KeySet(inside, places=places, most=1024)):
        assert bool(held.contains(inside).all()) and not bool(held.contains(outside).any())
        assert torch.equal(held.keys, inside.sort().values)


# ---- sets of rows ----------------------------------------------------------------------------------------------
@PROPERTY
@given(ROWS)
def test_sets_of_rows(drawn):
    width, rows, others = drawn
    ours, theirs = tensor(rows, width), tensor(others, width)
    assert tuples(unique_rows(ours)) == sorted(set(rows))
    assert is_among(ours, theirs).tolist() == [row in set(others) for row in rows]
    assert tuples(difference(ours, theirs)) == [row for row in rows if row not in set(others)]


@PROPERTY
@given(INTEGERS, INTEGERS)
def test_sets_of_single_ids(ids, others):
    ours, theirs = torch.tensor(ids, dtype=torch.long), torch.tensor(others, dtype=torch.long)
    assert unique_rows(ours).tolist() == sorted(set(ids))
    assert difference(ours, theirs).tolist() == [one for one in ids if one not in set(others)]


@PROPERTY
@given(lists(2, largest=10**12), lists(3, largest=10**12))
def test_rows_of_ids_too_far_apart_for_keys_are_told_apart_all_the_same(pairs, triples):
    assert tuples(unique_rows(tensor(pairs, 2))) == sorted(set(pairs))
    assert tuples(unique_rows(tensor(triples, 3))) == sorted(set(triples))


def test_matching_rows_without_keys_is_refused():
    far = torch.tensor([[2**40, 2**40]])
    with pytest.raises(InputError, match="no 64-bit key"):
        is_among(far, far)


# ---- undirected pairs ------------------------------------------------------------------------------------------
@PROPERTY
@given(lists(2, largest=6), st.booleans())
def test_canonical_pairs_are_the_set_of_edges(pairs, undirected):
    expected = sorted({(min(p), max(p)) if undirected else p for p in pairs})
    for size in (None, 7):
        assert tuples(canonical_pairs(tensor(pairs, 2), undirected, size)) == expected
    assert tuples(smaller_first(tensor(pairs, 2))) == [(min(p), max(p)) for p in pairs]
