"""Splits of interactions: every interaction once, in order where there is one, and the seed decides the rest."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.datasets.recommender.splits import hold_out, split_by_time, split_leave_one_out, split_per_user
from graphforget.exceptions import InputError

PAIRS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=60)


def rows_of(parts):
    return [tuple(row) for part in parts.values() for row in part.tolist()]


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.integers(0, 99))
def test_per_user_shares_out_everything_once_and_keeps_every_user_in_train(pairs, seed):
    rows = torch.tensor(sorted(pairs))
    parts = split_per_user(rows, seed=seed)
    every = rows_of(parts)
    assert len(every) == len(set(every)) and set(every) == pairs
    assert set(parts["train"][:, 0].tolist()) == {u for u, _ in pairs}
    again = split_per_user(rows.flip(0), seed=seed)
    assert all(torch.equal(parts[part], again[part]) for part in parts)  # the order of the file does not matter


def test_per_user_shares():
    rows = torch.cartesian_prod(torch.arange(3), torch.arange(20))
    parts = split_per_user(rows)
    assert {part: torch.bincount(p[:, 0]).tolist() for part, p in parts.items()} == {
        "train": [16] * 3,
        "val": [2] * 3,
        "test": [2] * 3,
    }
    assert not torch.equal(parts["train"], split_per_user(rows, seed=1)["train"])
    with pytest.raises(InputError, match="a sum of at most 1"):
        split_per_user(rows, train=0.9, val=0.2)


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.randoms(use_true_random=False))
def test_leave_one_out_takes_the_last_two(pairs, random):
    rows = sorted(pairs)
    times = [random.randint(0, 5) for _ in rows]
    parts = split_leave_one_out(torch.tensor(rows), torch.tensor(times))
    assert sorted(rows_of(parts)) == rows
    for user in {u for u, _ in rows}:
        ordered = [item for _, item in sorted((t, i) for (u, i), t in zip(rows, times) if u == user)]
        mine = {part: p[p[:, 0] == user, 1].tolist() for part, p in parts.items()}
        cut = len(ordered) - 2 if len(ordered) >= 3 else len(ordered)
        assert sorted(mine["train"]) == sorted(ordered[:cut])
        assert mine["val"] + mine["test"] == ordered[cut:]


def test_leave_one_out_without_time_follows_the_seed():
    rows = torch.cartesian_prod(torch.arange(4), torch.arange(9))
    one, same, other = (split_leave_one_out(rows, seed=s)["test"] for s in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other) and len(one) == 4


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.randoms(use_true_random=False))
def test_by_time_never_tests_on_the_past(pairs, random):
    rows = sorted(pairs)
    time = {pair: random.randint(0, 9) for pair in rows}
    parts = split_by_time(torch.tensor(rows), torch.tensor([time[pair] for pair in rows]), train=0.6, val=0.2)
    when = {part: [time[tuple(row)] for row in p.tolist()] for part, p in parts.items()}
    assert when["train"]
    assert max(when["train"]) < min(when["val"] + when["test"], default=10)
    assert max(when["val"], default=-1) < min(when["test"], default=10)
    known = {u for u, _ in parts["train"].tolist()}
    later = [pair for pair in rows if time[pair] > max(when["train"]) and pair[0] in known]
    assert sorted(rows_of({k: parts[k] for k in ("val", "test")})) == later


def test_of_repeated_interactions_the_earliest_counts():
    rows, time = torch.tensor([[0, 1], [0, 2], [0, 3], [0, 1]]), torch.tensor([1, 2, 3, 9])
    assert split_leave_one_out(rows, time)["test"].tolist() == [[0, 3]]
    with pytest.raises(InputError, match="3 values for 4 interactions"):
        split_leave_one_out(rows, time[:3])


def test_hold_out_keeps_every_user_in_train():
    rows = torch.cartesian_prod(torch.arange(5), torch.arange(20))
    parts = hold_out(rows, 0.1)
    assert len(parts["val"]) == 10 and len(parts["train"]) == 90
    greedy = hold_out(rows, 0.99)["train"]
    assert torch.bincount(greedy[:, 0]).tolist() == [1] * 5
    assert not torch.equal(parts["val"], hold_out(rows, 0.1, seed=1)["val"])
    assert sorted(rows_of(parts)) == [tuple(r) for r in rows.tolist()]
    assert list(hold_out(rows, 0)) == ["train"]
    with pytest.raises(InputError, match=r"in \[0, 1\), got 1"):
        hold_out(rows, 1.0)
