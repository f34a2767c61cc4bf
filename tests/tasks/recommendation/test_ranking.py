"""Rankings at several cut-offs against a loop by hand."""

from __future__ import annotations

import pytest
import torch

from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.metrics.utility import map_at_k
from graphforget.models import BPRMF
from graphforget.tasks import Recommendation
from graphforget.tasks.recommendation import ranking as module


def test_every_metric_by_hand(monkeypatch):
    monkeypatch.setattr(module, "SCORES", 7 * 40)  # several blocks
    data = load("tastes", num_users=30, num_items=40, per_user=8)
    task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 4))
    model, view = task.new_model(data, seed=0), task.view(data, "test")
    got = task.ranking(model, view, (2, 5))
    taken = {tuple(p) for p in data.splits["train"].tolist()}
    recall, precision, average = {2: [], 5: []}, {2: [], 5: []}, {2: [], 5: []}
    for user in sorted(set(view.index[:, 0].tolist())):
        scores = model.score_all(torch.tensor([user]))[0].tolist()
        wanted = {i for u, i in view.index.tolist() if u == user}
        order = sorted((i for i in range(40) if (user, i) not in taken), key=lambda i: -scores[i])
        for k in (2, 5):
            hits = [i in wanted for i in order[:k]]
            recall[k].append(sum(hits) / len(wanted))
            precision[k].append(sum(hits) / k)
            at = [sum(hits[: p + 1]) / (p + 1) for p in range(k) if hits[p]]
            average[k].append(sum(at) / min(k, len(wanted)))
    for name, values in (("recall", recall), ("precision", precision), ("map", average)):
        for k in (2, 5):
            assert got[f"{name}@{k}"] == pytest.approx(sum(values[k]) / len(values[k]))
    assert got["ndcg@5"] == pytest.approx(Recommendation(top_k=5, build=task.build).utility(model, view)["ndcg@5"])
    assert set(got) == {f"{name}@{k}" for name in ("recall", "precision", "ndcg", "map") for k in (2, 5)}


def test_map_of_places_without_candidates_and_of_users_without_positives():
    ranked = torch.tensor([[1, -1, -1], [0, 2, 1]])
    assert map_at_k(ranked, torch.tensor([[0, 1]])).nan_to_num(-1).tolist() == [1.0, -1.0]


def test_cut_offs_are_checked():
    data = load("tastes", num_users=30, num_items=40, per_user=8)
    task = Recommendation()
    with pytest.raises(InputError, match="cut-offs of at least 1"):
        task.ranking(BPRMF(30, 40), task.view(data, "test"), (0, 5))
