"""CUDA through torch: cuSPARSE over CSR and its kept transpose."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.csr import count_before, slices
from graphforget.kernels.graph import SparseGraph


def devices() -> tuple[str, ...]:
    """Device types it runs on; torch's CSR product exists on the CPU too, where the tests check it."""
    return ("cuda", "cpu")


def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i; [n, d]."""
    values = x.new_ones(graph.num_edges) if weight is None else weight
    matrix = torch.sparse_csr_tensor(graph.rowptr, graph.col, values, graph.shape, check_invariants=False)
    return matrix @ x


def spmm_rows(graph: SparseGraph, weight: Tensor | None, x: Tensor, rows: Tensor) -> Tensor:
    """The listed rows of :func:`spmm`; [len(rows), d]."""
    marks, entries = slices(graph.rowptr, rows)
    part = SparseGraph(marks, graph.col.index_select(0, entries), num_cols=graph.num_cols)
    return spmm(part, None if weight is None else weight.index_select(0, entries), x)


def masked_spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor, keep: Tensor) -> Tensor:
    """:func:`spmm` over the entries whose bit is set, whatever the others hold; [n, d]."""
    rowptr = count_before(keep).index_select(0, graph.rowptr).to(graph.col.dtype)
    part = SparseGraph(rowptr, graph.col[keep], num_cols=graph.num_cols)
    return spmm(part, None if weight is None else weight[keep], x)
