"""Sparse message passing: a graph held as CSR with its transpose, and differentiable operations on it."""

from __future__ import annotations

from graphforget.kernels.graph import SparseGraph
from graphforget.kernels.ops import edge_scores, edge_softmax, gather_edges, linear, pair_scores, sddmm, spmm, sum_edges

__all__ = ["SparseGraph", "edge_scores", "edge_softmax", "gather_edges", "linear", "pair_scores", "sddmm", "spmm", "sum_edges"]
