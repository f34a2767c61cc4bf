"""CUDA through torch: cuSPARSE over CSR and its kept transpose."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.kernels.graph import SparseGraph


def devices() -> tuple[str, ...]:
    """Device types it runs on; torch's CSR product exists on the CPU too, where the tests check it."""
    return ("cuda", "cpu")


def spmm(graph: SparseGraph, weight: Tensor | None, x: Tensor) -> Tensor:
    """``out[i] = sum of weight[e] * x[col[e]]`` over the entries e of row i; [n, d]."""
    values = x.new_ones(graph.num_edges) if weight is None else weight
    matrix = torch.sparse_csr_tensor(graph.rowptr, graph.col, values, graph.shape, check_invariants=False)
    return matrix @ x
