"""Feature rows: the sparse operations equal the dense ones."""

from __future__ import annotations

import torch

from graphforget.graphs.features import empty_rows, keep_entries, take_rows, zero_entries

X = torch.tensor([[1.0, 0, 2], [0, 0, 0], [3, 4, 0], [0, 0, 5]])


def test_take_rows_keeps_the_order_asked_for():
    ids = torch.tensor([3, 1, 0, 3])
    assert torch.equal(take_rows(X, ids), X[ids])
    assert torch.equal(take_rows(X.to_sparse_csr(), ids).to_dense(), X[ids])


def test_zero_entries():
    expected = torch.tensor([[1.0, 0, 0], [0, 0, 0], [3, 4, 0], [0, 0, 0]])
    ids = torch.tensor([0, 3])
    assert torch.equal(zero_entries(X, ids, [2]), expected)
    sparse = zero_entries(X.to_sparse_csr(), ids, [2])
    assert torch.equal(sparse.to_dense(), expected) and sparse.values().numel() == 3
    assert zero_entries(X, ids)[ids].eq(0).all()


def test_empty_rows_are_nan_where_dense_and_hold_nothing_where_sparse():
    gone = torch.tensor([True, False, False, True])
    assert empty_rows(X, gone).isnan().any(1).tolist() == gone.tolist()
    sparse = empty_rows(X.to_sparse_csr(), gone)
    assert sparse.crow_indices().diff().tolist() == [0, 0, 2, 0]


def test_keep_entries_of_nothing():
    assert keep_entries(X.to_sparse_csr(), torch.zeros(5, dtype=torch.bool)).values().numel() == 0
