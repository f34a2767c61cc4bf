"""Rows of a feature matrix, dense or sparse: taken, emptied, set to zero. Inputs are never changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphforget.base.tables import plain
from graphforget.exceptions import InputError
from graphforget.requests import show_ids


def is_sparse(x: Tensor) -> bool:
    """Whether x is a ``torch.sparse_csr`` matrix."""
    return x.layout == torch.sparse_csr


def as_features(x: Tensor, num_nodes: int, alive: Tensor) -> Tensor:
    """x as [N, F] float32 (float64 where it was and is dense), dense or sparse CSR, checked.

    Raises:
        InputError: Not a matrix of real numbers with one row per node, or NaN or infinity in a live row.
    """
    if not isinstance(x, Tensor) or x.dim() != 2:
        shape = f"shape {list(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"x must be a tensor with one row of features per node, shape [{num_nodes}, F]; got {shape}.")
    if x.size(0) != num_nodes:
        raise InputError(f"x has {x.size(0)} rows but the graph has {num_nodes} nodes: give one row per node.")
    if x.is_complex():
        raise InputError(f"x must hold real numbers, got dtype {str(x.dtype).removeprefix('torch.')}.")
    if x.layout in (torch.sparse_coo, torch.sparse_csc):
        x = x.to_sparse_csr()
    x = plain(x)
    x = x if x.dtype == torch.float64 and not is_sparse(x) else x.float()
    bad = torch.zeros(num_nodes, dtype=torch.bool)
    if is_sparse(x):
        bad[entry_rows(x)[~torch.isfinite(x.values())]] = True
    else:
        bad = ~torch.isfinite(x).all(1)
    bad &= alive
    if bool(bad.any()):
        raise InputError(
            f"x has NaN or infinite values in rows {show_ids(bad.nonzero().view(-1))}: fill them first, "
            f"for example with torch.nan_to_num(x)."
        )
    return x


def entry_rows(x: Tensor) -> Tensor:
    """Row of every stored entry of a sparse matrix, [nnz]."""
    return torch.repeat_interleave(torch.arange(x.size(0)), x.crow_indices().diff())


def keep_entries(x: Tensor, keep: Tensor) -> Tensor:
    """A sparse matrix with only the entries where ``keep`` [nnz] is True."""
    crow = torch.zeros(x.size(0) + 1, dtype=torch.long)
    crow[1:] = torch.bincount(entry_rows(x)[keep], minlength=x.size(0)).cumsum(0)
    return _csr(crow, x.col_indices()[keep], x.values()[keep], tuple(x.shape))


def empty_rows(x: Tensor, gone: Tensor) -> Tensor:
    """Content of the rows in ``gone`` [N] bool removed: NaN where dense, no entries where sparse."""
    if is_sparse(x):
        return keep_entries(x, ~gone[entry_rows(x)])
    return x.masked_fill(gone.view(-1, 1), float("nan"))


def zero_entries(x: Tensor, ids: Tensor, columns: Sequence[int] = ()) -> Tensor:
    """Zero in the given columns (all where empty) of rows ``ids``."""
    hit = torch.zeros(x.size(0), dtype=torch.bool)
    hit[ids] = True
    which = torch.zeros(x.size(1), dtype=torch.bool)
    which[list(columns) if len(columns) else slice(None)] = True
    if is_sparse(x):
        return keep_entries(x, ~(hit[entry_rows(x)] & which[x.col_indices()]))
    return x.masked_fill(hit.view(-1, 1) & which, 0.0)


def take_rows(x: Tensor, ids: Tensor) -> Tensor:
    """Rows ``ids`` of x, in that order."""
    if not is_sparse(x):
        return x[ids]
    start, counts = x.crow_indices()[ids], x.crow_indices().diff()[ids]
    crow = torch.zeros(len(ids) + 1, dtype=torch.long)
    torch.cumsum(counts, 0, out=crow[1:])
    picked = torch.arange(int(crow[-1])) + torch.repeat_interleave(start - crow[:-1], counts)
    return _csr(crow, x.col_indices()[picked], x.values()[picked], (len(ids), x.size(1)))


def _csr(crow: Tensor, col: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.sparse_csr_tensor(crow, col, values, shape, check_invariants=True)
