from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.requests.draws import count_of, draw_rows


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 2**20), st.data())
def test_as_many_rows_as_asked_for_each_once(number, seed, data):
    rows = torch.arange(2 * number).view(-1, 2)
    count = data.draw(st.integers(1, number))
    drawn = draw_rows(rows, count, "edges", seed)
    assert len({tuple(row) for row in drawn.tolist()}) == count and {tuple(row) for row in drawn.tolist()} <= {
        tuple(r) for r in rows.tolist()
    }
    assert torch.equal(drawn, draw_rows(rows, count, "edges", seed))
    assert torch.equal(draw_rows(rows, number, "edges", seed)[:count], drawn)  # fewer are the first of more


def test_a_seed_gives_the_rows_that_it_always_gave():
    assert draw_rows(torch.arange(10), 4, "nodes", 3).tolist() == [6, 0, 3, 7]


def test_a_share_is_of_the_total_and_one_at_least():
    assert [count_of(0.3, total, 9, "edges") for total in (1, 9, 20, 30)] == [1, 2, 6, 9]
    assert (
        len(draw_rows(torch.arange(9), 0.3, "edges", 0)) == 2 and len(draw_rows(torch.arange(9), 0.3, "edges", 0, total=20)) == 6
    )


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ("2", r"size must be a count \(2\) or a share \(0.05\), got '2'"),
        (True, "size must be a count"),
        (1.0, r"a share must lie between 0 and 1 \(exclusive\), got 1.0; give a whole number for a count"),
        (0, "a count must be at least 1, got 0"),
        (6, "cannot draw 6: there are 5 edges; give a size of at most 5"),
    ],
)
def test_sizes_that_are_none_are_refused(size, sentence):
    with pytest.raises(InputError, match=sentence):
        count_of(size, 5, 5, "edges")
