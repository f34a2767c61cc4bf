"""Cutting a graph into balanced parts."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.registry import nearest

Method = Literal["metis", "random"]


def partition(data: GraphData, num_parts: int, method: Method = "metis", *, seed: int = 0) -> Tensor:
    """A part for every live node.

    ``"metis"`` cuts few edges: multilevel partitioning of Karypis and Kumar ("A fast and high quality multilevel scheme for
    partitioning irregular graphs", SIAM J. Sci. Comput. 1998). Edges are read in both directions; parts aim to be at most 3 %
    larger than the mean, which a few nodes exceed where parts are small. It needs the package pymetis (extra ``partition``).
    ``"random"`` ignores the edges; its parts differ by one node at most.

    Args:
        data: The graph.
        num_parts: Number of parts.
        method: ``"metis"`` or ``"random"``.
        seed: Seed of the draws; the same seed gives the same parts.

    Returns:
        [N] int64: 0 .. num_parts - 1, and -1 for forgotten nodes. No part is empty.

    Raises:
        InputError: An unknown method, a number of parts that the live nodes cannot fill, or pymetis is not installed.

    Example:
        >>> path = GraphData.create(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> partition(path, 2, "random").bincount().tolist()
        [2, 2]
    """
    if method not in get_args(Method):
        raise InputError(f"unknown way to partition {method!r}: {nearest(str(method), list(get_args(Method)))}")
    live = data.alive.nonzero().view(-1)
    if isinstance(num_parts, bool) or not isinstance(num_parts, int) or not 1 <= num_parts <= len(live):
        raise InputError(f"num_parts must be a whole number from 1 to the number of live nodes ({len(live)}), got {num_parts!r}.")
    if method == "random":
        order = torch.randperm(len(live), generator=seeds.generator(seed))
        part = torch.empty_like(live)
        part[order] = torch.arange(len(live)) % num_parts
    else:
        part = _metis(data, live, num_parts, seed)
    label = torch.full((data.num_nodes,), -1, dtype=torch.long)
    label[live] = part
    return label


def _metis(data: GraphData, live: Tensor, num_parts: int, seed: int) -> Tensor:
    pymetis = _pymetis()
    if num_parts == 1:
        return torch.zeros_like(live)
    rowptr, col = data.neighbours
    row = torch.repeat_interleave(torch.arange(data.num_nodes), rowptr.diff())
    keep = row != col  # METIS reads no self-loops
    position = torch.full((data.num_nodes,), -1, dtype=torch.long)
    position[live] = torch.arange(len(live))
    starts = torch.zeros(len(live) + 1, dtype=torch.long)  # dead nodes have no edges: every neighbour is live
    starts[1:] = torch.bincount(position[row[keep]], minlength=len(live)).cumsum(0)
    kind = pymetis.zero_copy_dtype()
    graph = pymetis.CSRAdjacency(starts.numpy().astype(kind), position[col[keep]].numpy().astype(kind))
    # From 1 on: C's srand takes 0 and 1 for the same seed.
    options = pymetis.Options(seed=seeds.derive(seed, "metis") % (2**31 - 2) + 1)
    part = torch.tensor(pymetis.part_graph(num_parts, graph, options=options).vertex_part, dtype=torch.long)
    empty = num_parts - len(torch.unique(part))
    if empty:
        raise InputError(
            f"METIS left {empty} of {num_parts} parts of {len(live)} nodes empty: ask for fewer parts, or take method='random'."
        )
    return part


def _pymetis() -> Any:
    try:
        import pymetis
    except ImportError:
        raise InputError(
            "partition(method='metis') needs the package pymetis: pip install 'graphforget[partition]', or take method='random'."
        ) from None
    if not hasattr(pymetis, "CSRAdjacency"):
        raise InputError("partition(method='metis') needs pymetis 2025.2 or later: pip install -U 'graphforget[partition]'.")
    return pymetis
