"""The arithmetic under the operations: plain functions on tensors that know nothing of autograd.

``out[i] = sum of weight[e] * x[col[e]] for e in rowptr[i] .. rowptr[i + 1]`` in three ways, all with the same result.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reference_sum(rowptr: Tensor, col: Tensor, weight: Tensor | None, x: Tensor) -> Tensor:
    """Gather every entry's row and add it to its target: any device and dtype, O(entries x width) memory."""
    row = torch.repeat_interleave(torch.arange(rowptr.numel() - 1, device=x.device), rowptr.diff().long())
    messages = x.index_select(0, col)
    if weight is not None:
        messages = messages * weight.unsqueeze(-1)
    return x.new_zeros(rowptr.numel() - 1, x.size(1)).index_add_(0, row, messages)


def cpu_sum(rowptr: Tensor, col: Tensor, weight: Tensor | None, x: Tensor) -> Tensor:
    """One bag per row: torch's embedding-bag kernel is vectorised, row-parallel, deterministic, and needs no compiler."""
    # detach: the bag would otherwise prepare for its own, slow, backward.
    table = x.detach().contiguous()
    scale = None if weight is None else weight.detach().contiguous()
    return torch.embedding_bag(table, col, rowptr, False, 0, False, scale, True)[0]


def csr_sum(rowptr: Tensor, col: Tensor, weight: Tensor | None, x: Tensor) -> Tensor:
    """Through ``torch.sparse`` CSR (cuSPARSE on a GPU)."""
    values = x.new_ones(col.numel()) if weight is None else weight
    size = (rowptr.numel() - 1, x.size(0))
    matrix = torch.sparse_csr_tensor(rowptr, col, values, size, check_invariants=False)
    return matrix @ x


def weighted_sum(rowptr: Tensor, col: Tensor, weight: Tensor | None, x: Tensor) -> Tensor:
    """Row sums by the quickest of the above for the device of ``x``.

    Args:
        rowptr: [rows + 1] integer.
        col: [entries] integer, of the same type.
        weight: [entries] of the type of ``x``, or None for ones.
        x: [columns, d] floating point.

    Returns:
        [rows, d].
    """
    if col.numel() == 0 or x.size(1) == 0:
        return x.new_zeros(rowptr.numel() - 1, x.size(1))
    if x.device.type == "cpu":
        return cpu_sum(rowptr, col, weight, x)
    if x.device.type == "cuda":
        return csr_sum(rowptr, col, weight, x)
    return reference_sum(rowptr, col, weight, x)


def row_max(rowptr: Tensor, row: Tensor, values: Tensor) -> Tensor:
    """Largest of the entries of each row; 0 for an empty row. ``values`` [entries, h] -> [rows, h]."""
    out = values.new_zeros(rowptr.numel() - 1, values.size(1))
    index = row.long().unsqueeze(-1).expand_as(values)
    return out.scatter_reduce(0, index, values, "amax", include_self=False)
