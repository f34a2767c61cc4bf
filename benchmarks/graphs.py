"""Seeded synthetic graphs: a power law of the size of ogbn-arxiv, and a grid of bounded degree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest


def power_law(num_nodes: int, num_edges: int, *, max_degree: int, exponent: float = 2.5, seed: int = 0) -> Tensor:
    """Undirected edges of a graph whose degrees follow a power law (the model of Chung and Lu).

    Ends are drawn with probabilities proportional to expected degrees; pairs met before and self-loops are drawn again.

    Args:
        num_nodes: N.
        num_edges: How many undirected edges, exactly.
        max_degree: Expected degree of the largest hub; duplicates make it a little smaller.
        exponent: Of the degree distribution; above 2.
        seed: Of every draw; ids are shuffled.

    Returns:
        [num_edges, 2] int64, u < v, each pair once.
    """
    draw = np.random.default_rng(seed)
    cumulative = np.cumsum(_expected_degrees(num_nodes, 2 * num_edges, max_degree, exponent))
    cumulative /= cumulative[-1]
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < num_edges:
        ends = np.searchsorted(cumulative, draw.random((2 * (num_edges - len(keys)) + 64, 2))).clip(max=num_nodes - 1)
        low, high = ends.min(1), ends.max(1)
        keys = np.unique(np.concatenate([keys, (low * num_nodes + high)[low != high]]))
    keys = draw.permutation(keys)[:num_edges]
    names = draw.permutation(num_nodes)
    pairs = np.stack([names[keys // num_nodes], names[keys % num_nodes]], 1)
    return torch.from_numpy(np.sort(pairs, 1))


def _expected_degrees(num_nodes: int, total: int, max_degree: int, exponent: float) -> np.ndarray:
    """``c (i + i0) ** (-1 / (exponent - 1))`` with sum ``total``; i0 by bisection, so that the first is ``max_degree``."""
    if not total / num_nodes < max_degree < num_nodes:
        raise InputError(f"max_degree must lie between the mean, {total / num_nodes:.1f}, and {num_nodes}, got {max_degree}.")
    rank = np.arange(num_nodes, dtype=np.float64)
    low, high = 1e-9, float(num_nodes) * 1e6
    for _ in range(200):
        middle = (low * high) ** 0.5
        weight = (rank + middle) ** (-1 / (exponent - 1))
        weight *= total / weight.sum()
        low, high = (middle, high) if weight[0] > max_degree else (low, middle)
    return weight


def grid(rows: int, columns: int, *, shuffle: bool = False, seed: int = 0) -> Tensor:
    """Undirected edges of a grid with four neighbours per inner node, [m, 2]; ids by row, or shuffled."""
    ids = torch.arange(rows * columns)
    if shuffle:
        ids = torch.randperm(rows * columns, generator=torch.Generator().manual_seed(seed))
    ids = ids.view(rows, columns)
    pairs = torch.cat(
        [
            torch.stack([ids[:, :-1].reshape(-1), ids[:, 1:].reshape(-1)], 1),
            torch.stack([ids[:-1].reshape(-1), ids[1:].reshape(-1)], 1),
        ]
    )
    return pairs.sort(1).values


def make_graph(config: dict[str, Any]) -> tuple[Tensor, int]:
    """(undirected edges [m, 2], number of nodes) of an entry ``{kind: power_law | grid, ...}`` of a configuration.

    Raises:
        InputError: An unknown kind.
    """
    params = dict(config)
    kind = params.pop("kind")
    if kind == "power_law":
        return power_law(**params), params["num_nodes"]
    if kind == "grid":
        return grid(**params), params["rows"] * params["columns"]
    raise InputError(f"unknown kind of graph '{kind}': {nearest(str(kind), ['power_law', 'grid'])}")


def message_edges(pairs: Tensor, num_nodes: int, *, loops: bool, seed: int | None = None) -> Tensor:
    """``edge_index`` [2, E] with both directions, self-loops at the end where asked for, shuffled where a seed is given."""
    edges = torch.cat([pairs.t(), pairs.t().flip(0)], 1)
    if loops:
        edges = torch.cat([edges, torch.arange(num_nodes).expand(2, -1)], 1)
    if seed is None:
        return edges
    return edges[:, torch.randperm(edges.size(1), generator=torch.Generator().manual_seed(seed))]
