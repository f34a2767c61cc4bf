"""Reading a graph by rows: the entries of a few rows, a uniform sample of them, and expansion hop by hop.

The work follows the rows that are read, never the size of the graph (an array of N marks apart). Random numbers come from torch,
so the numba path (extra ``fast``) and the torch path give the same entries for the same generator.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.backends import forced
from graphforget.kernels.backends.numba import launch
from graphforget.kernels.csr import extent, offsets, spans
from graphforget.kernels.graph import SparseGraph


@dataclass(frozen=True, eq=False)
class Expansion:
    """Nodes by hop, and the entries that led from each hop to the next.

    Attributes:
        nodes: Hops + 1 tensors of int64 ids, ascending: the start nodes, then what each hop found for the first time. Nothing is
            in two of them; a hop may be empty.
        ptr: One tensor per hop: the entries read for ``nodes[h][i]`` are ``entries[h][ptr[h][i] : ptr[h][i + 1]]``.
        entries: One tensor per hop: positions in ``graph.col``, ascending within a row.
    """

    nodes: tuple[Tensor, ...]
    ptr: tuple[Tensor, ...]
    entries: tuple[Tensor, ...]

    def all_nodes(self) -> Tensor:
        """Every node, ascending, [n]."""
        return torch.cat(self.nodes).sort().values


def row_entries(graph: SparseGraph, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where the entries of some rows lie.

    Args:
        graph: The graph; rows are targets, ``graph.col`` holds sources.
        rows: [n] integers in any order; a row may be listed twice.

    Returns:
        ``ptr`` [n + 1] and ``entries`` [m], both int64: ``entries[ptr[i] : ptr[i + 1]]`` are the positions in ``graph.col`` (and
        in its weights) of the entries of ``rows[i]``, ascending.

    Raises:
        InputError: ``rows`` is no vector of row numbers of this graph.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 2]]), num_nodes=3)
        >>> ptr, entries = row_entries(graph, torch.tensor([2, 0]))
        >>> ptr.tolist(), graph.col[entries].tolist()
        ([0, 2, 2], [1, 2])
    """
    rows = _check_rows(graph, rows)
    start, degree = _extent(graph, rows)
    ptr = offsets(degree)
    fast = _numba(graph)
    return ptr, spans(start, ptr) if fast is None else torch.from_numpy(fast.spans(start.numpy(), ptr.numpy()))


