"""From and to PyTorch Geometric, networkx and scipy. The packages are imported when first used."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.data import GraphData
from graphforget.graphs.features import take_rows

_PARTS = ("train", "val", "test")


def as_graph(
    obj: Any,
    *,
    num_nodes: int | None = None,
    x: Tensor | None = None,
    y: Tensor | None = None,
    undirected: bool | None = None,
    splits: Mapping[str, Tensor] | None = None,
    split: int | None = None,
    num_classes: int | None = None,
    name: str | None = None,
) -> GraphData:
    """A :class:`GraphData` from a graph of another library.

    - PyG ``Data`` (anything with ``edge_index``): x, y and the masks ``train_mask``, ``val_mask``, ``test_mask``. Supervision
      stored beside the edges (``edge_label_index``) is not read: training pairs are the edges.
    - networkx: nodes are numbered in the graph's order and their names kept; node attributes ``x`` and ``y`` are read where
      every node has them.
    - scipy sparse matrix or array [N, N]: entry (i, j) is an edge from i to j.
    - a tensor ``edge_index`` [2, E], with ``num_nodes``.

    Args:
        obj: The graph. A :class:`GraphData` is returned as it is.
        num_nodes: For an ``edge_index``.
        x: Features [N, F], instead of those found.
        y: Labels [N], instead of those found.
        undirected: By default found out from the edges.
        splits: Instead of the masks found.
        split: Which column of 2-D masks (data with several splits) to take.
        num_classes: By default the largest label plus one.
        name: For reports.

    Raises:
        InputError: Not a graph, several splits and no choice, or content that :meth:`GraphData.create` refuses.

    Example:
        >>> import scipy.sparse
        >>> as_graph(scipy.sparse.coo_array(([1, 1], ([0, 1], [1, 0])))).pairs().tolist()
        [[0, 1]]
    """
    if isinstance(obj, GraphData):
        if any(value is not None for value in (num_nodes, x, y, undirected, splits, split, num_classes, name)):
            raise InputError("this is a GraphData already, so nothing can be set here; make another one with GraphData.create.")
        return obj
    if isinstance(obj, Tensor):
        if num_nodes is None:
            raise InputError("an edge_index needs num_nodes beside it, for example as_graph(edge_index, num_nodes=100).")
        found: dict[str, Any] = {"edge_index": obj, "num_nodes": num_nodes}
    elif num_nodes is not None:
        raise InputError("num_nodes is for a plain edge_index; this graph brings its own.")
    elif hasattr(obj, "is_multigraph") and hasattr(obj, "nodes"):
        found = _from_networkx(obj)
    elif hasattr(obj, "tocoo"):
        found = _from_scipy(obj)
    elif hasattr(obj, "edge_types"):
        raise InputError(
            "graphs with several node or edge types (HeteroData) are not supported; convert with data.to_homogeneous()."
        )
    elif isinstance(getattr(obj, "edge_index", None), Tensor):
        found = _from_pyg(obj, split, splits is None)
    else:
        raise InputError(
            f"expected a GraphData, a PyG Data with edge_index, a networkx graph or a scipy sparse matrix, "
            f"got {type(obj).__name__}."
        )
    given = {"x": x, "y": y, "undirected": undirected, "splits": splits, "num_classes": num_classes, "name": name}
    found.update({key: value for key, value in given.items() if value is not None})
    return GraphData.create(found.pop("edge_index"), found.pop("num_nodes"), **found)


def _from_pyg(obj: Any, split: int | None, with_masks: bool) -> dict[str, Any]:
    if getattr(obj, "edge_attr", None) is not None or getattr(obj, "edge_weight", None) is not None:
        warnings.warn("edge attributes and weights are not kept: models are called as forward(x, edge_index).", stacklevel=4)
    found: dict[str, Any] = {"edge_index": obj.edge_index, "num_nodes": int(obj.num_nodes)}
    for key in ("x", "y"):
        if isinstance(getattr(obj, key, None), Tensor):
            found[key] = getattr(obj, key)
    splits = {}
    for part in _PARTS if with_masks else ():
        mask = getattr(obj, f"{part}_mask", None)
        if mask is None:
            continue
        if mask.dim() == 2:
            if split is None or not 0 <= split < mask.size(1):
                raise InputError(
                    f"{part}_mask has {mask.size(1)} columns, one per split: pick one with split=0 to {mask.size(1) - 1}."
                )
            mask = mask[:, split]
        if mask.dtype != torch.bool:
            raise InputError(f"{part}_mask must be boolean, got dtype {str(mask.dtype).removeprefix('torch.')}.")
        splits[part] = mask.detach().cpu().nonzero().view(-1)
    return found | {"splits": splits}


def _from_networkx(graph: Any) -> dict[str, Any]:
    names = tuple(graph.nodes)
    position = {node: i for i, node in enumerate(names)}
    rows = [(position[u], position[v]) for u, v in graph.edges()]
    if not graph.is_directed():
        rows += [(v, u) for u, v in rows if u != v]
    found: dict[str, Any] = {
        "edge_index": torch.tensor(rows, dtype=torch.long).view(-1, 2).t(),
        "num_nodes": len(names),
        "undirected": not graph.is_directed(),
        "node_names": names,
    }
    for key, dtype in (("x", torch.float32), ("y", torch.long)):
        values = [graph.nodes[node].get(key) for node in names]
        if names and all(value is not None for value in values):
            try:
                found[key] = torch.stack([torch.as_tensor(value, dtype=dtype) for value in values])
            except (TypeError, ValueError, RuntimeError):
                what = "a vector of numbers of one length" if key == "x" else "an integer"
                raise InputError(f"node attribute '{key}' must be {what} at every node; give {key}=... instead.") from None
    return found


def _from_scipy(matrix: Any) -> dict[str, Any]:
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"an adjacency matrix must be square, got shape {list(matrix.shape)}.")
    coo = matrix.tocoo()
    row, col, value = (torch.as_tensor(part) for part in (coo.row, coo.col, coo.data))
    present = value != 0
    if bool((value[present] != 1).any()):
        warnings.warn("edge weights of the matrix are not kept: every non-zero entry is an edge.", stacklevel=4)
    return {"edge_index": torch.stack([row.long(), col.long()])[:, present], "num_nodes": int(matrix.shape[0])}


def to_pyg(data: GraphData) -> Any:
    """A PyG ``Data`` with the same ids: x, y, masks of node splits, ``alive``.

    Pairs of link splits become ``val_edge_label_index``, ``test_neg_edge_label_index`` and so on, [2, n].
    """
    from torch_geometric.data import Data

    out = Data(edge_index=data.edge_index, num_nodes=data.num_nodes)
    if data.x is not None:
        out.x = data.x
    if data.y is not None:
        out.y = data.y
    for part, rows in data.splits.items():
        if rows.dim() == 2:
            out[f"{part}_edge_label_index"] = rows.t().contiguous()
        else:
            out[f"{part}_mask"] = torch.zeros(data.num_nodes, dtype=torch.bool).index_fill(0, rows, True)
    out.alive = data.alive
    return out


def to_networkx(data: GraphData) -> Any:
    """A networkx ``Graph`` or ``DiGraph`` of the live nodes under their names (ids without names); copies of an edge merge.

    Node attributes: ``x`` (list) and ``y``, where the graph has them.
    """
    import networkx as nx

    graph = nx.Graph() if data.undirected else nx.DiGraph()
    ids = data.alive.nonzero().view(-1)
    names = data.node_names or range(data.num_nodes)
    x = None if data.x is None else take_rows(data.x, ids).to_dense().tolist()
    for row, node in enumerate(ids.tolist()):
        attributes: dict[str, Any] = {} if x is None else {"x": x[row]}
        if data.y is not None:
            attributes["y"] = int(data.y[node])
        graph.add_node(names[node], **attributes)
    graph.add_edges_from((names[u], names[v]) for u, v in data.edge_index.t().tolist())
    return graph


def to_scipy(data: GraphData) -> Any:
    """Adjacency as ``scipy.sparse.csr_array`` [N, N] of ones; entry (i, j) is an edge from i to j, copies merge."""
    import numpy as np
    import scipy.sparse

    edges = torch.unique(data.edge_index, dim=1).numpy()
    return scipy.sparse.csr_array(
        (np.ones(edges.shape[1], dtype=np.float32), (edges[0], edges[1])), shape=(data.num_nodes, data.num_nodes)
    )
