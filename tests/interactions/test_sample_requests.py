"""Random requests: seeded, live, in range."""

from __future__ import annotations

import pytest

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, random_interactions, random_items, random_users, remove_users


@pytest.fixture
def data() -> Interactions:
    return Interactions.create({"train": [[u, (u * 3 + k) % 9] for u in range(12) for k in range(2)]}, num_users=14, num_items=9)


@pytest.mark.parametrize("draw, kind", [(random_users, "user"), (random_items, "item"), (random_interactions, "interaction")])
def test_count_fraction_and_seed(data, draw, kind):
    first = draw(data, 3, seed=1)
    assert first.kinds == (kind,) and len(first) == 3
    assert first == draw(data, 3, seed=1)
    assert any(first != draw(data, 3, seed=seed) for seed in (2, 3, 4))
    total = {"user": 12, "item": 6, "interaction": 24}[kind]
    assert len(draw(data, 0.5, seed=0)) == total // 2
    assert len(draw(data, 1e-6, seed=0)) == 1


def test_only_what_exists_is_drawn(data):
    after = remove_users(data, [0, 1, 2])
    drawn = random_users(after, 8, seed=0).ids("user").tolist()
    assert min(drawn) >= 3 and max(drawn) < 12  # users 12 and 13 have no interaction


@pytest.mark.parametrize(
    "size, sentence",
    [
        ("3", "a count .2. or a share"),
        (True, "a count .2. or a share"),
        (1.5, "a share must lie between 0 and 1"),
        (0, "at least 1, got 0"),
        (13, "cannot draw 13: there are 12 users; give a size of at most 12"),
    ],
)
def test_bad_sizes_are_refused(data, size, sentence):
    with pytest.raises(InputError, match=sentence):
        random_users(data, size)
