"""A sparse matrix for message passing: CSR, with everything that is derived from it kept beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.exceptions import InputError

_INDEX_TYPES = (torch.int32, torch.int64)


def compress(row: Tensor, col: Tensor, num_rows: int, num_cols: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort entries by row, then column, keeping duplicates in their given order.

    Returns:
        ``rowptr`` [num_rows + 1], ``col`` [E] and ``order`` [E] int64: where each CSR entry stood in the input.
    """
    key = row.long() * max(num_cols, 1) + col.long()
    order = torch.argsort(key, stable=True)
    rowptr = torch.zeros(num_rows + 1, dtype=row.dtype, device=row.device)
    rowptr[1:] = torch.bincount(row, minlength=num_rows).cumsum(0)
    return rowptr, col.index_select(0, order), order


def _unless_ones(values: Tensor) -> Tensor | None:
    """The values, or None for a binary matrix, which needs no weight array: less to read in every pass."""
    return None if not values.requires_grad and bool((values == 1).all()) else values


class SparseGraph:
    """A sparse matrix in CSR form, rows being the *target* nodes of message passing and columns the *sources*.

    ``out[row] = sum over its entries of weight * x[col]``. It need not be square: a bag-of-words feature matrix is one
    too (rows are nodes, columns are words). The object is a value: never change its tensors. Its transpose, its
    self-loops and its normalisation are computed on first use and kept, so that no epoch pays for them twice.

    Args:
        rowptr: [num_rows + 1] int64 or int32; entries of row i are ``rowptr[i] .. rowptr[i + 1]``.
        col: [E] integers of the same type.
        weight: [E] floating point, or None where every entry is 1. May require gradients.
        num_cols: Number of columns; by default the graph is square.

    Attributes:
        num_rows: Number of rows.
        num_cols: Number of columns.

    Raises:
        InputError: Types or sizes do not fit.

    Example:
        >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> graph.degree().tolist()
        [0, 1, 1]
    """

    def __init__(self, rowptr: Tensor, col: Tensor, weight: Tensor | None = None, *, num_cols: int | None = None) -> None:
        if rowptr.dim() != 1 or rowptr.numel() == 0 or col.dim() != 1:
            raise InputError(
                f"rowptr and col must be vectors, rowptr with one entry more than there are rows, got shapes "
                f"{tuple(rowptr.shape)} and {tuple(col.shape)}."
            )
        if rowptr.dtype != col.dtype or col.dtype not in _INDEX_TYPES:
            raise InputError(
                f"rowptr and col must both be int64 or both int32, got {rowptr.dtype} and {col.dtype}; convert with .long()."
            )
        if weight is not None and (weight.shape != col.shape or not weight.is_floating_point()):
            raise InputError(
                f"weight must be a floating-point vector with one value per entry ({col.numel()}), got "
                f"{weight.dtype} of shape {tuple(weight.shape)}."
            )
        self.rowptr, self.col, self.weight = rowptr, col, weight
        self.num_rows = rowptr.numel() - 1
        self.num_cols = self.num_rows if num_cols is None else int(num_cols)
        self._pattern: SparseGraph | None = None
        self._transpose: SparseGraph | None = None
        self._perm: Tensor | None = None
        self._row: Tensor | None = None
        self._loops: SparseGraph | None = None
        self._norm: dict[torch.dtype, SparseGraph] = {}

    # ---- making one -----------------------------------------------------------------------------------------
    @classmethod
    def from_edge_index(cls, edge_index: Tensor, num_nodes: int, weight: Tensor | None = None) -> SparseGraph:
        """From PyG's ``edge_index`` [2, E]: row 0 holds sources, row 1 targets. Duplicates stay.

        Raises:
            InputError: Not integers of shape [2, E], or an id outside ``0 .. num_nodes - 1``.
        """
        if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in _INDEX_TYPES:
            raise InputError(
                f"edge_index must be an integer tensor of shape [2, E], got {edge_index.dtype} of shape "
                f"{tuple(edge_index.shape)}."
            )
        if edge_index.numel() and (int(edge_index.min()) < 0 or int(edge_index.max()) >= num_nodes):
            raise InputError(
                f"edge_index holds node ids from {int(edge_index.min())} to {int(edge_index.max())}, but there "
                f"are {num_nodes} nodes; ids must lie in 0..{num_nodes - 1}."
            )
        if weight is not None and weight.shape != edge_index.shape[1:]:
            raise InputError(f"weight must hold one value per edge ({edge_index.size(1)}), got shape {tuple(weight.shape)}.")
        source, target = edge_index[0], edge_index[1]
        rowptr, col, order = compress(target, source, num_nodes, num_nodes)
        return cls(rowptr, col, None if weight is None else weight.index_select(0, order), num_cols=num_nodes)

    @classmethod
    def from_dense(cls, matrix: Tensor) -> SparseGraph:
        """From a dense matrix [rows, columns]; zeros are left out.

        Raises:
            InputError: Not a matrix of floating-point numbers.
        """
        if matrix.dim() != 2 or not matrix.is_floating_point() or matrix.layout != torch.strided:
            raise InputError(
                f"expected a dense floating-point matrix, got {matrix.dtype} of shape {tuple(matrix.shape)} ({matrix.layout})."
            )
        row, col = matrix.nonzero(as_tuple=True)  # sorted by row, then column
        rowptr = torch.zeros(matrix.size(0) + 1, dtype=torch.long, device=matrix.device)
        torch.cumsum(torch.bincount(row, minlength=matrix.size(0)), 0, out=rowptr[1:])
        return cls(rowptr, col, _unless_ones(matrix[row, col]), num_cols=matrix.size(1))

    @classmethod
    def from_csr(cls, matrix: Tensor) -> SparseGraph:
        """From a ``torch.sparse_csr`` matrix.

        Raises:
            InputError: Another layout.
        """
        if matrix.layout != torch.sparse_csr or matrix.dim() != 2:
            raise InputError(f"expected a matrix of layout torch.sparse_csr, got {matrix.layout}; convert with .to_sparse_csr().")
        return cls(matrix.crow_indices(), matrix.col_indices(), _unless_ones(matrix.values()), num_cols=matrix.size(1))

    def with_weight(self, weight: Tensor | None) -> SparseGraph:
        """The same pattern with other weights [E] in CSR order; what was derived from the pattern is shared."""
        if weight is None:
            return self.pattern
        graph = SparseGraph(self.rowptr, self.col, weight, num_cols=self.num_cols)
        graph._pattern = self.pattern
        return graph

    # ---- reading it -----------------------------------------------------------------------------------------
    @property
    def num_edges(self) -> int:
        """Number of entries; an undirected edge counts twice, a self-loop once."""
        return self.col.numel()

    @property
    def num_nodes(self) -> int:
        """Number of nodes of a square graph.

        Raises:
            InputError: The matrix is rectangular.
        """
        self._require_square("num_nodes")
        return self.num_rows

    @property
    def shape(self) -> tuple[int, int]:
        """(num_rows, num_cols)."""
        return self.num_rows, self.num_cols

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.col.device

    @property
    def pattern(self) -> SparseGraph:
        """The same entries, all of weight one."""
        if self.weight is None:
            return self
        if self._pattern is None:
            self._pattern = SparseGraph(self.rowptr, self.col, num_cols=self.num_cols)
        return self._pattern

    @property
    @torch.inference_mode(False)
    def row(self) -> Tensor:
        """Row of every entry, [E]."""
        if self.weight is not None:
            return self.pattern.row
        if self._row is None:
            rows = torch.arange(self.num_rows, dtype=self.col.dtype, device=self.device)
            self._row = torch.repeat_interleave(rows, self.rowptr.diff().long(), output_size=self.num_edges)
        return self._row

    @property
    def perm(self) -> Tensor:
        """[E]: for each entry of the transpose, its position here (``transposed_weight = weight[perm]``)."""
        if self.weight is not None:
            return self.pattern.perm
        self.transpose()
        assert self._perm is not None
        return self._perm

    @property
    def symmetric(self) -> bool:
        """Whether the matrix equals its transpose, weights included; both are then the same arrays."""
        return self.transpose() is self

    def degree(self) -> Tensor:
        """Number of entries of each row (in-degree), [num_rows] int64."""
        return self.rowptr.diff().long()

    def to_edge_index(self) -> Tensor:
        """PyG's ``edge_index`` [2, E] int64 (sources, targets), in CSR order, which is the order of ``weight``."""
        return torch.stack([self.col.long(), self.row.long()])

    def to_dense(self) -> Tensor:
        """Dense matrix [num_rows, num_cols]; duplicates add up."""
        values = self.weight if self.weight is not None else torch.ones(self.num_edges, device=self.device)
        out = values.new_zeros(self.num_rows * self.num_cols)
        return out.index_add(0, self.row.long() * self.num_cols + self.col.long(), values).view(self.shape)

    def to(self, device: torch.device | str | None = None, *, dtype: torch.dtype | None = None) -> SparseGraph:
        """On another device, or with weights of another type; the object itself where nothing changes."""
        target = self.device if device is None else torch.empty(0, device=device).device
        if target == self.device and (dtype is None or self.weight is None or self.weight.dtype == dtype):
            return self
        if target == self.device:
            assert self.weight is not None
            return self.with_weight(self.weight.to(dtype))
        weight = None if self.weight is None else self.weight.to(target, dtype)
        return SparseGraph(self.rowptr.to(target), self.col.to(target), weight, num_cols=self.num_cols)

    # ---- derived graphs, kept -------------------------------------------------------------------------------
    @torch.inference_mode(False)  # what is kept must serve training later
    def transpose(self) -> SparseGraph:
        """The transposed matrix: what every backward pass runs over. The object itself where it is symmetric."""
        if self._transpose is not None:
            return self._transpose
        if self.weight is None:
            rowptr, col, order = compress(self.col, self.row, self.num_cols, self.num_rows)
            self._perm = order.to(col.dtype)
            if self.num_rows == self.num_cols and torch.equal(rowptr, self.rowptr) and torch.equal(col, self.col):
                self._transpose = self
                return self
            out = SparseGraph(rowptr, col, num_cols=self.num_rows)
            out._perm = torch.empty_like(self._perm)
            out._perm[order] = torch.arange(self.num_edges, dtype=col.dtype, device=self.device)
            out._transpose, self._transpose = self, out
            return out
        pattern = self.pattern.transpose()
        weight = self.weight.index_select(0, self.perm)
        if self._learned:
            return pattern.with_weight(weight)
        if pattern is self.pattern and torch.equal(weight, self.weight):
            self._transpose = self
            return self
        out = pattern.with_weight(weight)
        out._transpose, self._transpose = self, out
        return out

    @torch.inference_mode(False)  # what is kept must serve training later
    def with_self_loops(self) -> SparseGraph:
        """Exactly one self-loop per node: its present weight where there is one (the last, if several), else 1."""
        self._require_square("with_self_loops")
        if self._loops is not None:
            return self._loops
        keep = self.row != self.col
        nodes = torch.arange(self.num_rows, dtype=self.col.dtype, device=self.device)
        row, col = torch.cat([self.row[keep], nodes]), torch.cat([self.col[keep], nodes])
        rowptr, new_col, order = compress(row, col, self.num_rows, self.num_cols)
        weight = None
        if self.weight is not None:
            own = self.weight.new_ones(self.num_rows)
            own = own.index_put((self.row[~keep].long(),), self.weight[~keep])
            weight = torch.cat([self.weight[keep], own]).index_select(0, order)
        loops = SparseGraph(rowptr, new_col, weight, num_cols=self.num_cols)
        if not self._learned:
            self._loops = loops._loops = loops
        return loops

    @torch.inference_mode(False)  # what is kept must serve training later
    def gcn_norm(self, dtype: torch.dtype = torch.float32) -> SparseGraph:
        """``D^-1/2 (A + I) D^-1/2`` of Kipf and Welling (arXiv:1609.02907, eq. 2), D being row sums of ``A + I``.

        Missing self-loops are added with weight 1. Kept on this object, unless the weights require gradients.

        Args:
            dtype: Type of the result's weights.
        """
        if dtype in self._norm:
            return self._norm[dtype]
        loops = self.with_self_loops()
        if loops.weight is None:
            weight, degree = None, loops.degree().to(dtype)
        else:
            weight = loops.weight.to(dtype)
            degree = weight.new_zeros(self.num_rows).index_add(0, loops.row.long(), weight)
        scale = degree.pow(-0.5)
        scale = scale.masked_fill(torch.isinf(scale), 0.0)
        # Both ends first: the product is then exactly symmetric for symmetric weights.
        value = scale.index_select(0, loops.row) * scale.index_select(0, loops.col)
        normed = loops.with_weight(value if weight is None else value * weight)
        if not self._learned:
            self._norm[dtype] = normed
        return normed

    @property
    def _learned(self) -> bool:
        # What derives from such weights is tied to one autograd graph: it is never kept.
        return self.weight is not None and self.weight.requires_grad

    def _require_square(self, what: str) -> None:
        if self.num_rows != self.num_cols:
            raise InputError(f"{what} needs a square graph, this one has {self.num_rows} rows and {self.num_cols} columns.")

    def __repr__(self) -> str:
        weight = "no weights" if self.weight is None else str(self.weight.dtype)
        return f"SparseGraph({self.num_rows} x {self.num_cols}, {self.num_edges} entries, {weight}, {self.device})"
