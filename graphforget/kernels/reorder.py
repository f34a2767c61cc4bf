"""Renumbering nodes so that rows which are read together lie together: what is left to gain once gathering is fast."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.csr import compress
from graphforget.kernels.graph import SparseGraph


def reorder(graph: SparseGraph, by: Literal["degree", "rcm"] = "rcm") -> tuple[SparseGraph, Tensor]:
    """The same square graph with its nodes renumbered for locality.

    Features must follow: ``spmm(new, x[order])`` is ``spmm(graph, x)[order]``. Measure before using it: ``"rcm"`` helps where
    near nodes exist and their ids are scattered (a grid with shuffled ids); on a random power-law graph neither order helps.

    Args:
        graph: [n, n]. Weights and total degree are taken along.
        by: ``"degree"``, the most referenced nodes first, so that the rows read most often share cache lines; or ``"rcm"``,
            reverse Cuthill-McKee (Cuthill and McKee, 1969), which brings neighbours near each other.

    Returns:
        The new graph and ``order`` [n] int64: new node i is old node ``order[i]``.

    Raises:
        InputError: Not square, or an unknown ``by``.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [2, 2, 1]]), num_nodes=3)
        >>> reorder(graph, "degree")[1].tolist()
        [0, 1, 2]
    """
    if graph.num_rows != graph.num_cols:
        raise InputError(f"only a square graph can be renumbered, this one is {graph.num_rows} x {graph.num_cols}.")
    if by == "degree":
        order = torch.bincount(graph.col, minlength=graph.num_cols).argsort(descending=True, stable=True)
    elif by == "rcm":
        order = _cuthill_mckee(graph)
    else:
        raise InputError(f"by must be 'degree' or 'rcm', got {by!r}.")
    return permute(graph, order), order


def permute(graph: SparseGraph, order: Tensor) -> SparseGraph:
    """The square graph whose node i is node ``order[i]`` of ``graph``."""
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel(), device=order.device)
    place = place.to(graph.col.dtype)
    rowptr, col, moved = compress(place[graph.row], place[graph.col], graph.num_rows, graph.num_cols)
    weight = None if graph.weight is None else graph.weight.index_select(0, moved)
    out = SparseGraph(rowptr, col, weight, num_cols=graph.num_cols)
    return out if graph.total_degree is None else out.with_total_degree(graph.total_degree[order])


def _cuthill_mckee(graph: SparseGraph) -> Tensor:
    rowptr, col = graph.rowptr.cpu().numpy(), graph.col.cpu().numpy()
    import scipy.sparse
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    matrix = scipy.sparse.csr_array((np.ones(len(col), dtype=np.int8), col, rowptr), shape=graph.shape)
    found = reverse_cuthill_mckee(scipy.sparse.csr_matrix(matrix), symmetric_mode=graph.pattern.symmetric)
    return torch.from_numpy(found.copy()).long().to(graph.device)
