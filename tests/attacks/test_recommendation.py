from __future__ import annotations

import pytest
import torch

from graphforget.attacks import matched_strangers, same_entity_attack, taker_probe
from graphforget.exceptions import InputError
from graphforget.metrics.ranks import tpr_at_fpr


def world(num_users: int = 60, num_items: int = 12):
    """Users 0..29 took 2 items, users 30..59 took 8."""
    g = torch.Generator().manual_seed(0)
    rows = [[u, int(i)] for u in range(num_users) for i in torch.randperm(num_items, generator=g)[: 2 if u < 30 else 8]]
    known = torch.tensor(rows)
    return known, torch.bincount(known[:, 0], minlength=num_users), num_items


def test_matched_strangers_never_took_the_item_and_are_as_active():
    known, activity, items = world()
    pairs = known[::3]
    found = matched_strangers(pairs, known, activity, items, window=3)
    assert len(found) == len(pairs) and torch.equal(found[:, 1], pairs[:, 1])
    keys = known[:, 0] * items + known[:, 1]
    assert not torch.isin(found[:, 0] * items + found[:, 1], keys).any()
    assert (activity[found[:, 0]] - activity[pairs[:, 0]]).abs().float().mean() < 1
    random = matched_strangers(pairs, known, activity, items, window=None)
    assert (activity[random[:, 0]] - activity[pairs[:, 0]]).abs().float().mean() > 2
    assert torch.equal(found, matched_strangers(pairs, known, activity, items, window=3))


def test_the_other_side_matches_items_of_the_same_user():
    known, _, items = world()
    popularity = torch.bincount(known[:, 1], minlength=items)
    found = matched_strangers(known[:20], known, popularity, items, side="item", window=2)
    assert set(found[:, 0].tolist()) <= set(known[:20, 0].tolist())
    assert not torch.isin(found[:, 0] * items + found[:, 1], known[:, 0] * items + known[:, 1]).any()


def test_a_pair_for_which_nobody_is_left_is_dropped():
    known = torch.tensor([[0, 0], [1, 0], [2, 0], [2, 1]])
    found = matched_strangers(torch.tensor([[0, 0], [2, 1]]), known, torch.tensor([1, 1, 2]), 2)
    assert found[:, 1].tolist() == [1] and int(found[0, 0]) in (0, 1)
    with pytest.raises(InputError, match="side must be"):
        matched_strangers(known, known, torch.ones(3), 2, side="pair")
    with pytest.raises(InputError, match="nobody|no user"):
        matched_strangers(known, known, torch.zeros(3), 2)


def test_the_attack_is_blind_on_exchangeable_scores_and_sees_memorised_ones():
    g = torch.Generator().manual_seed(1)
    group = torch.randint(30, (900,), generator=g)
    level = 5 * torch.randn(30, generator=g)  # popular items score high whoever asks
    member, other = level[group] + torch.randn(900, generator=g), level[group] + torch.randn(900, generator=g)
    place, found = same_entity_attack(member, group, other, group)
    assert float(place.nanmean()) == pytest.approx(0.5, abs=0.04) and float(found.nanmean()) < 0.06
    assert float(found.nanmean()) == tpr_at_fpr(member, other, 0.01) and torch.equal(
        found, (member > other.topk(10)[0][-1]).double()
    )
    place, _ = same_entity_attack(member + 20, group, other, group)
    assert float(place.nanmean()) == 1.0
    nothing, found = same_entity_attack(member[:2], group[:2], other[:0], group[:0])
    assert nothing.isnan().all() and found.isnan().all()


def test_the_probe_finds_takers_by_what_their_vectors_hold_and_is_blind_without():
    g = torch.Generator().manual_seed(2)
    users, items = 300, 4
    took = torch.rand(users, items, generator=g) < 0.3
    blind = torch.randn(users, 8, generator=g)
    held = blind.clone()
    held[:, 2] += 20 * took[:, 1].float()  # item 1 is written into one direction, and into no other item's
    held[7] = float("nan")  # a user who is gone
    taken, never = took.nonzero(), (~took).nonzero()
    place = taker_probe(held, taken, taken, never)
    assert place[taken[:, 0] == 7].isnan().all() and not place[taken[:, 0] != 7].isnan().any()
    of = [float(place[taken[:, 1] == item].nanmean()) for item in range(items)]
    assert of[1] > 0.99 and max(of[0], *of[2:]) < 0.65
    assert float(taker_probe(blind, taken, taken, never).mean()) == pytest.approx(0.5, abs=0.06)
    # Nobody is scored by what was learned of them: with vectors of their own, users are not told apart.
    own = torch.eye(users)
    assert float(taker_probe(own, taken, taken, never).mean()) == pytest.approx(0.5, abs=0.1)


def test_the_probe_is_ridge_regression_on_the_other_half():
    g = torch.Generator().manual_seed(3)
    x, took = torch.randn(40, 3, generator=g), torch.rand(40, generator=g) < 0.4
    pairs = torch.stack([torch.arange(40), torch.full((40,), 5)], 1)
    place = taker_probe(x, pairs[took], pairs[took], pairs[~took], ridge=0.1, seed=4)
    half = torch.randint(2, (40,), generator=torch.Generator().manual_seed(4))
    expected = torch.full((40,), float("nan"), dtype=torch.double)
    for learned in (0, 1):
        mine = half == learned
        a = (x[mine] - x[mine].mean(0)).double()
        cov = a.t() @ a
        y = took[mine].double()
        weight = torch.linalg.solve(cov + 0.1 * cov.diagonal().mean() * torch.eye(3).double(), a.t() @ (y - y.mean()))
        score = (x - x[mine].mean(0)).double() @ weight
        other = score[~mine & ~took]
        for user in (~mine & took).nonzero().view(-1).tolist():
            expected[user] = float((score[user] > other).double().mean())
    torch.testing.assert_close(place, expected[took])
