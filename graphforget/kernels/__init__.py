"""Sparse message passing: a graph held as CSR with its transpose, and differentiable operations on it."""

from __future__ import annotations

from graphforget.kernels.aggregate import gather_edges, linear, sddmm, spmm, sum_edges
from graphforget.kernels.attention import edge_scores, edge_softmax
from graphforget.kernels.backends import BACKENDS, using
from graphforget.kernels.graph import SparseGraph
from graphforget.kernels.pairs import pair_scores

__all__ = [
    "BACKENDS",
    "SparseGraph",
    "edge_scores",
    "edge_softmax",
    "gather_edges",
    "linear",
    "pair_scores",
    "sddmm",
    "spmm",
    "sum_edges",
    "using",
]
