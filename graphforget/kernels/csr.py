"""Arithmetic on the arrays of a CSR structure."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.requests.keys import column_keys

INDEX_TYPES = (torch.int32, torch.int64)


def compress(row: Tensor, col: Tensor, num_rows: int, num_cols: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort entries by row, then column, keeping duplicates in their given order.

    Returns:
        ``rowptr`` [num_rows + 1], ``col`` [E] and ``order`` [E] int64: where each CSR entry stood in the input.
    """
    order = torch.argsort(column_keys((row, col), (num_rows, num_cols)), stable=True)
    rowptr = torch.zeros(num_rows + 1, dtype=row.dtype, device=row.device)
    rowptr[1:] = torch.bincount(row, minlength=num_rows).cumsum(0)
    return rowptr, col.index_select(0, order), order


def transpose_arrays(rowptr: Tensor, col: Tensor, row: Tensor, num_cols: int) -> tuple[Tensor, Tensor, Tensor]:
    """The transpose of a CSR structure: as :func:`compress` of the swapped entries, but counted on the CPU, not sorted."""
    if col.device.type != "cpu":
        return compress(col, row, num_cols, rowptr.numel() - 1)
    entries = np.arange(col.numel())
    import scipy.sparse

    matrix = scipy.sparse.csr_array((entries, col.numpy(), rowptr.numpy()), shape=(rowptr.numel() - 1, num_cols)).tocsc()
    start, found, order = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return start.to(col.dtype), found.to(col.dtype), order


def insert_loops(rowptr: Tensor, row: Tensor, col: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """``rowptr``, ``col`` and ``weight`` of the square structure with exactly one self-loop per row.

    Entries are moved, not sorted: row i's loop comes after its entries with a smaller column. Its weight is the present one (the
    last, if several), else 1.
    """
    num_rows = rowptr.numel() - 1
    keep, nodes = row != col, torch.arange(num_rows, device=col.device)
    start = torch.zeros(num_rows + 1, dtype=torch.long, device=col.device)
    torch.cumsum(row_count(rowptr, keep) + 1, 0, out=start[1:])
    loop = start[:-1] + row_count(rowptr, col < row)
    # One more place for each row before, and for the own row's loop where it comes first.
    place = keep.cumsum(0).add_(row.long()).sub_(1).add_(col > row)[keep]
    out = torch.empty(int(start[-1]), dtype=col.dtype, device=col.device)
    out[loop] = nodes.to(col.dtype)
    out[place] = col[keep]
    if weight is None:
        return start.to(col.dtype), out, None
    own = weight.new_ones(num_rows).index_put((row[~keep].long(),), weight[~keep])
    weight = weight.new_zeros(out.numel()).index_put((loop,), own).index_put((place,), weight[keep])
    return start.to(col.dtype), out, weight


def unless_ones(values: Tensor) -> Tensor | None:
    """The values, or None for a binary matrix, which needs no weight array: less to read in every pass."""
    return None if not values.requires_grad and bool((values == 1).all()) else values


def count_before(bits: Tensor) -> Tensor:
    """How many bits are set before each position, and in all: [E] bool to [E + 1] int64."""
    count = torch.zeros(bits.numel() + 1, dtype=torch.long, device=bits.device)
    torch.cumsum(bits, 0, out=count[1:])
    return count


def row_count(rowptr: Tensor, bits: Tensor) -> Tensor:
    """How many entries of each row have their bit set, [num_rows] int64."""
    return count_before(bits).index_select(0, rowptr).diff()


def offsets(counts: Tensor) -> Tensor:
    """Where each of some runs begins when they stand one after the other, and where the last one ends: [n + 1], of their type."""
    marks = counts.new_zeros(counts.numel() + 1)
    torch.cumsum(counts, 0, out=marks[1:])
    return marks


def extent(rowptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """First entry and number of entries of some rows, of the type of ``rowptr``."""
    start = rowptr.index_select(0, rows)
    return start, rowptr.index_select(0, rows.long() + 1) - start


def spans(start: Tensor, marks: Tensor) -> Tensor:
    """``start[i]``, ``start[i] + 1``, ... for as many as there are between ``marks[i]`` and ``marks[i + 1]``; [k] int64."""
    total = int(marks[-1])
    shift = torch.repeat_interleave((start - marks[:-1]).long(), marks.diff().long(), output_size=total)
    return shift.add_(torch.arange(total, device=start.device))


def slices(rowptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Entries of some rows, in the given order: marks [len(rows) + 1] between them, and their positions [k] int64."""
    start, count = extent(rowptr, rows)
    marks = offsets(count)
    return marks, spans(start, marks)


def check_positions(values: Tensor, limit: int, name: str = "rows") -> None:
    """Whether ``values`` lists numbers of rows, nodes or entries.

    Raises:
        InputError: Not a vector of integers, or not all in ``0 .. limit - 1``.
    """
    if values.dim() != 1 or values.dtype not in INDEX_TYPES:
        raise InputError(f"{name} must be a vector of integers, got {values.dtype} of shape {tuple(values.shape)}.")
    if values.numel() and (int(values.min()) < 0 or int(values.max()) >= limit):
        raise InputError(f"{name} must lie in 0..{limit - 1}, got {int(values.min())} to {int(values.max())}.")


def check_total_degree(degree: Tensor, own: Tensor) -> None:
    """Whether ``degree`` can be that of the rows in a graph of which this one, with degrees ``own`` [num_rows], is a part.

    Raises:
        InputError: Another shape or type, or smaller than ``own``.
    """
    if degree.shape != own.shape or degree.dtype != torch.long:
        raise InputError(
            f"degree must hold one int64 number per row ({own.numel()}), got {degree.dtype} of shape {tuple(degree.shape)}."
        )
    low = (degree < own).nonzero().view(-1)
    if low.numel():
        raise InputError(
            f"row {int(low[0])} holds {int(own[low[0]])} entries, more than its total degree {int(degree[low[0]])}: give the "
            "degrees of the graph that this one is a part of."
        )


def check_edge_index(edge_index: Tensor, num_nodes: int) -> None:
    """Whether ``edge_index`` is one of ``num_nodes`` nodes.

    Raises:
        InputError: Not integers of shape [2, E], or an id outside ``0 .. num_nodes - 1``.
    """
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in INDEX_TYPES:
        raise InputError(
            f"edge_index must be an integer tensor of shape [2, E], got {edge_index.dtype} of shape {tuple(edge_index.shape)}."
        )
    if edge_index.numel() and (int(edge_index.min()) < 0 or int(edge_index.max()) >= num_nodes):
        raise InputError(
            f"edge_index holds node ids from {int(edge_index.min())} to {int(edge_index.max())}, but there "
            f"are {num_nodes} nodes; ids must lie in 0..{num_nodes - 1}."
        )
