"""Small graphs of every kind."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from torch import Tensor

from graphforget.graphs import GraphData


def make(
    edges: list[tuple[int, int]], num_nodes: int, *, undirected: bool, sparse: bool = False, with_splits: bool = True
) -> GraphData:
    """A graph with features, labels and a node split; undirected edges are given once (their reverse is added)."""
    rows = [*edges, *((v, u) for u, v in edges if u != v)] if undirected else edges
    edge_index = torch.tensor(rows, dtype=torch.long).view(-1, 2).t()
    x = torch.arange(num_nodes * 3, dtype=torch.float32).view(num_nodes, 3) % 7
    splits = {"train": torch.arange(0, num_nodes, 2), "test": torch.arange(1, num_nodes, 2)} if with_splits else {}
    return GraphData.create(
        edge_index,
        num_nodes,
        x=x.to_sparse_csr() if sparse else x,
        y=torch.arange(num_nodes) % 3,
        undirected=undirected,
        splits=splits,
    )


KINDS = {
    "path": ([(0, 1), (1, 2), (2, 3)], 4),
    "star": ([(0, i) for i in range(1, 7)], 7),
    "multi-edge": ([(0, 1), (0, 1), (1, 0), (1, 2), (1, 2)], 4),
    "self-loops": ([(0, 0), (0, 1), (1, 1), (1, 1), (2, 3)], 4),
    "isolated": ([(0, 1)], 6),
    "no edges": ([], 3),
}


@pytest.fixture(
    params=[(kind, undirected) for kind in KINDS for undirected in (True, False)],
    ids=lambda p: f"{p[0]}-{'undirected' if p[1] else 'directed'}",
)
def any_graph(request) -> GraphData:
    """Each kind of graph, undirected and directed."""
    kind, undirected = request.param
    return make(*KINDS[kind], undirected=undirected)


@st.composite
def graphs(draw: st.DrawFn) -> GraphData:
    """Random small graphs: multi-edges, self-loops and isolated nodes included; dense or sparse features."""
    num_nodes = draw(st.integers(2, 9))
    node = st.integers(0, num_nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=24))
    return make(edges, num_nodes, undirected=draw(st.booleans()), sparse=draw(st.booleans()))


def same(a: Tensor, b: Tensor) -> bool:
    """Equal as stored, NaN equal to NaN, layout included."""
    if a.layout != b.layout:
        return False
    return torch.equal(torch.nan_to_num(a.to_dense(), nan=-99.0), torch.nan_to_num(b.to_dense(), nan=-99.0))
