from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import roc_auc_score

from graphforget.exceptions import InputError
from graphforget.metrics.ranks import auc, auc_two_sided, average_ranks, spearman, tpr_at_fpr

scores = st.lists(st.integers(0, 5), min_size=2, max_size=12)


@settings(deadline=None, max_examples=30)
@given(scores, scores)
def test_auc_and_ranks_equal_the_references_with_ties(a, b):
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    assert auc(x, y) == pytest.approx(roc_auc_score([1] * len(a) + [0] * len(b), a + b))
    assert auc(x, y) + auc(y, x) == pytest.approx(1.0)
    assert average_ranks(x).tolist() == pytest.approx(rankdata(a).tolist())
    assert auc_two_sided(x, y) == pytest.approx(max(auc(x, y), auc(y, x)))


def test_spearman_equals_scipy_and_is_nan_on_constants():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randint(4, (30,), generator=generator).double(), torch.randn(30, generator=generator).double())
    assert spearman(x, y) == pytest.approx(spearmanr(x.numpy(), y.numpy()).statistic)
    assert spearman(y, y.exp()) == pytest.approx(1.0)
    assert torch.isnan(torch.tensor(spearman(torch.ones(3), torch.arange(3.0))))


def test_tpr_at_fpr_counts_strictly_allowed_false_positives():
    negative = torch.arange(100.0)
    positive = torch.tensor([98.5, 99.5, 50.0, 200.0])
    assert tpr_at_fpr(positive, negative, 0.01) == 0.75  # one negative (99) may pass: threshold 98
    assert tpr_at_fpr(positive, negative, 0.001) == 0.5  # none may
    assert tpr_at_fpr(torch.ones(5), torch.ones(5), 0.01) == 0.0  # ties are not successes
    with pytest.raises(InputError):
        tpr_at_fpr(positive, negative, 1.0)


def test_nan_and_empty_are_refused():
    with pytest.raises(InputError, match="NaN"):
        auc(torch.tensor([float("nan")]), torch.ones(1))
    with pytest.raises(InputError, match="empty"):
        auc(torch.ones(0), torch.ones(1))
