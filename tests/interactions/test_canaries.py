"""Canaries: a part that is held out before training, item by item, and that every operation carries along."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.interactions import (
    Interactions,
    add_items,
    compact,
    from_hetero,
    remove_items,
    remove_pairs,
    remove_users,
    to_hetero,
    with_canaries,
)
from graphforget.models import BPRMF
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation


@pytest.fixture(scope="module")
def held() -> Interactions:
    return load("tastes", num_users=60, num_items=50, per_user=12, canary=0.1)


@settings(deadline=None, max_examples=20)
@given(
    pairs=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 9)), min_size=30, max_size=100),
    share=st.floats(0.02, 0.5),
    seed=st.integers(0, 5),
)
def test_every_item_gives_its_share_and_nobody_gives_everything(pairs, share, seed):
    data = Interactions.create({"train": sorted(pairs), "test": [[12, 10]]})
    try:
        held = with_canaries(data, share, seed=seed)
    except InputError:
        assert share * len(pairs) < 2 or len(pairs) <= 12 + 10
        return
    train, canary = held.part("train"), held.part("canary")
    assert torch.equal(torch.cat([held.keys(train), held.keys(canary)]).sort().values, data.keys(data.part("train")))
    for side in (0, 1):
        assert torch.equal(torch.unique(train[:, side]), torch.unique(data.part("train")[:, side]))
    quota = share * torch.bincount(data.part("train")[:, 1], minlength=held.num_items).double()
    given_ = torch.bincount(canary[:, 1], minlength=held.num_items)
    assert bool((given_ <= (quota + 1e-6).ceil()).all())
    assert torch.equal(held.part("test"), data.part("test")) and torch.equal(held.keys(canary), held.keys(canary).sort().values)


def test_the_total_is_the_share_and_large_items_are_never_left_out(held):
    dense = Interactions.create({"train": torch.cartesian_prod(torch.arange(40), torch.arange(30))})
    one = with_canaries(dense, 0.1)
    assert len(one.part("canary")) == 120 and set(torch.bincount(one.part("canary")[:, 1]).tolist()) == {4}
    sparse = with_canaries(dense, 0.01)  # 0.4 of a pair per item: 12 items give one
    assert len(sparse.part("canary")) in (12, 13) and torch.bincount(sparse.part("canary")[:, 1]).max() == 1
    assert with_canaries(dense, 0.1).digest() == one.digest() != with_canaries(dense, 0.1, seed=1).digest()
    assert len(dense.part("canary")) == 0  # the source is as it was


def test_load_takes_the_share(held):
    plain = load("tastes", num_users=60, num_items=50, per_user=12)
    assert held.digest() == with_canaries(plain, 0.1).digest() != plain.digest()
    with pytest.raises(InputError, match="'karate' has none: leave out canary"):
        load("karate", canary=0.1)


def test_removals_and_resizes_carry_the_part_along(held):
    canary = held.part("canary")
    user, item = canary[0].tolist()
    assert not (remove_users(held, [user]).part("canary")[:, 0] == user).any()
    assert not (remove_items(held, [item]).part("canary")[:, 1] == item).any()
    assert len(remove_pairs(held, canary[:2]).part("canary")) == len(canary) - 2
    small, slots = compact(remove_items(held, [item]))
    assert len(small.part("canary")) == int((canary[:, 1] != item).sum()) and small.alive(small.part("canary")).all()
    assert torch.equal(slots.items[small.part("canary")[:, 1]], canary[canary[:, 1] != item, 1])
    assert torch.equal(add_items(held, 2)[0].part("canary"), canary)
    again = from_hetero(to_hetero(held))
    assert {part: pairs.tolist() for part, pairs in again.splits.items()} == {p: v.tolist() for p, v in held.splits.items()}
    assert "canary_mask" not in to_hetero(load("tastes", num_users=30, num_items=40, per_user=5))["user", "takes", "item"]


def test_the_task_treats_canaries_as_it_treats_test_pairs(held):
    task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 4), top_k=10)
    canary = held.part("canary")
    model = task.new_model(held, seed=0)
    assert not task.context(held).positives.contains(canary[:, 0], canary[:, 1]).any()  # neither trained on nor masked
    lists = task.utility(model, task.view(held, "canary"))
    assert set(lists) == {"recall@10", "ndcg@10"}
    drawn = task.draw_negatives(held, held.part("train").repeat(20, 1), torch.Generator().manual_seed(0))
    users = held.part("train")[:, 0].repeat(20)
    negatives = held.keys(torch.stack([users, drawn], 1))
    assert torch.isin(held.keys(canary), negatives).any() and torch.isin(held.keys(held.part("test")), negatives).any()
    split = task.split(held, DeletionRequest.items([int(canary[0, 1])]) | DeletionRequest.interactions(canary[1:2]))
    assert not torch.isin(held.keys(split.removed), held.keys(canary)).any()
    assert not torch.isin(split.retain_data.keys(split.retain_data.part("canary")), held.keys(canary[:2])).any()


@pytest.mark.parametrize(
    ("share", "message"), [(0, "above 0"), (0.6, "at most 0.5"), (True, "above 0"), ("1 %", "above 0"), (1e-6, "less than one")]
)
def test_wrong_shares_get_a_sentence(share, message):
    data = load("tastes", num_users=30, num_items=40, per_user=5)
    with pytest.raises(InputError, match=message):
        with_canaries(data, share)


def test_canaries_are_drawn_once_and_before_any_deletion(held):
    with pytest.raises(InputError, match="canaries already"):
        with_canaries(held)
    task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 4))
    data = load("tastes", num_users=30, num_items=40, per_user=5)
    with pytest.raises(InputError, match="before the first training"):
        with_canaries(task.split(data, DeletionRequest.items([1])).retain_data, 0.1)
