"""Random non-edges as plain tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphforget.exceptions import InputError


def non_edges(
    live: Tensor, edges: Tensor | Callable[[Tensor], Tensor], num_nodes: int, count: int, generator: torch.Generator
) -> Tensor:
    """Uniform pairs (u < v) of live nodes that no edge connects, in either direction; a pair may be drawn twice.

    Args:
        live: Ids of live nodes, [n].
        edges: Edges, [m, 2], or a function that says which pairs [k, 2] are connected, so that nothing of the graph's size is
            made.
        num_nodes: Number of id slots.
        count: How many pairs.
        generator: CPU generator.

    Returns:
        [count, 2].

    Raises:
        InputError: Non-edges were not found: the graph is (nearly) complete.
    """
    connected = _among(edges, num_nodes) if isinstance(edges, Tensor) else edges
    found = torch.empty((0, 2), dtype=torch.long)
    for _ in range(50):
        need = count - len(found)
        if need <= 0 or len(live) < 2:
            break
        drawn = live[torch.randint(len(live), (2 * need + 8, 2), generator=generator)]
        drawn = torch.stack([drawn.amin(1), drawn.amax(1)], 1)
        free = (drawn[:, 0] != drawn[:, 1]) & ~connected(drawn)
        found = torch.cat([found, drawn[free]])
    if len(found) < count:
        raise InputError(f"could not draw {count} pairs of unconnected nodes: the graph is (nearly) complete.")
    return found[:count]


def _among(edges: Tensor, num_nodes: int) -> Callable[[Tensor], Tensor]:
    """Whether an edge connects the two ends of a pair u < v, for [k, 2] pairs."""
    keys = torch.unique(edges.amin(1) * num_nodes + edges.amax(1))
    return lambda pairs: torch.isin(pairs[:, 0] * num_nodes + pairs[:, 1], keys)
