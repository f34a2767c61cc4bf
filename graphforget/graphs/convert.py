"""From and to PyTorch Geometric, networkx and scipy. The packages are imported when first used."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.graphs.attached import RESERVED
from graphforget.graphs.checks import TARGET
from graphforget.graphs.data import GraphData
from graphforget.graphs.features import take_rows
from graphforget.requests.keys import column_keys

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

    - PyG ``Data`` with ``edge_index`` or ``adj_t``: x, y, the masks ``train_mask``, ``val_mask``, ``test_mask``, and every
      further tensor with one row per node or per edge under its own name (``edge_weight``, ``edge_attr``, ``edge_type``,
      ``node_type``). Supervision beside the edges (``edge_label_index``) is not read: training pairs are the edges.
    - networkx: nodes are numbered in the graph's order and their names kept; node attributes ``x`` and ``y`` are read
      where every node has them, numbers on every edge as tables (``weight`` is ``edge_weight``).
    - scipy sparse matrix or array [N, N]: entry (i, j) is an edge from i to j, values other than one its ``edge_weight``.
    - a sparse tensor [N, N] of an undirected graph, read likewise; of a directed one it is not known which way it stands.
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
    if isinstance(obj, Tensor) and obj.layout != torch.strided:
        found: dict[str, Any] = _from_sparse(obj)
    elif isinstance(obj, Tensor):
        if num_nodes is None:
            raise InputError("an edge_index needs num_nodes beside it, for example as_graph(edge_index, num_nodes=100).")
        found = {"edge_index": obj, "num_nodes": num_nodes}
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
    elif isinstance(getattr(obj, "edge_index", None), Tensor) or getattr(obj, "adj_t", None) is not None:
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
    edge_index, weight = _edges_of(obj)
    _say_supervision(obj, edge_index)
    found: dict[str, Any] = {"edge_index": edge_index, "num_nodes": int(obj.num_nodes)}
    found |= _tables_of(obj, found["num_nodes"], edge_index.size(1), weight)
    for key in ("x", "y"):
        if isinstance(getattr(obj, key, None), Tensor):
            found[key] = getattr(obj, key)
    splits = {}
    for part in _PARTS if with_masks else ():
        mask = getattr(obj, f"{part}_mask", None)
        if mask is None:
            continue
        if mask.dim() == 2 and mask.size(1) == 1:
            mask = mask.view(-1)
        if mask.dtype == torch.uint8 and bool((mask <= 1).all()):
            mask = mask.bool()
        if mask.dim() == 2:
            if split is None or not 0 <= split < mask.size(1):
                raise InputError(
                    f"{part}_mask has {mask.size(1)} columns, one per split: pick one with split=0 to {mask.size(1) - 1}, "
                    f"in unlearn(...) or as_graph(...)."
                )
            mask = mask[:, split]
        if mask.dtype != torch.bool:
            raise InputError(f"{part}_mask must be boolean, got dtype {str(mask.dtype).removeprefix('torch.')}.")
        splits[part] = mask.detach().cpu().nonzero().view(-1)
    return found | {"splits": splits}


def _say_supervision(obj: Any, edge_index: Tensor) -> None:
    """Warn of supervision edges that are no message-passing edges: a model may have been trained on them."""
    label_index, label = getattr(obj, "edge_label_index", None), getattr(obj, "edge_label", None)
    if not isinstance(label_index, Tensor) or label_index.dim() != 2:
        return
    positive = label_index if not isinstance(label, Tensor) else label_index[:, label.view(-1) > 0]
    sizes = (int(obj.num_nodes), int(obj.num_nodes))
    there = torch.cat([column_keys(edge_index, sizes), column_keys(edge_index.flip(0), sizes)])
    lost = int((~torch.isin(column_keys(positive, sizes), there)).sum())
    if lost:
        warnings.warn(
            f"{lost} supervision edges of edge_label_index are not in edge_index and are not read: training pairs are the edges "
            f"of edge_index. To delete such an edge, or to train golds on them, put them into edge_index.",
            stacklevel=5,
        )


def _edges_of(obj: Any) -> tuple[Tensor, Tensor | None]:
    """``edge_index`` of a PyG ``Data``, or that of its transposed adjacency ``adj_t`` with the values there."""
    if isinstance(getattr(obj, "edge_index", None), Tensor):
        return obj.edge_index, None
    adjacency = obj.adj_t
    if isinstance(adjacency, Tensor):
        coo = adjacency.to_sparse_coo().coalesce()
        (target, source), value = coo.indices(), coo.values()
        value = None if bool((value == 1).all()) else value
    else:  # torch_sparse.SparseTensor
        target, source, value = adjacency.coo()
    return torch.stack([source, target]), value


# What a PyG graph holds for other purposes than being read by a model.
_NOT_TABLES = RESERVED | {"ptr", "stopping_mask", "e_id", "input_id", "edge_label", "edge_label_index"}


def _tables_of(obj: Any, num_nodes: int, num_edges: int, weight: Tensor | None) -> dict[str, Any]:
    """Every further tensor with one row per node or per edge."""
    node_data: dict[str, Tensor] = {}
    edge_data: dict[str, Tensor] = {} if weight is None else {"edge_weight": weight}
    keys = obj.keys() if callable(getattr(obj, "keys", None)) else list(vars(obj))
    for key in keys:
        table = obj[key] if hasattr(obj, "__getitem__") else getattr(obj, key)
        masks = key.endswith("_mask") and isinstance(table, Tensor) and table.dtype == torch.bool
        if key in _NOT_TABLES or masks or not str(key).isidentifier() or not isinstance(table, Tensor) or not table.dim():
            continue
        of_edges = table.size(0) == num_edges and (table.size(0) != num_nodes or "edge" in key)
        if of_edges:
            edge_data[key] = table
        elif table.size(0) == num_nodes:
            node_data[key] = table
    return {"node_data": node_data, "edge_data": edge_data}


def _from_networkx(graph: Any) -> dict[str, Any]:
    names = tuple(graph.nodes)
    position = {node: i for i, node in enumerate(names)}
    ends = [(position[u], position[v], attributes) for u, v, attributes in graph.edges(data=True)]
    if not graph.is_directed():
        ends += [(v, u, attributes) for u, v, attributes in ends if u != v]
    rows = [(u, v) for u, v, _ in ends]
    found: dict[str, Any] = {
        "edge_index": torch.tensor(rows, dtype=torch.long).view(-1, 2).t(),
        "num_nodes": len(names),
        "undirected": not graph.is_directed(),
        "node_names": names,
        "edge_data": _edge_attributes([attributes for _, _, attributes in ends]),
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


def _edge_attributes(edges: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Tables of the attributes that every edge has as a number or as numbers; ``weight`` is ``edge_weight``.

    Raises:
        InputError: Some edges have a weight and others have none.
    """
    found = {}
    for key in dict.fromkeys(key for attributes in edges for key in attributes):
        values = [attributes.get(key) for attributes in edges]
        if any(value is None for value in values):
            if key == "weight":
                missing = sum(value is None for value in values)
                raise InputError(f"{missing} of {len(values)} edge entries have no weight: give every edge one, or none.")
            continue
        try:
            table = torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError):
            continue  # texts and objects are no model's input
        table = table.float() if table.dtype == torch.float64 else table
        found["edge_weight" if key == "weight" else str(key)] = table.float() if key == "weight" else table
    return {name: table for name, table in found.items() if name.isidentifier() and name not in RESERVED}


