"""A :class:`~graphforget.kernels.SparseGraph` from and to the sparse types of other libraries, imported when first used.

Two readings, and each library keeps its own: a *matrix* (torch, scipy) has rows and columns, and ``spmm(graph, x)`` is
``matrix @ x``; an *edge list* (PyG, DGL) has sources and targets, and messages go to the targets, which are the graph's rows.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.kernels.csr import compress, unless_ones

_LAYOUTS = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)


def as_sparse(obj: Any) -> SparseGraph:
    """A :class:`SparseGraph` from a PyG ``EdgeIndex``, a ``torch.sparse`` or scipy matrix, or a homogeneous DGL graph.

    Copies of an entry stay. A matrix of ones becomes a graph without weights. An ``EdgeIndex`` must know its
    ``sparse_size``; sorted by target (``sort_order="col"``) it is taken over without sorting. Of a DGL graph, ``edata["weight"]``
    is read where there is one.

    Raises:
        InputError: Another type, a matrix with dense dimensions, several edge types, or an unknown size.

    Example:
        >>> graph = as_sparse(torch.tensor([[0.0, 2.0], [1.0, 0.0]]).to_sparse_coo())
        >>> graph.weight.tolist()
        [2.0, 1.0]
    """
    if isinstance(obj, SparseGraph):
        return obj
    if isinstance(obj, Tensor) and obj.layout in _LAYOUTS:
        return _from_torch(obj)
    if isinstance(obj, Tensor) and hasattr(obj, "sparse_size"):
        return _from_edge_index(obj)
    if hasattr(obj, "tocoo"):
        return _from_scipy(obj)
    if hasattr(obj, "canonical_etypes"):
        return _from_dgl(obj)
    raise InputError(
        f"expected a PyG EdgeIndex, a torch.sparse or scipy matrix, or a DGL graph, got {type(obj).__name__}; a plain edge_index "
        "goes through SparseGraph.from_edge_index(edge_index, num_nodes)."
    )


def sparse_to_torch(graph: SparseGraph, layout: torch.layout = torch.sparse_csr) -> Tensor:
    """The matrix as ``torch.sparse_coo`` or ``torch.sparse_csr``, float32 ones where the graph has no weights.

    CSR knows no copies of an entry: they add up. In COO they stay, and the tensor is not coalesced.

    Raises:
        InputError: Another layout.
    """
    if layout not in (torch.sparse_coo, torch.sparse_csr):
        raise InputError(f"layout must be torch.sparse_coo or torch.sparse_csr, got {layout}.")
    values = torch.ones(graph.num_edges, device=graph.device) if graph.weight is None else graph.weight
    copies = bool(((graph.row[1:] == graph.row[:-1]) & (graph.col[1:] == graph.col[:-1])).any())
    if layout == torch.sparse_csr and not copies:
        return torch.sparse_csr_tensor(graph.rowptr, graph.col, values, graph.shape, check_invariants=False)
    index = torch.stack([graph.row.long(), graph.col.long()])
    coo = torch.sparse_coo_tensor(index, values, graph.shape, is_coalesced=None if copies else True, check_invariants=False)
    return coo if layout == torch.sparse_coo else coo.to_sparse_csr()


def sparse_to_scipy(graph: SparseGraph) -> Any:
    """The matrix as ``scipy.sparse.csr_array``, float32 ones where the graph has no weights; copies of an entry stay."""
    import scipy.sparse

    values = torch.ones(graph.num_edges) if graph.weight is None else graph.weight.detach().cpu()
    arrays = (values.numpy(), graph.col.cpu().numpy(), graph.rowptr.cpu().numpy())
    return scipy.sparse.csr_array(arrays, shape=graph.shape)


def sparse_to_pyg(graph: SparseGraph, sort_order: Literal["row", "col"] = "col") -> Any:
    """The structure as PyG's ``EdgeIndex`` (sources, targets), sorted and with its caches filled. Weights are not part of it.

    Args:
        graph: [targets, sources].
        sort_order: ``"col"`` sorts by target, in the order of ``graph.weight``; ``"row"`` by source.

    Raises:
        InputError: Another sort order.
    """
    from torch_geometric import EdgeIndex

    if sort_order not in ("row", "col"):
        raise InputError(f"sort_order must be 'row' (by source) or 'col' (by target), got {sort_order!r}.")
    pattern = graph.pattern
    if sort_order == "col":
        index = torch.stack([pattern.col, pattern.row])
    else:
        other = pattern.transpose()
        index = torch.stack([other.row, other.col])
    undirected = graph.num_rows == graph.num_cols and pattern.symmetric
    size = (graph.num_cols, graph.num_rows)
    return EdgeIndex(index, sparse_size=size, sort_order=sort_order, is_undirected=undirected).fill_cache_()


def sparse_to_dgl(graph: SparseGraph) -> Any:
    """A homogeneous DGL graph with the edges in CSR order; weights become ``edata["weight"]``.

    Raises:
        InputError: DGL is not installed, or the graph is not square.
    """
    try:
        import dgl
    except ImportError:
        raise InputError(
            "converting to DGL needs the package dgl: pip install dgl, or use sparse_to_scipy or sparse_to_pyg."
        ) from None
    if graph.num_rows != graph.num_cols:
        raise InputError(f"a homogeneous DGL graph is square, this one is {graph.num_rows} x {graph.num_cols}.")
    out = dgl.graph((graph.col, graph.row), num_nodes=graph.num_rows)
    if graph.weight is not None:
        out.edata["weight"] = graph.weight
    return out


def _build(row: Tensor, col: Tensor, value: Tensor | None, shape: tuple[int, int]) -> SparseGraph:
    rowptr, col, order = compress(row, col, *shape)
    return SparseGraph(rowptr, col, None if value is None else unless_ones(value.index_select(0, order)), num_cols=shape[1])


def _numbers(value: Tensor) -> Tensor:
    return value if value.is_floating_point() else value.float()


def _from_torch(matrix: Tensor) -> SparseGraph:
    if matrix.dim() != 2 or matrix.dense_dim():
        raise InputError(f"expected a sparse matrix with scalar entries, got shape {tuple(matrix.shape)}.")
    if matrix.layout == torch.sparse_csr and matrix.values().is_floating_point():
        return SparseGraph.from_csr(matrix)
    if matrix.layout != torch.sparse_coo:
        matrix = matrix.to_sparse_coo()
    index, value = matrix._indices(), _numbers(matrix._values())  # as they are: copies of an entry stay
    return _build(index[0], index[1], value, (matrix.size(0), matrix.size(1)))


def _from_scipy(matrix: Any) -> SparseGraph:
    if len(matrix.shape) != 2:
        raise InputError(f"expected a matrix, got shape {list(matrix.shape)}.")
    coo = matrix.tocoo()
    row, col, value = (torch.as_tensor(part.copy()) for part in (coo.row, coo.col, coo.data))
    return _build(row.long(), col.long(), _numbers(value), (int(matrix.shape[0]), int(matrix.shape[1])))


def _from_edge_index(index: Any) -> SparseGraph:
    sources, targets = index.sparse_size()
    if sources is None or targets is None:
        raise InputError("this EdgeIndex does not know its size: make it with EdgeIndex(edge_index, sparse_size=(N, N)).")
    if index.is_sorted_by_col:
        (rowptr, col), _ = index.get_csc()
        plain = index.as_tensor()
        return SparseGraph(rowptr.to(plain.dtype), Tensor(col).to(plain.dtype), num_cols=sources)
    plain = index.as_tensor()
    return _build(plain[1], plain[0], None, (targets, sources))


def _from_dgl(graph: Any) -> SparseGraph:
    if len(graph.canonical_etypes) != 1 or len(graph.ntypes) != 1:
        raise InputError("DGL graphs with several node or edge types are not supported; convert with dgl.to_homogeneous(graph).")
    source, target = graph.edges(order="eid")
    weight = graph.edata.get("weight")
    return SparseGraph.from_edge_index(torch.stack([source, target]), int(graph.num_nodes()), weight)
