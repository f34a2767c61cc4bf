"""Fixed splits by seed: held-out edges with sampled non-edges, and stratified nodes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.base.tables import take_tables
from graphforget.datasets.splits import stratified
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, both_directions
from graphforget.graphs.non_edges import draw_non_edges
from graphforget.requests.keys import contains

_ENUMERATE_BELOW = 2_000_000  # candidate pairs; below, non-edges are listed, above, drawn and rejected


def split_edges(data: GraphData, *, seed: int = 0, test: float = 0.05, val: float = 0.05) -> GraphData:
    """Hold out edges for link prediction.

    Edges (one id per undirected edge) are shuffled by the seed; the first share is the test part, the next the validation part,
    the rest stays as message-passing edges in both directions (Cheng et al., "GNNDelete", ICLR 2023: 5 %, 5 %, 90 %). Equal
    numbers of non-edges are sampled for both parts: distinct pairs of different live nodes that are no edge of the *whole* graph.
    Self-loops and copies of edges are dropped. Edges that derived from features become data of their own (no ``edge_rule``).

    Args:
        data: The whole graph; its node split is replaced.
        seed: Seed of the split and the non-edges.
        test: Share of test edges.
        val: Share of validation edges.

    Raises:
        InputError: Bad shares, too few edges, or too few non-edges.

    Example:
        >>> ring = torch.arange(40)
        >>> data = split_edges(GraphData.create(torch.stack([ring, ring.roll(-1)]), 40))
        >>> {part: len(rows) for part, rows in data.splits.items()}, len(data.pairs())
        ({'val': 2, 'test': 2, 'val_neg': 2, 'test_neg': 2}, 36)
    """
    if not (0 < test < 1 and 0 < val < 1 and test + val < 1):
        raise InputError(f"test and val must be positive shares with a sum below 1, got test={test} and val={val}.")
    pairs = data.pairs()
    num_test, num_val = int(test * len(pairs)), int(val * len(pairs))
    if not num_test or not num_val:
        raise InputError(
            f"'{data.name}' has {len(pairs)} edges, too few to hold out shares of {test} and {val}; give larger ones."
        )
    g = seeds.generator(seed)
    pairs = pairs[torch.randperm(len(pairs), generator=g)]
    held = {"val": pairs[num_test : num_test + num_val], "test": pairs[:num_test]}
    free = _non_edges(data, num_test + num_val, g)
    held |= {"val_neg": free[num_test:], "test_neg": free[:num_test]}
    train = pairs[num_test + num_val :]
    edges = both_directions(train, data.num_nodes) if data.undirected else train.t()
    edge_data = {}
    if data.edge_data:  # rows of the entries that stay, the first of every copy
        keys, kept = data.keys(data.edge_index.t()), data.keys(edges.t()).sort().values
        stay = contains(kept, keys)
        stay[1:] &= keys[1:] != keys[:-1]
        edges, edge_data = data.edge_index[:, stay], take_tables(data.edge_data, stay)
    return GraphData.create(
        edges,
        data.num_nodes,
        x=data.x,
        y=data.y,
        undirected=data.undirected,
        splits=held,
        alive=data.alive,
        num_classes=data.num_classes,
        name=data.name,
        node_names=data.node_names,
        node_data=data.node_data,
        edge_data=edge_data,
    )


def _non_edges(data: GraphData, count: int, g: torch.Generator) -> Tensor:
    """``count`` distinct non-edges, [count, 2]."""
    live = data.alive.nonzero().view(-1)
    known = data.lookup.example_keys
    if len(live) ** 2 <= _ENUMERATE_BELOW:
        every = torch.cartesian_prod(live, live)
        every = every[every[:, 0] < every[:, 1]] if data.undirected else every[every[:, 0] != every[:, 1]]
        free = every[~contains(known, data.keys(every))]
        if len(free) < count:
            raise InputError(f"'{data.name}' has {len(free)} pairs without an edge, too few to sample {count} negatives.")
        return free[torch.randperm(len(free), generator=g)[:count]]
    return draw_non_edges(
        live,
        count,
        lambda pairs: contains(known, data.keys(pairs)),
        g,
        undirected=data.undirected,
        distinct=True,
        draws=lambda need: 2 * need + 16,
        why=f"'{data.name}' is nearly complete",
    )


def with_node_split(data: GraphData, seed: int) -> GraphData:
    """The graph with its own node split, else a stratified one of 60, 20 and 20 %."""
    if "train" in data.splits or data.y is None:
        return data
    return replace(data, splits=stratified(data.y, seed=seed))
