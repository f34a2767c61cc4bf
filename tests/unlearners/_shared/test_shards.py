from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.testing.tiny import tiny_case, tiny_data
from graphforget.unlearners._shared.shards import Membership, only, pack, train_stages, unpack

DATA = tiny_data("recommendation")


def test_a_part_holds_its_examples_and_nothing_held_out():
    part = only(DATA, DATA.splits["train"][:5])
    assert torch.equal(part.splits["train"], DATA.splits["train"][:5])
    assert len(part.splits["val"]) == len(part.splits["test"]) == 0 and int(part.positives.counts().sum()) == 5


def test_data_whose_parts_cannot_be_replaced_are_refused():
    class Plain:
        splits = DATA.splits

    with pytest.raises(InputError, match="a Plain is no dataclass"):
        only(Plain(), DATA.splits["train"][:5])


def test_membership_gives_stages_and_what_a_deletion_touches_first():
    task = tiny_case("recommendation").task
    pairs = DATA.splits["train"][:6]
    where = Membership(pairs, torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 2, 0, 1, 1]))
    assert torch.equal(where.of(0, 1, cumulative=True), pairs[:2]) and torch.equal(where.of(0, 1), pairs[1:2])
    assert torch.equal(where.of(1), pairs[3:])
    from graphforget.requests import DeletionRequest

    split = task.split(DATA, DeletionRequest.interactions(pairs[[1, 2, 4]]))
    assert where.first_stages(split) == {0: 1, 1: 1}
    assert torch.equal(where.without(split.removed).examples, pairs[[0, 3, 5]])
    assert where.first_stages(task.split(DATA, DeletionRequest.items([19]))) == {0: 0, 1: 0}
    again = Membership.from_state(where.to_state())
    assert torch.equal(again.stage, where.stage)


def test_training_resumes_from_any_stage_bit_for_bit():
    task = tiny_case("recommendation").task
    stages = list(DATA.splits["train"].split(50)) + [DATA.splits["train"][:0]]
    options = {"seed": 4, "epochs": 2, "device": torch.device("cpu")}
    model, before = train_stages(task, DATA, stages, **options)
    assert sorted(before) == [1, 2, 3]
    state = pack(7, before)
    assert unpack(state, 7, 0) is None and unpack(state, 6, 1) is None
    for start in (1, 2, 3):
        again, _ = train_stages(task, DATA, stages, **options, resume=unpack(state, 7, start), start=start)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    other, _ = train_stages(task, DATA, stages, **{**options, "seed": 5})
    assert not torch.equal(model.user_embedding.weight, other.user_embedding.weight)
