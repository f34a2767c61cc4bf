"""Interactions: validation, digests, and the CSR of positives against plain sets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.base import Data
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions

PAIRS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=30)


def test_create_makes_pairs_canonical():
    data = Interactions.create({"train": [[1, 2], [0, 3], [1, 2]], "val": [], "test": [[0, 0]]}, num_items=6)
    assert data.splits["train"].tolist() == [[0, 3], [1, 2]]
    assert data.splits["val"].shape == (0, 2)
    assert (data.num_users, data.num_items) == (2, 6)
    assert data.alive_users.all() and data.alive_items.all()
    assert isinstance(data, Data)


@pytest.mark.parametrize(
    "splits, sizes, sentence",
    [
        ({"val": [[0, 0]]}, {}, "at least 'train'"),
        ([[0, 0]], {}, "at least 'train'"),
        ({"train": []}, {}, "'train' is empty"),
        ({"train": [[0, 1, 2]]}, {}, "one pair per row"),
        ({"train": [[0.5, 1.0]]}, {}, "must be integers"),
        ({"train": [[-1, 1]]}, {}, "must not be negative"),
        ({"train": [[0, 1]], "test": [[0, 1]]}, {}, r"\(0, 1\) are in more than one split"),
        ({"train": [[3, 1]]}, {"num_users": 3}, "name user 3, but num_users is 3"),
        ({"train": [[0, 9]]}, {"num_items": 4}, "name item 9, but num_items is 4"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(splits, sizes, sentence):
    with pytest.raises(InputError, match=sentence):
        Interactions.create(splits, **sizes)


def test_digest_follows_content_only():
    one = Interactions.create({"train": [[0, 1], [1, 0]]}, name="a")
    same = Interactions.create({"train": [[1, 0], [0, 1]]}, name="b")
    other = Interactions.create({"train": [[1, 1], [0, 1]]})
    wider = Interactions.create({"train": [[0, 1], [1, 0]]}, num_items=5)
    assert one.digest() == same.digest()
    assert len({one.digest(), other.digest(), wider.digest()}) == 3


@settings(deadline=None, max_examples=30)
@given(PAIRS)
def test_positives_agree_with_plain_sets(pairs):
    data = Interactions.create({"train": sorted(pairs)}, num_users=6, num_items=8)
    positives = data.positives
    everyone = torch.cartesian_prod(torch.arange(6), torch.arange(8))
    expected = [tuple(row) in pairs for row in everyone.tolist()]
    assert positives.contains(everyone[:, 0], everyone[:, 1]).tolist() == expected
    users = torch.tensor([4, 0, 5])
    listed = {(int(users[row]), item) for row, item in positives.of(users).tolist()}
    assert listed == {pair for pair in pairs if pair[0] in (4, 0, 5)}
    assert positives.counts().tolist() == [sum(u == user for u, _ in pairs) for user in range(6)]