def sample_entries(
    graph: SparseGraph, rows: Tensor, fanout: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """At most ``fanout`` entries of each listed row, uniformly without replacement.

    Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 1987): ``fanout`` draws per row, whatever its degree. A
    row of ``fanout`` entries or fewer is taken whole.

    Args:
        graph: The graph; its weights play no part in the draw.
        rows: [n] integers; a row that is listed twice is drawn twice, independently.
        fanout: The most entries of a row, 1 or more.
        generator: CPU generator; the global one where it is None.

    Returns:
        ``ptr`` and ``entries`` as in :func:`row_entries`.

    Raises:
        InputError: ``rows`` or ``fanout`` does not fit, or the generator is not a CPU generator.

    Example:
        >>> star = SparseGraph.from_edge_index(torch.tensor([[1, 2, 3, 4], [0, 0, 0, 0]]), num_nodes=5)
        >>> ptr, entries = sample_entries(star, torch.tensor([0, 1]), 2, torch.Generator().manual_seed(0))
        >>> ptr.tolist(), len(set(entries.tolist()))
        ([0, 2, 2], 2)
    """
    rows, fanout = _check_rows(graph, rows), _check_fanout(fanout)
    if generator is not None and generator.device.type != "cpu":
        raise InputError(f"sampling needs a CPU generator, got one on {generator.device}; make it with torch.Generator().")
    start, degree = _extent(graph, rows)
    large = degree > fanout
    # float64: 53 random bits, so that the bias of scaling to a degree is below 1e-9 for any row that fits in memory.
    draws = torch.rand(int(large.sum()), fanout, dtype=torch.float64, generator=generator)
    ptr = offsets(degree.clamp(max=fanout))
    fast = _numba(graph)
    if fast is not None:
        return ptr, torch.from_numpy(fast.sample(start.numpy(), degree.numpy(), ptr.numpy(), fanout, draws.numpy()))
    entries = torch.empty(int(ptr[-1]), dtype=torch.long, device=graph.device)
    small = ~large
    whole = offsets(degree[small])
    entries[spans(ptr[:-1][small], whole)] = spans(start[small], whole)
    places = ptr[:-1][large].unsqueeze(1) + torch.arange(fanout, device=graph.device)
    entries[places] = start[large].unsqueeze(1) + _floyd(degree[large], draws.to(graph.device))
    return ptr, entries


def expand(
    graph: SparseGraph,
    nodes: Tensor,
    hops: int,
    fanout: int | Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> Expansion:
    """Follow entries from rows to columns, hop by hop; every node's row is read at most once.

    With ``fanout`` each row that is read gives a sample of its entries, drawn once, so that a node looks at the same neighbours
    in every layer of a model (the node-wise sampling of GraphSAGE, arXiv:1706.02216, algorithm 2, with shared draws).

    Args:
        graph: A square graph.
        nodes: Where to start, [n] integers; copies count once.
        hops: Number of hops, 0 or more.
        fanout: None takes every entry; a number is the most entries of any row; a sequence says it per hop, beginning at the
            start nodes.
        generator: CPU generator of the draws.

    Raises:
        InputError: Unknown nodes, a rectangular graph, or ``hops`` or ``fanout`` out of range.

    Example:
        >>> path = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 3]]), num_nodes=4)
        >>> [found.tolist() for found in expand(path, torch.tensor([3]), 2).nodes]
        [[3], [2], [1]]
    """
    if graph.num_rows != graph.num_cols:
        raise InputError(f"expansion needs a square graph, this one has {graph.num_rows} rows and {graph.num_cols} columns.")
    limits = per_hop(fanout, hops)
    frontier = torch.unique(_check_rows(graph, nodes))
    seen = torch.zeros(graph.num_rows, dtype=torch.bool, device=graph.device)
    seen[frontier] = True
    found, ptrs, taken = [frontier], [], []
    fast = _numba(graph)
    for limit in limits:
        ptr, entries = row_entries(graph, frontier) if limit is None else sample_entries(graph, frontier, limit, generator)
        if fast is not None:
            # Sorted by numpy, whose vectorised sort is many times quicker than the one numba compiles.
            frontier = torch.from_numpy(np.sort(fast.unseen(graph.col.numpy(), entries.numpy(), seen.numpy())))
        else:
            reached = graph.col[entries].long()
            frontier = torch.unique(reached[~seen[reached]])
            seen[frontier] = True
        found.append(frontier)
        ptrs.append(ptr)
        taken.append(entries)
    return Expansion(tuple(found), tuple(ptrs), tuple(taken))


def per_hop(fanout: int | Sequence[int] | None, hops: int) -> tuple[int | None, ...]:
    """``fanout`` as one limit per hop; None is no limit.

    Raises:
        InputError: A negative number of hops, a limit below 1, or another number of limits than hops.

    Example:
        >>> per_hop(5, 2), per_hop((10, 5), 2), per_hop(None, 1)
        ((5, 5), (10, 5), (None,))
    """
    if isinstance(hops, bool) or not isinstance(hops, int) or hops < 0:
        raise InputError(f"the number of hops must be 0 or more, got {hops!r}.")
    if fanout is None:
        return (None,) * hops
    if isinstance(fanout, Sequence) and not isinstance(fanout, str):
        if len(fanout) != hops:
            raise InputError(f"fanout lists {len(fanout)} limits for {hops} hops: give one per hop, or one number for all.")
        return tuple(_check_fanout(limit) for limit in fanout)
    return (_check_fanout(fanout),) * hops


def _check_fanout(fanout: Any) -> int:
    if isinstance(fanout, bool) or not isinstance(fanout, int) or fanout < 1:
        raise InputError(f"fanout is the most neighbours to read of a node, a whole number of at least 1; got {fanout!r}.")
    return fanout


def _check_rows(graph: SparseGraph, rows: Tensor) -> Tensor:
    if not isinstance(rows, Tensor) or rows.dim() != 1 or rows.dtype not in (torch.int32, torch.int64):
        got = f"{rows.dtype} of shape {tuple(rows.shape)}" if isinstance(rows, Tensor) else type(rows).__name__
        raise InputError(f"rows must be a vector of row numbers (int64 or int32), got {got}.")
    rows = rows.to(graph.device, torch.long)
    if rows.numel() and (int(rows.min()) < 0 or int(rows.max()) >= graph.num_rows):
        raise InputError(f"rows names {int(rows.min())} to {int(rows.max())}, but the graph has rows 0 to {graph.num_rows - 1}.")
    return rows


def _extent(graph: SparseGraph, rows: Tensor) -> tuple[Tensor, Tensor]:
    """First entry and number of entries of every listed row, int64."""
    start, degree = extent(graph.rowptr, rows)
    return start.long(), degree.long()


def _floyd(degree: Tensor, draws: Tensor) -> Tensor:
    """For each row, as many different numbers below its degree as ``draws`` [n, k] has columns, ascending."""
    chosen = torch.empty(draws.shape, dtype=torch.long, device=degree.device)
    count = draws.size(1)
    for i in range(count):
        last = degree - count + i
        drawn = (draws[:, i] * (last + 1)).long()
        taken = (chosen[:, :i] == drawn.unsqueeze(1)).any(1)
        chosen[:, i] = torch.where(taken, last, drawn)
    return chosen.sort(1).values


def _numba(graph: SparseGraph) -> Any:
    """The compiled loops, or None where they cannot run (no numba, another device) or the reference is forced."""
    if graph.device.type != "cpu" or forced() == "reference":
        return None
    return importlib.import_module("graphforget.kernels.backends.numba.sampling") if launch.available() else None
