"""What a :class:`~graphforget.kernels.SparseGraph` derives from its arrays and keeps: transpose, self-loops, normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.csr import row_count, transpose_arrays

if TYPE_CHECKING:
    from graphforget.kernels.graph import SparseGraph


def loop_count(graph: SparseGraph) -> Tensor:
    """Number of self-loops of each row, [num_rows] int64."""
    return row_count(graph.rowptr, graph.row == graph.col)


def transpose(graph: SparseGraph) -> SparseGraph:
    """The transposed matrix; the graph itself where it is symmetric. Remembers the way back, and ``perm``."""
    if graph.total_degree is not None:  # it belongs to the rows
        return graph.with_total_degree(None).transpose()
    if graph.weight is not None:
        pattern, weight = graph._plain.transpose(), graph.weight.index_select(0, graph.perm)
        if not graph.learned and pattern is graph._plain and torch.equal(weight, graph.weight):
            return graph
        out = pattern.with_weight(weight)
        if not graph.learned:
            out._transpose = graph
        return out
    rowptr, col, order = transpose_arrays(graph.rowptr, graph.col, graph.row, graph.num_cols)
    return mirror(graph, rowptr, col, order.to(col.dtype))


def mirror(graph: SparseGraph, rowptr: Tensor, col: Tensor, perm: Tensor) -> SparseGraph:
    """The transpose of a graph without weights, given its arrays; the graph itself where they are its own."""
    graph._perm = perm
    if graph.num_rows == graph.num_cols and torch.equal(rowptr, graph.rowptr) and torch.equal(col, graph.col):
        return graph
    out = type(graph)(rowptr, col, num_cols=graph.num_rows)
    out._perm = torch.empty_like(perm)
    out._perm[perm.long()] = torch.arange(perm.numel(), dtype=perm.dtype, device=perm.device)
    out._transpose = graph
    return out


def with_self_loops(graph: SparseGraph) -> SparseGraph:
    """The square graph with one self-loop per row, and the total degree that goes with it."""
    if graph.total_degree is None:
        rowptr, col, weight = insert_loops(graph)
        return type(graph)(rowptr, col, weight, num_cols=graph.num_cols)
    whole = graph.with_total_degree(None).with_self_loops()
    return whole.with_total_degree(graph.total_degree - loop_count(graph) + 1)


def insert_loops(graph: SparseGraph) -> tuple[Tensor, Tensor, Tensor | None]:
    """``rowptr``, ``col`` and ``weight`` of the square graph with exactly one self-loop per row.

    Entries are moved, not sorted: row i's loop comes after its entries with a smaller column.
    """
    row, col = graph.row, graph.col
    keep, nodes = row != col, torch.arange(graph.num_rows, device=graph.device)
    start = torch.zeros(graph.num_rows + 1, dtype=torch.long, device=graph.device)
    torch.cumsum(row_count(graph.rowptr, keep) + 1, 0, out=start[1:])
    loop = start[:-1] + row_count(graph.rowptr, col < row)
    # One more place for each row before, and for the own row's loop where it comes first.
    place = keep.cumsum(0).add_(row.long()).sub_(1).add_(col > row)[keep]
    out = torch.empty(int(start[-1]), dtype=col.dtype, device=graph.device)
    out[loop] = nodes.to(col.dtype)
    out[place] = col[keep]
    if graph.weight is None:
        return start.to(col.dtype), out, None
    own = graph.weight.new_ones(graph.num_rows).index_put((row[~keep].long(),), graph.weight[~keep])
    weight = graph.weight.new_zeros(out.numel()).index_put((loop,), own).index_put((place,), graph.weight[keep])
    return start.to(col.dtype), out, weight


def gcn_weight(graph: SparseGraph, loops: SparseGraph, dtype: torch.dtype) -> Tensor:
    """Weights of ``D^-1/2 (A + I) D^-1/2`` for the entries of ``loops``, which is ``graph.with_self_loops()``.

    Raises:
        InputError: Both a weight per entry and a total degree.
    """
    weight, sample = None, None
    if graph.total_degree is not None:
        if graph.weight is not None:
            raise InputError(
                "a total degree counts entries, so it cannot be the row sum of a weighted graph: normalise the whole graph with "
                "gcn_norm() first, and take the part from the result."
            )
        present = loop_count(graph)
        degree = (graph.total_degree - present + 1).to(dtype)
        own = graph.degree() - present
        sample = torch.where(own > 0, (graph.total_degree - present).to(dtype) / own.clamp(min=1), 1.0)
    elif loops.weight is None:
        degree = loops.degree().to(dtype)
    else:
        weight = loops.weight.to(dtype)
        degree = weight.new_zeros(loops.num_rows).index_add(0, loops.row, weight)
    scale = degree.pow(-0.5)
    scale = scale.masked_fill(torch.isinf(scale), 0.0)
    # Both ends first: the product is then exactly symmetric for symmetric weights.
    value = scale.index_select(0, loops.row) * scale.index_select(0, loops.col)
    if sample is not None:
        return torch.where(loops.row == loops.col, value, value * sample.index_select(0, loops.row))
    return value if weight is None else value * weight