def _from_scipy(matrix: Any) -> dict[str, Any]:
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"an adjacency matrix must be square, got shape {list(matrix.shape)}.")
    coo = matrix.tocoo()
    row, col, value = (torch.as_tensor(part) for part in (coo.row, coo.col, coo.data))
    present = value != 0
    edge_data = {"edge_weight": value[present].float()} if bool((value[present] != 1).any()) else {}
    return {
        "edge_index": torch.stack([row.long(), col.long()])[:, present],
        "num_nodes": int(matrix.shape[0]),
        "edge_data": edge_data,
    }


def _from_sparse(matrix: Tensor) -> dict[str, Any]:
    if matrix.dim() != 2 or matrix.size(0) != matrix.size(1):
        raise InputError(f"an adjacency matrix must be square, got shape {list(matrix.shape)}.")
    coo = matrix.detach().cpu().to_sparse_coo().coalesce()
    value, ends = coo.values(), coo.indices()
    sizes = (int(matrix.size(0)), int(matrix.size(0)))
    if not torch.equal(column_keys(ends, sizes), column_keys(ends.flip(0), sizes).sort().values):
        raise InputError(
            "a directed sparse tensor may be an adjacency or a transposed one, as PyG's adj_t is: give Data(adj_t=matrix), a "
            "scipy matrix (entry (i, j) is an edge from i to j), or edge_index."
        )
    present = value != 0
    edge_data = {"edge_weight": value[present].float()} if bool((value[present] != 1).any()) else {}
    return {"edge_index": ends[:, present], "num_nodes": int(matrix.size(0)), "edge_data": edge_data}


def to_pyg(data: GraphData) -> Any:
    """A PyG ``Data`` with the same ids: x, y, further tables under their names, masks of node splits, ``alive``.

    Pairs of link splits become ``val_edge_label_index``, ``test_neg_edge_label_index`` and so on, [2, n].
    """
    from torch_geometric.data import Data

    out = Data(edge_index=data.edge_index, num_nodes=data.num_nodes)
    if data.x is not None:
        out.x = data.x
    if data.y is not None:
        out.y = data.y
    for name, table in {**data.node_data, **data.edge_data}.items():
        out["y" if name == TARGET else name] = table
    for part, rows in data.splits.items():
        if rows.dim() == 2:
            out[f"{part}_edge_label_index"] = rows.t().contiguous()
        else:
            out[f"{part}_mask"] = torch.zeros(data.num_nodes, dtype=torch.bool).index_fill(0, rows, True)
    out.alive = data.alive
    return out


def to_networkx(data: GraphData) -> Any:
    """A networkx ``Graph`` or ``DiGraph`` of the live nodes under their names (ids without names); copies of an edge merge.

    Node attributes: ``x`` (list) and ``y``, where the graph has them. Edge attributes: the tables of the edges, with
    ``edge_weight`` as ``weight``.
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
    tables = {"weight" if key == "edge_weight" else key: table.tolist() for key, table in data.edge_data.items()}
    for entry, (u, v) in enumerate(data.edge_index.t().tolist()):
        graph.add_edge(names[u], names[v], **{key: values[entry] for key, values in tables.items()})
    return graph


def to_scipy(data: GraphData) -> Any:
    """Adjacency as ``scipy.sparse.csr_array`` [N, N]; entry (i, j) is an edge from i to j, with its ``edge_weight`` or 1.

    Copies of an edge merge; their weights add up.
    """
    import numpy as np
    import scipy.sparse

    weight = data.edge_data.get("edge_weight")
    edges = torch.unique(data.edge_index, dim=1) if weight is None else data.edge_index
    values = np.ones(edges.size(1), dtype=np.float32) if weight is None else weight.view(-1).numpy()
    row, col = edges.numpy()
    return scipy.sparse.csr_array((values, (row, col)), shape=(data.num_nodes, data.num_nodes))
