from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.metrics.utility import recall_at_k
from graphforget.tasks.recommendation.serving import denied, recommend
from graphforget.testing import tiny_case

CASE = tiny_case("recommendation")


def test_lists_hold_no_known_forgotten_or_denied_item():
    result = CASE.unlearn("row_reset", "items")
    lists = recommend(result.task, result.model, result.data, range(24), top_k=20)
    assert lists.shape == (24, 20)
    for user, row in enumerate(lists.tolist()):
        own = set(result.data.splits["train"][result.data.splits["train"][:, 0] == user, 1].tolist())
        shown = [item for item in row if item >= 0]
        assert not own & set(shown) and not {2, 9} & set(shown) and len(set(shown)) == len(shown) == 20 - 2 - len(own)


def test_a_mask_changes_what_is_served_and_nothing_else():
    result = CASE.unlearn("mask", "items")
    free = recommend(result.task, result.model, result.data, range(24), top_k=5)
    masked = recommend(result.task, result.model, result.data, range(24), top_k=5, deny=result.serving.deny)
    assert torch.isin(free, torch.tensor([2, 9])).any() and not torch.isin(masked, torch.tensor([2, 9])).any()
    for before, after in zip(free.tolist(), masked.tolist(), strict=True):
        kept = [item for item in before if item not in (2, 9)]
        assert after[: len(kept)] == kept  # the others move up, in their order


def test_denied_users_get_nothing_and_unknown_ones_a_sentence():
    lists = recommend(CASE.task, CASE.model(), CASE.data, [0, 3], top_k=3, deny={"user": torch.tensor([3])})
    assert (lists[0] >= 0).all() and lists[1].tolist() == [-1, -1, -1]
    with pytest.raises(InputError, match="unknown users 24"):
        recommend(CASE.task, CASE.model(), CASE.data, [24])
    with pytest.raises(InputError, match="top_k"):
        recommend(CASE.task, CASE.model(), CASE.data, [0], top_k=0)
    assert recommend(CASE.task, CASE.model(), CASE.data, [0], top_k=30).shape == (1, 30)


def test_recall_of_the_lists_is_the_task_s_own_utility():
    test = CASE.data.part("test")
    lists = recommend(CASE.task, CASE.model(), CASE.data, test[:, 0], top_k=5)
    mine = recall_at_k(lists, torch.stack([torch.arange(len(test)), test[:, 1]], 1)).mean()
    assert float(mine) == pytest.approx(CASE.task.utility(CASE.model(), CASE.task.view(CASE.data, "test"))["recall@5"])


def test_nothing_denied_is_the_scorer_itself():
    def score(users):
        return torch.zeros(len(users), 3)

    assert denied(score, {}) is score
    assert denied(score, {"item": torch.tensor([1])})(torch.arange(2)).isnan().sum() == 2


def test_a_mask_leaves_a_table_alone_that_the_model_keeps():
    class Kept(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.rand(24, 20))

        def forward(self, user_id, item_id):
            return self.table[user_id, item_id]

        def score_all(self, user_id):
            return self.table if len(user_id) == 24 else self.table[user_id]

    model = Kept()
    deny = {"item": torch.tensor([2, 9]), "user": torch.tensor([5])}
    lists = recommend(CASE.task, model, CASE.data, range(24), top_k=5, deny=deny)
    assert (lists[5] == -1).all() and not torch.isin(lists, deny["item"]).any() and bool(model.table.isfinite().all())
