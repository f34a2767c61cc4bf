"""In and out: PyG ``Data``, networkx, scipy. Third-party packages are imported when used."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData


def as_graph(graph: Any, **options: Any) -> GraphData:
    """A :class:`GraphData` from what the user has.

    Args:
        graph: GraphData (unchanged), PyG ``Data`` (anything with ``edge_index``), networkx graph, or scipy sparse matrix.
        **options: Passed to :meth:`GraphData.create`; they win over what the graph says.

    Raises:
        InputError: Not a graph, or one that is not valid.

    Example:
        >>> import networkx as nx
        >>> as_graph(nx.path_graph(3)).pairs().tolist()
        [[0, 1], [1, 2]]
    """
    if isinstance(graph, GraphData):
        return graph
    if hasattr(graph, "edge_index"):
        return _from_pyg(graph, options)
    if hasattr(graph, "adj") and hasattr(graph, "nodes"):
        return _from_networkx(graph, options)
    if hasattr(graph, "tocoo") and hasattr(graph, "shape"):
        return _from_scipy(graph, options)
    raise InputError(f"cannot read a graph from {type(graph).__name__}: give a GraphData, a PyG Data, a networkx graph or a scipy "
                     f"sparse matrix.")


def _from_pyg(graph: Any, options: dict[str, Any]) -> GraphData:
    splits: dict[str, Tensor] = {}
    for part in ("train", "val", "test"):
        mask = getattr(graph, f"{part}_mask", None)
        if mask is None:
            continue
        if mask.dim() == 2:
            raise InputError(f"{part}_mask has {mask.size(1)} columns (splits); pick one, for example data.{part}_mask = "
                             f"data.{part}_mask[:, 0].")
        splits[part] = mask
    if splits and not bool(torch.as_tensor(splits.get("train", torch.zeros(1))).any()):
        splits.pop("train", None)
    y = getattr(graph, "y", None)
    if y is not None and y.dim() == 2 and y.size(1) == 1:
        y = y.view(-1)
    found = {"x": getattr(graph, "x", None), "y": y, "splits": splits, "num_nodes": getattr(graph, "num_nodes", None)}
    return GraphData.create(graph.edge_index, **{**found, **options})


def _from_networkx(graph: Any, options: dict[str, Any]) -> GraphData:
    nodes = list(graph.nodes)
    row = {node: position for position, node in enumerate(nodes)}
    pairs = [(row[u], row[v]) for u, v in graph.edges()]
    edges = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t()
    if not graph.is_directed():
        loops = edges[0] == edges[1]
        edges = torch.cat([edges, edges[:, ~loops].flip(0)], 1)
    features = [graph.nodes[n].get("x") for n in nodes]
    labels = [graph.nodes[n].get("y") for n in nodes]
    found: dict[str, Any] = {"num_nodes": len(nodes), "undirected": not graph.is_directed()}
    if nodes and all(f is not None for f in features):
        found["x"] = torch.tensor(features, dtype=torch.float)
    if nodes and all(label is not None for label in labels):
        found["y"] = torch.tensor(labels, dtype=torch.long)
    return GraphData.create(edges.contiguous(), **{**found, **options})


def _from_scipy(matrix: Any, options: dict[str, Any]) -> GraphData:
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"an adjacency matrix must be square, got {matrix.shape[0]} x {matrix.shape[1]}.")
    coo = matrix.tocoo()
    edges = torch.stack([torch.from_numpy(coo.row.astype("int64")), torch.from_numpy(coo.col.astype("int64"))])
    return GraphData.create(edges, **{"num_nodes": matrix.shape[0], **options})


def to_pyg(data: GraphData) -> Any:
    """A PyG ``Data`` with masks; link splits become ``val_pos``, ``val_neg`` ... attributes; dead slots stay."""
    from torch_geometric.data import Data

    graph = Data(edge_index=data.edge_index, num_nodes=data.num_nodes)
    if data.x is not None:
        graph.x = data.x.to_dense() if data.x.layout == torch.sparse_csr else data.x
    if data.y is not None:
        graph.y = data.y
    for part, ids in data.splits.items():
        if ids.dim() == 1:
            mask = torch.zeros(data.num_nodes, dtype=torch.bool)
            mask[ids] = True
            graph[f"{part}_mask"] = mask
        else:
            graph[part if part.endswith("_neg") else f"{part}_pos"] = ids
    return graph


def to_networkx(data: GraphData) -> Any:
    """A networkx graph of the live nodes, with ``x`` and ``y`` attributes where there are some; parallel edges are merged."""
    import networkx as nx

    graph = nx.Graph() if data.undirected else nx.DiGraph()
    x = None if data.x is None else (data.x.to_dense() if data.x.layout == torch.sparse_csr else data.x).tolist()
    for node in data.alive.nonzero().view(-1).tolist():
        attributes: dict[str, Any] = {}
        if x is not None:
            attributes["x"] = x[node]
        if data.y is not None:
            attributes["y"] = int(data.y[node])
        graph.add_node(node, **attributes)
    graph.add_edges_from(map(tuple, data.edge_index.t().tolist()))
    return graph


def to_scipy(data: GraphData) -> Any:
    """The adjacency matrix, [N, N] CSR; parallel edges add up."""
    import numpy as np
    from scipy.sparse import coo_matrix

    row, col = data.edge_index.numpy()
    return coo_matrix((np.ones(len(row)), (row, col)), shape=(data.num_nodes, data.num_nodes)).tocsr()
