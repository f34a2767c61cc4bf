"""Random non-edges as plain tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.exceptions import InputError


def non_edges(live: Tensor, edges: Tensor, num_nodes: int, count: int, generator: torch.Generator) -> Tensor:
    """Uniform pairs (u < v) of live nodes that no edge connects, in either direction; a pair may be drawn twice.

    Args:
        live: Ids of live nodes, [n].
        edges: Edges, [m, 2].
        num_nodes: Number of id slots.
        count: How many pairs.
        generator: CPU generator.

    Returns:
        [count, 2].

    Raises:
        InputError: Non-edges were not found: the graph is (nearly) complete.
    """
    keys = torch.unique(edges.amin(1) * num_nodes + edges.amax(1))
    found = torch.empty((0, 2), dtype=torch.long)
    for _ in range(50):
        need = count - len(found)
        if need <= 0 or len(live) < 2:
            break
        drawn = live[torch.randint(len(live), (2 * need + 8, 2), generator=generator)]
        drawn = torch.stack([drawn.amin(1), drawn.amax(1)], 1)
        free = (drawn[:, 0] != drawn[:, 1]) & ~torch.isin(drawn[:, 0] * num_nodes + drawn[:, 1], keys)
        found = torch.cat([found, drawn[free]])
    if len(found) < count:
        raise InputError(f"could not draw {count} pairs of unconnected nodes: the graph is (nearly) complete.")
    return found[:count]
