"""Attention along the entries of a :class:`SparseGraph`."""

from __future__ import annotations

from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.aggregate import gather_edges, sum_edges
from graphforget.kernels.backends import choose
from graphforget.kernels.graph import SparseGraph


def edge_scores(graph: SparseGraph, target: Tensor, source: Tensor) -> Tensor:
    """``target[row[e]] + source[col[e]]``: [n, h] and [m, h] give [E, h] (additive attention before its nonlinearity)."""
    return gather_edges(graph, target, "row") + gather_edges(graph, source, "col")


def edge_softmax(graph: SparseGraph, scores: Tensor) -> Tensor:
    """Softmax over the entries of each row; the weights play no part.

    Args:
        graph: [n, m].
        scores: [E] or [E, heads], in CSR order.

    Returns:
        Of the shape of ``scores``; every non-empty row sums to one.

    Raises:
        InputError: Not one score per entry.
    """
    if scores.size(0) != graph.num_edges or scores.dim() not in (1, 2):
        raise InputError(f"scores must be [E] or [E, heads] with E = {graph.num_edges}, got shape {tuple(scores.shape)}.")
    values = scores.unsqueeze(-1) if scores.dim() == 1 else scores
    # The shift cancels: no gradient flows through it.
    shift = choose("segment_max", values.device)(graph, values.detach())
    power = (values - shift.index_select(0, graph.row)).exp()
    out = power / gather_edges(graph, sum_edges(graph, power), "row")
    return out.view_as(scores)
