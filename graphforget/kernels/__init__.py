"""Sparse message passing: a graph held as CSR with its transpose, and differentiable operations on it."""

from __future__ import annotations

from graphforget.kernels.aggregate import gather_edges, linear, sddmm, spmm, spmm_rows, sum_edges
from graphforget.kernels.attention import edge_scores, edge_softmax, gat_aggregate
from graphforget.kernels.backends import BACKENDS, using
from graphforget.kernels.edit import drop_edges, drop_nodes
from graphforget.kernels.graph import SparseGraph
from graphforget.kernels.masked import masked_spmm
from graphforget.kernels.pairs import bpr_loss, pair_scores
from graphforget.kernels.reorder import reorder

__all__ = [
    "BACKENDS",
    "SparseGraph",
    "bpr_loss",
    "drop_edges",
    "drop_nodes",
    "edge_scores",
    "edge_softmax",
    "gat_aggregate",
    "gather_edges",
    "linear",
    "masked_spmm",
    "pair_scores",
    "reorder",
    "sddmm",
    "spmm",
    "spmm_rows",
    "sum_edges",
    "using",
]
