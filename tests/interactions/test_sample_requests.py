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
    first = draw(data, count=3, seed=1)
    assert first.kinds == (kind,) and len(first) == 3
    assert first == draw(data, count=3, seed=1)
    assert any(first != draw(data, count=3, seed=seed) for seed in (2, 3, 4))
    total = {"user": 12, "item": 6, "interaction": 24}[kind]
    assert len(draw(data, fraction=0.5, seed=0)) == round(total / 2)
    assert len(draw(data, fraction=1e-6, seed=0)) == 1


def test_only_what_exists_is_drawn(data):
    after = remove_users(data, [0, 1, 2])
    drawn = random_users(after, count=8, seed=0).ids("user").tolist()
    assert min(drawn) >= 3 and max(drawn) < 12  # users 12 and 13 have no interaction


@pytest.mark.parametrize("keywords, sentence", [
    ({}, "either count= or fraction="),
    ({"count": 2, "fraction": 0.5}, "either count= or fraction="),
    ({"fraction": 5}, "0.05 means 5 %"),
    ({"count": 0}, "count must lie between 1 and 11"),
    ({"count": 12}, "one must be left"),
])
def test_bad_amounts_are_refused(data, keywords, sentence):
    with pytest.raises(InputError, match=sentence):
        random_users(data, **keywords)
