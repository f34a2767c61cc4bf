"""Largest or smallest message of each row: the entry that gives it is found first, then read differentiably."""

from __future__ import annotations

from torch import Tensor

from graphforget.kernels.backends import choose
from graphforget.kernels.graph import SparseGraph


def extremum(graph: SparseGraph, x: Tensor, largest: bool, backend: str | None) -> Tensor:
    """``out[i, j]``: the largest or smallest ``weight[e] * x[col[e], j]`` over the entries e of row i; 0 for an empty row.

    The gradient goes to that entry alone, and of several equal ones to the first in CSR order (PyG's scatter shares it among
    them). NaN counts as both the largest and the smallest. Nothing of size entries x d is kept.
    """
    weight = None if graph.weight is None else graph.weight.to(x.dtype)
    if graph.num_edges == 0:  # sums of nothing: zero, with the gradients that any other graph gives
        zero = x.narrow(0, 0, 0).sum(0)
        return (zero if weight is None else zero + weight.sum()).expand(graph.num_rows, x.size(1))
    find = choose("extreme_entry", x.device, backend)
    entry = find(graph, None if weight is None else weight.detach(), x.detach(), largest)
    # Half types go through float32, so that the gradients which meet at one source add up there.
    wide = x.float() if x.element_size() < 4 else x
    out = wide.gather(0, graph.col[entry].long())
    if weight is not None:
        out = out * weight.to(wide.dtype)[entry]
    return out.masked_fill((graph.degree() == 0).unsqueeze(-1), 0.0).to(x.dtype)
