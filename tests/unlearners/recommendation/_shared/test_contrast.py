from __future__ import annotations

import pytest
import torch

from graphforget.unlearners.recommendation._shared.contrast import Contrast, matched, stratified_difference


def test_others_are_near_in_activity_and_never_took_it():
    g = torch.Generator().manual_seed(0)
    activity, live = torch.arange(100) // 2, torch.ones(100, dtype=torch.bool)
    live[::10] = False
    pairs = torch.stack([torch.arange(1, 99, 2), torch.arange(49) % 7], 1)
    taken = {(u, u % 7) for u in range(0, 100, 3)}

    def known(user, item):
        return torch.tensor([(u, i) in taken for u, i in zip(user.tolist(), item.tolist(), strict=True)])

    got = matched(pairs, 0, activity, live, known, count=6, window=5, generator=g)
    assert len(got) > 40 and torch.equal(got.kept, got.pairs[:, 1])
    apart = (activity[got.others] - activity[got.pairs[:, :1]]).abs()
    assert int(apart.max()) <= 5 and bool(live[got.others].all())
    for pair, others, usable in zip(got.pairs.tolist(), got.others.tolist(), got.usable.tolist(), strict=True):
        for other, use in zip(others, usable, strict=True):
            assert use == ((other, pair[1]) not in taken and other != pair[0])


def test_advantages_and_margins_read_usable_others_only():
    pairs = torch.tensor([[0, 0], [1, 5]])
    usable = torch.tensor([[True, False], [True, True]])
    one = Contrast(pairs, torch.tensor([[3, 2], [4, 6]]), usable, side=1)

    def score(user, item):
        return item.float()

    assert one.advantages(score).tolist() == [0.0, 0.5]
    assert one.margins(score, 0).tolist() == [-3.0, 1.0] and one.margins(score, 1).tolist() == [-1.0]


def test_strata_cancel():
    g = torch.Generator().manual_seed(0)
    level = torch.tensor([0.1, 0.5, 0.9])
    a, b = torch.tensor([0] * 50 + [2] * 5), torch.tensor([0] * 5 + [2] * 50 + [1])
    one, two = level[a] + 0.2, level[b]
    shuffle = torch.randperm(len(a), generator=g)
    assert stratified_difference(one[shuffle], a[shuffle], two, b) == pytest.approx(0.2)
    assert abs(float(one.mean() - two.mean())) > 0.3  # what a plain comparison would have said
    assert stratified_difference(one, torch.zeros_like(a), two, torch.ones_like(b)) == 0.0
