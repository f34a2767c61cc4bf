from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import f1_score, ndcg_score

from graphforget.exceptions import InputError
from graphforget.metrics import utility as u


def test_classification_figures():
    outputs, y = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]), torch.tensor([0, 1, 2, 2])
    assert u.accuracy(outputs, y) == 0.75
    assert u.macro_f1(outputs, y) == pytest.approx(f1_score([0, 1, 2, 2], [0, 1, 1, 2], average="macro"))
    assert u.accuracy(torch.tensor([1.0, -1.0]), torch.tensor([1, 1])) == 0.5
    with pytest.raises(InputError, match="NaN"):
        u.accuracy(outputs * float("nan"), y)


def test_binary_figures_by_hand():
    scores, y = torch.tensor([0.9, 0.8, 0.1]), torch.tensor([1, 0, 1])
    assert u.roc_auc(scores, y) == 0.5
    assert u.average_precision(scores, y) == pytest.approx((1 + 2 / 3) / 2)
    with pytest.raises(InputError, match="both kinds"):
        u.roc_auc(scores, torch.ones(3))


def test_top_items_masks_train_pairs_dead_items_and_runs_out():
    scores = torch.tensor([[5.0, 4, 3, math.nan], [1, 2, 3, 4]])
    ranked = u.top_items(scores, 3, exclude=torch.tensor([[0, 0], [1, 3]]))
    assert ranked.tolist() == [[1, 2, -1], [2, 1, 0]]
    assert scores[0, 0] == 5.0  # the caller's scores are untouched


def test_ranked_figures_against_a_loop_and_sklearn():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(8, 15, generator=generator)
    relevant = torch.rand(8, 15, generator=generator) < 0.2
    relevant[3] = False
    positives = relevant.nonzero()
    ranked = u.top_items(scores, 5)
    recall, precision, ndcg = (m(ranked, positives) for m in (u.recall_at_k, u.precision_at_k, u.ndcg_at_k))
    for user in range(8):
        wanted = set(relevant[user].nonzero().flatten().tolist())
        if not wanted:
            assert recall[user].isnan() and precision[user].isnan() and ndcg[user].isnan()
            continue
        hit = len(wanted & set(ranked[user].tolist()))
        assert recall[user].item() == pytest.approx(hit / len(wanted))
        assert precision[user].item() == pytest.approx(hit / 5)
        assert ndcg[user].item() == pytest.approx(ndcg_score([relevant[user].int().tolist()], [scores[user].tolist()], k=5))
    summary = u.ranking_summary(ranked, positives, top_k=[1, 5])
    assert summary["recall@5"] == pytest.approx(recall.nanmean().item()) and set(summary) >= {"ndcg@1", "precision@1"}


def test_map_against_a_loop():
    generator = torch.Generator().manual_seed(1)
    scores = torch.rand(9, 60, generator=generator)
    relevant = torch.rand(9, 60, generator=generator) < 0.15
    relevant[4] = False
    positives = relevant.nonzero()
    for k in (5, 10, 20, 50):
        ranked = u.top_items(scores, k)
        value = u.map_at_k(ranked, positives.repeat(2, 1))  # repeated pairs count once
        for user in range(9):
            wanted = set(relevant[user].nonzero().flatten().tolist())
            hits, total = 0, 0.0
            for place, item in enumerate(ranked[user].tolist(), 1):
                if item in wanted:
                    hits += 1
                    total += hits / place
            expected = total / min(k, len(wanted)) if wanted else math.nan
            assert value[user].item() == pytest.approx(expected, nan_ok=True)
        assert u.ranking_summary(ranked, positives, top_k=[k])[f"map@{k}"] == pytest.approx(value.nanmean().item())
    assert u.map_at_k(torch.tensor([[0, -1, -1]]), torch.tensor([[0, 0]])).tolist() == [1.0]


def test_ranked_limits():
    ranked = torch.tensor([[0, 1], [2, -1]])
    positives = torch.tensor([[0, 0], [0, 1], [0, 1], [1, 2]])
    assert u.recall_at_k(ranked, positives).tolist() == [1.0, 1.0]
    assert u.ndcg_at_k(ranked, positives).tolist() == pytest.approx([1.0, 1.0])
    with pytest.raises(InputError, match="row 5"):
        u.recall_at_k(ranked, torch.tensor([[5, 0]]))
    with pytest.raises(InputError, match="Cut-off"):
        u.ranking_summary(ranked, positives, top_k=[3])
