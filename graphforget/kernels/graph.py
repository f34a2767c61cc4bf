"""A sparse matrix for message passing: CSR, with everything that is derived from it kept beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels import derive, edit
from graphforget.kernels.csr import INDEX_TYPES, check_edge_index, check_positions, check_total_degree, compress, unless_ones

__all__ = ["SparseGraph", "compress"]


class SparseGraph:
    """A sparse matrix in CSR form, rows being the *target* nodes of message passing and columns the *sources*.

    ``out[row] = sum over its entries of weight * x[col]``. It need not be square: a bag-of-words feature matrix is one
    too (rows are nodes, columns are words). The object is a value: never change its tensors. Its transpose, its
    self-loops and its normalisation are computed on first use and kept, so that no epoch pays for them twice.

    Args:
        rowptr: [num_rows + 1] int64 or int32; entries of row i are ``rowptr[i] .. rowptr[i + 1]``. From 0 to E, never falling.
        col: [E] integers of the same type, below ``num_cols``. Neither is looked through here: :meth:`from_edge_index` does.
        weight: [E] floating point, or None where every entry is 1. May require gradients.
        num_cols: Number of columns; by default the graph is square.

    Attributes:
        num_rows: Number of rows.
        num_cols: Number of columns.
        total_degree: [num_rows] int64, or None: see :meth:`with_total_degree`.

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
                f"rowptr must be a vector [rows + 1] and col one [E], got shapes {tuple(rowptr.shape)} and {tuple(col.shape)}."
            )
        if rowptr.dtype != col.dtype or col.dtype not in INDEX_TYPES:
            raise InputError(
                f"rowptr and col must both be int64 or both int32, got {rowptr.dtype} and {col.dtype}; convert with .long()."
            )
        if weight is not None and (weight.shape != col.shape or not weight.is_floating_point()):
            raise InputError(
                f"weight must be a floating-point vector with one value per entry ({col.numel()}), got "
                f"{weight.dtype} of shape {tuple(weight.shape)}."
            )
        self._rowptr, self._col = rowptr, col
        self._start(weight, rowptr.numel() - 1, rowptr.numel() - 1 if num_cols is None else int(num_cols))

    def _start(self, weight: Tensor | None, num_rows: int, num_cols: int) -> None:
        self._weight, self.num_rows, self.num_cols = weight, num_rows, num_cols
        self._edit: edit.Edit | None = None  # what the arrays are to be made from, once they are asked for
        self.total_degree: Tensor | None = None
        self._plain_graph: SparseGraph | None = None  # no weights, no total degree: it keeps what derives from the structure
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
        check_edge_index(edge_index, num_nodes)
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
        return cls(rowptr, col, unless_ones(matrix[row, col]), num_cols=matrix.size(1))

    @classmethod
    def from_csr(cls, matrix: Tensor) -> SparseGraph:
        """From a ``torch.sparse_csr`` matrix.

        Raises:
            InputError: Another layout.
        """
        if matrix.layout != torch.sparse_csr or matrix.dim() != 2:
            raise InputError(f"expected a matrix of layout torch.sparse_csr, got {matrix.layout}; convert with .to_sparse_csr().")
        return cls(matrix.crow_indices(), matrix.col_indices(), unless_ones(matrix.values()), num_cols=matrix.size(1))

    def with_weight(self, weight: Tensor | None) -> SparseGraph:
        """The same pattern with other weights [E] in CSR order; what was derived from the pattern is shared."""
        return self._variant(weight, self.total_degree)

    def with_total_degree(self, degree: Tensor | None) -> SparseGraph:
        """The same graph as a *part* of a larger one, in which row i has ``degree[i]`` entries; caches are shared.

        A row that holds fewer entries than that is read as a uniform sample of them: see :attr:`row_factor` and
        :meth:`gcn_norm`. Keep the self-loops of sampled rows: they are not taken as sampled.

        Args:
            degree: [num_rows] int64, at least the number of entries here; None: the graph stands for itself.

        Raises:
            InputError: Another shape or type, or a row with more entries than its degree.

        Example:
            >>> part = SparseGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
            >>> part.with_total_degree(torch.tensor([0, 4, 1])).row_factor.tolist()
            [1.0, 4.0, 1.0]
        """
        if degree is not None:
            degree = degree.to(self.device)
            check_total_degree(degree, self.degree())
        return self._variant(self.weight, degree)

    def _variant(self, weight: Tensor | None, total_degree: Tensor | None) -> SparseGraph:
        if weight is None and total_degree is None:
            return self._plain
        graph = SparseGraph(self.rowptr, self.col, weight, num_cols=self.num_cols)
        graph.total_degree, graph._plain_graph = total_degree, self._plain
        return graph

    # ---- leaving entries out ----------------------------------------------------------------------------------
    def drop(self, entries: Tensor) -> SparseGraph:
        """The graph without some entries; nothing is copied until an operation needs the whole of it.

        Reading degrees and rows (:meth:`degree`, :meth:`select_rows`, ``spmm_rows``) then costs what it reads. The first
        operation on the whole graph writes it out once, without sorting; so does dropping more than 1/16 of the entries.
        The result equals, bit for bit, the graph made afresh from the entries that are left. See also
        :func:`~graphforget.kernels.drop_edges` and :func:`~graphforget.kernels.drop_nodes`.

        Args:
            entries: [k] int64 positions in CSR order, in any order, duplicates allowed.

        Raises:
            InputError: Not positions of entries, or the graph has a total degree.

        Example:
            >>> graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 1, 0]]), num_nodes=3)
            >>> graph.drop(torch.tensor([0])).to_edge_index().tolist()
            [[0, 1], [1, 1]]
        """
        check_positions(entries, self.num_edges, "entries")
        self._settle()
        return edit.drop_positions(self, entries.long())

    def select_rows(self, rows: Tensor) -> SparseGraph:
        """Some rows, as a [len(rows), num_cols] graph: in the given order, duplicates allowed, columns as they were.

        The work follows the entries of those rows. Weights keep their gradient, total degrees are taken along.

        Args:
            rows: [m] int64 or int32 row numbers.

        Raises:
            InputError: Not row numbers of this graph.
        """
        check_positions(rows, self.num_rows)
        rowptr, entries = edit.entries_of(self, rows)
        source = self._edit.base if self._edit else self
        weight = None if source.weight is None else source.weight.index_select(0, entries)
        part = SparseGraph(rowptr, source.col.index_select(0, entries), weight, num_cols=self.num_cols)
        return part if self.total_degree is None else part.with_total_degree(self.total_degree.index_select(0, rows))

    def _settle(self) -> None:
        if self._edit is not None:
            edit.settle(self)

    # ---- reading it -----------------------------------------------------------------------------------------
    @property
    def rowptr(self) -> Tensor:
        """[num_rows + 1]: entries of row i are ``rowptr[i] .. rowptr[i + 1]``."""
        self._settle()
        return self._rowptr

    @property
    def col(self) -> Tensor:
        """Column of every entry, [E]."""
        self._settle()
        return self._col

    @property
    def weight(self) -> Tensor | None:
        """Weight of every entry, [E]; None where all are 1."""
        self._settle()
        return self._weight

    @property
    def weighted(self) -> bool:
        """Whether entries have weights."""
        return self._edit.base.weighted if self._edit else self._weight is not None

    @property
    def edited(self) -> bool:
        """Whether entries were dropped and the result is not written out yet."""
        return self._edit is not None

    @property
    def num_edges(self) -> int:
        """Number of entries; an undirected edge counts twice, a self-loop once."""
        return self._edit.num_edges if self._edit else self._col.numel()

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
        return self._edit.base.device if self._edit else self._col.device

    @property
    def pattern(self) -> SparseGraph:
        """The same entries, all of weight one."""
        return self._variant(None, self.total_degree) if self.weighted else self

    @property
    def _plain(self) -> SparseGraph:
        if not self.weighted and self.total_degree is None:
            return self
        if self._plain_graph is None:
            if self._edit is not None:
                self._plain_graph = edit.drop_positions(self._edit.base._plain, self._edit.dropped)
            else:
                self._plain_graph = SparseGraph(self._rowptr, self._col, num_cols=self.num_cols)
        return self._plain_graph

    @property
    @torch.inference_mode(False)
    def row(self) -> Tensor:
        """Row of every entry, [E]."""
        if self._plain is not self:
            return self._plain.row
        if self._row is None:
            rows = torch.arange(self.num_rows, dtype=self.col.dtype, device=self.device)
            self._row = torch.repeat_interleave(rows, self.rowptr.diff().long(), output_size=self.num_edges)
        return self._row

    @property
    def perm(self) -> Tensor:
        """[E]: for each entry of the transpose, its position here (``transposed_weight = weight[perm]``)."""
        if self._plain is not self:
            return self._plain.perm
        self.transpose()
        assert self._perm is not None
        return self._perm

    @property
    def symmetric(self) -> bool:
        """Whether the matrix equals its transpose, weights included; both are then the same arrays."""
        matrix = self._constant
        return matrix.transpose() is matrix

    @property
    def _constant(self) -> SparseGraph:  # without the total degree, which is no part of the matrix
        return self if self.total_degree is None else self._variant(self.weight, None)

    @property
    def row_factor(self) -> Tensor:
        """By how much a row's sum falls short of the whole graph's on average, [num_rows] float32.

        ``total_degree / degree``; 1 where the row is complete and where it is empty (nothing stands for its neighbours).
        """
        own = self.degree()
        if self.total_degree is None:
            return torch.ones(self.num_rows, device=self.device)
        return torch.where(own > 0, self.total_degree / own.clamp(min=1), 1.0)

    def degree(self) -> Tensor:
        """Number of entries of each row (in-degree), [num_rows] int64."""
        return edit.degree(self) if self._edit else self._rowptr.diff().long()

    def to_edge_index(self) -> Tensor:
        """PyG's ``edge_index`` [2, E] int64 (sources, targets), in CSR order, which is the order of ``weight``."""
        return torch.stack([self.col.long(), self.row.long()])

    def to_dense(self) -> Tensor:
        """Dense matrix [num_rows, num_cols]; duplicates add up."""
        values = self.weight if self.weight is not None else torch.ones(self.num_edges, device=self.device)
        out = values.new_zeros(self.num_rows * self.num_cols)
        return out.index_add(0, self.row.long() * self.num_cols + self.col.long(), values).view(self.shape)

    def to(
        self,
        device: torch.device | str | None = None,
        *,
        dtype: torch.dtype | None = None,
        index_dtype: torch.dtype | None = None,
    ) -> SparseGraph:
        """On another device, with weights or indices of another type; the object itself where nothing changes.

        Args:
            device: Where to.
            dtype: Of the weights.
            index_dtype: ``torch.int32`` halves the memory of the structure; ``torch.int64``.

        Raises:
            InputError: Another index type, or a graph that is too large for int32.
        """
        target = self.device if device is None else torch.empty(0, device=device).device
        index = self.col.dtype if index_dtype is None else index_dtype
        if index not in INDEX_TYPES or (index == torch.int32 and max(*self.shape, self.num_edges) >= 2**31):
            raise InputError(f"index_dtype must be torch.int64, or torch.int32 for fewer than 2^31 entries, got {index}.")
        weight = None if self.weight is None else self.weight.to(target, dtype)
        if target == self.device and index == self.col.dtype:
            return self if weight is self.weight else self.with_weight(weight)
        out = SparseGraph(self.rowptr.to(target, index), self.col.to(target, index), weight, num_cols=self.num_cols)
        return out if self.total_degree is None else out._variant(weight, self.total_degree.to(target))

    # ---- derived graphs, kept -------------------------------------------------------------------------------
    @torch.inference_mode(False)  # what is kept must serve training later
    def transpose(self) -> SparseGraph:
        """The transposed matrix: what every backward pass runs over. The object itself where it is symmetric."""
        if self._transpose is not None:
            return self._transpose
        out = derive.transpose(self)
        if not self.learned:
            self._transpose = out
        return out

    @torch.inference_mode(False)  # what is kept must serve training later
    def with_self_loops(self) -> SparseGraph:
        """Exactly one self-loop per node: its present weight where there is one (the last, if several), else 1."""
        self._require_square("with_self_loops")
        if self._loops is not None:
            return self._loops
        loops = derive.with_self_loops(self)
        if not self.learned:
            self._loops = loops._loops = loops
        return loops

    @torch.inference_mode(False)  # what is kept must serve training later
    def gcn_norm(self, dtype: torch.dtype = torch.float32) -> SparseGraph:
        """``D^-1/2 (A + I) D^-1/2`` of Kipf and Welling (arXiv:1609.02907, eq. 2), D being row sums of ``A + I``.

        Missing self-loops are added with weight 1. Kept on this object, unless the weights require gradients.

        With a total degree, D is that of the whole graph, and the entries of a sampled row, self-loops apart, are multiplied by
        the whole graph's number of them over the number here: the row's sum is then right on average. An empty row keeps its
        self-loop alone.

        Args:
            dtype: Type of the result's weights.

        Raises:
            InputError: Not square, or both weights and a total degree.
        """
        if dtype in self._norm:
            return self._norm[dtype]
        loops = self.with_self_loops()
        normed = loops.with_total_degree(None).with_weight(derive.gcn_weight(self, loops, dtype))
        if not self.learned:
            self._norm[dtype] = normed
        return normed

    @property
    def learned(self) -> bool:
        """Whether the weights require gradients: what derives from them is tied to one autograd graph and never kept."""
        return self._weight is not None and self._weight.requires_grad  # an edited graph with learned weights is settled

    def _require_square(self, what: str) -> None:
        if self.num_rows != self.num_cols:
            raise InputError(f"{what} needs a square graph, this one has {self.num_rows} rows and {self.num_cols} columns.")

    def __repr__(self) -> str:
        weight = str(self.weight.dtype) if self.weight is not None else "no weights"
        return f"SparseGraph({self.num_rows} x {self.num_cols}, {self.num_edges} entries, {weight}, {self.device})"
