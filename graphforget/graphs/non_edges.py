"""Pairs of nodes that no edge connects, drawn at random."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.requests.keys import first_of_each, row_keys, sizes_of, smaller_first

_ROUNDS = 50


def draw_non_edges(
    live: Tensor,
    count: int,
    connected: Callable[[Tensor], Tensor],
    generator: torch.Generator | None,
    *,
    undirected: bool = True,
    distinct: bool = False,
    draws: Callable[[int], int] = lambda need: 2 * need + 8,
    why: str = "the graph is (nearly) complete",
) -> Tensor:
    """Uniform pairs of different nodes that are no edge, by rejection.

    Every round draws for what is still missing; a graph dense enough to defeat fifty rounds has no use for sampled non-edges.

    Args:
        live: Ids to draw from, [n], ascending.
        count: How many pairs.
        connected: Says which pairs [k, 2] an edge connects, [k] bool, so that nothing of the graph's size need be made.
        generator: CPU generator; the global one where it is None.
        undirected: Give pairs with u < v.
        distinct: Give no pair twice.
        draws: How many pairs a round draws where so many are missing; what a seed gives depends on it.
        why: What to say where non-edges were not found.

    Returns:
        [count, 2], in the order drawn.

    Raises:
        InputError: Non-edges were not found.

    Example:
        >>> from graphforget.graphs import GraphData
        >>> path = GraphData.create(torch.tensor([[0, 1], [1, 2]]), 3)
        >>> draw_non_edges(torch.arange(3), 2, path.connected, torch.Generator().manual_seed(0)).tolist()
        [[0, 2], [0, 2]]
    """
    found = torch.empty((0, 2), dtype=torch.long)
    same_numbers = len(live) > 0 and int(live[-1]) == len(live) - 1
    for _ in range(_ROUNDS if len(live) > 1 else 0):
        need = count - len(found)
        if not need:
            break
        drawn = torch.randint(len(live), (draws(need), 2), generator=generator)
        drawn = drawn if same_numbers else live[drawn]
        drawn = smaller_first(drawn) if undirected else drawn
        free = (drawn[:, 0] != drawn[:, 1]) & ~connected(drawn)
        found = torch.cat([found, drawn.index_select(0, free.nonzero().view(-1))])
        if distinct:
            found = found[first_of_each(row_keys(found, sizes_of(found)))]
        found = found[:count]
    if len(found) < count:
        raise InputError(f"could not draw {count} non-edges: {why}.")
    return found
