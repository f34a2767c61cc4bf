"""A sparse matrix for message passing: CSR, with everything that is derived from it kept beside it.

One class, in one long file: the arrays, the list of dropped entries that may stand for them, and what is derived and kept share
their private state. Arithmetic on bare arrays is in :mod:`graphforget.kernels.csr`, edits by name of edge or node are in
:mod:`graphforget.kernels.edit`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels.csr import (
    INDEX_TYPES,
    check_edge_index,
    check_positions,
    check_total_degree,
    compress,
    count_before,
    insert_loops,
    row_count,
    slices,
    transpose_arrays,
    unless_ones,
)

_MOST_DROPPED = 16  # write out when more than one entry in so many is gone


@dataclass(frozen=True)
class _Edit:
    """What an edited graph is until it is written out.

    Attributes:
        base: A graph that is itself not edited.
        dropped: [k] int64, positions of its entries that are gone, ascending and unique.
    """

    base: SparseGraph
    dropped: Tensor

    @property
    def num_edges(self) -> int:
        """Number of entries left."""
        return self.base.num_edges - self.dropped.numel()


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
        self._edit: _Edit | None = None  # what the arrays are to be made from, once they are asked for
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
        return self.drop_stored(entries.long())

    def select_rows(self, rows: Tensor) -> SparseGraph:
        """Some rows, as a [len(rows), num_cols] graph: in the given order, duplicates allowed, columns as they were.

        The work follows the entries of those rows. Weights keep their gradient, total degrees are taken along.

        Args:
            rows: [m] int64 or int32 row numbers.

        Raises:
            InputError: Not row numbers of this graph.
        """
        check_positions(rows, self.num_rows)
        rowptr, entries = self.stored_entries(rows)
        source = self.stored
        weight = None if source.weight is None else source.weight.index_select(0, entries)
        part = SparseGraph(rowptr, source.col.index_select(0, entries), weight, num_cols=self.num_cols)
        return part if self.total_degree is None else part.with_total_degree(self.total_degree.index_select(0, rows))

    @property
    def stored(self) -> SparseGraph:
        """The graph whose arrays hold the entries: itself, or while it is :attr:`edited` the one that it was edited from."""
        return self._edit.base if self._edit else self

    def stored_entries(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Where the entries of some rows stand in the arrays of :attr:`stored`; the graph is not written out for it.

        Args:
            rows: [m] integer row numbers, which are not checked.

        Returns:
            Marks [m + 1] between the rows, and positions [k] int64.
        """
        rowptr, entries = slices(self.stored.rowptr, rows)
        if self._edit is None or self._edit.dropped.numel() == 0:
            return rowptr, entries
        dropped = self._edit.dropped
        near = torch.searchsorted(dropped, entries).clamp_(max=dropped.numel() - 1)
        keep = dropped.index_select(0, near) != entries
        return count_before(keep).index_select(0, rowptr).to(rowptr.dtype), entries[keep]

    def drop_stored(self, positions: Tensor) -> SparseGraph:
        """As :meth:`drop`, for positions [k] int64 in the arrays of :attr:`stored`, which are not checked.

        Raises:
            InputError: The graph has a total degree.
        """
        if self.total_degree is not None:
            raise InputError(
                "a graph with a total degree is a sample of another one: drop entries of that one, and sample again."
            )
        base, dropped = self.stored, positions if self._edit is None else torch.cat([self._edit.dropped, positions])
        out = object.__new__(type(base))
        out._start(None, base.num_rows, base.num_cols)
        out._edit = _Edit(base, torch.unique(dropped))
        if base.learned or out._edit.dropped.numel() * _MOST_DROPPED > base.num_edges:
            out._settle()
        return out

    def _settle(self) -> None:
        if self._edit is not None:  # looked at here, because every reading of an array comes by
            self._write_out()

    @torch.inference_mode(False)  # what is kept must serve training later
    def _write_out(self) -> None:
        """Write an edited graph out: its arrays, and its transpose where its base has one."""
        edit = self._edit
        if edit is None:  # another thread was quicker
            return
        base, keep = edit.base, torch.ones(edit.base.num_edges, dtype=torch.bool, device=edit.base.device)
        keep[edit.dropped] = False
        if base.weighted:
            plain = self._plain
            plain._settle()
            assert base.weight is not None
            self._rowptr, self._col, self._weight = plain._rowptr, plain._col, base.weight[keep]
        else:
            before = count_before(keep)
            self._rowptr = before.index_select(0, base.rowptr).to(base.col.dtype)
            self._col, self._weight = base.col[keep], None
            if base._transpose is not None:
                self._write_transpose(base, keep, before)
        self._edit = None

    def _write_transpose(self, base: SparseGraph, keep: Tensor, before: Tensor) -> None:
        other, perm = base.transpose(), base.perm
        kept = keep.index_select(0, perm)
        dtype = self._col.dtype
        rowptr = count_before(kept).index_select(0, other.rowptr).to(dtype)
        col = other.col[kept]
        self._edit = None  # its arrays are there now
        perm = before.index_select(0, perm[kept]).to(dtype)
        self._transpose = self._mirror(rowptr, col, perm)

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
        return self.stored._weight is not None

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
        self.require_square("num_nodes")
        return self.num_rows

    @property
    def shape(self) -> tuple[int, int]:
        """(num_rows, num_cols)."""
        return self.num_rows, self.num_cols

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.stored._col.device

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
                self._plain_graph = self._edit.base._plain.drop_stored(self._edit.dropped)
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
        if self._edit is None:
            return self._rowptr.diff().long()
        row = torch.searchsorted(self.stored.rowptr.long(), self._edit.dropped, right=True) - 1
        return self.stored.degree().index_add_(0, row, torch.full_like(row, -1))

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
        out = self._make_transpose()
        if not self.learned:
            self._transpose = out
        return out

    def _make_transpose(self) -> SparseGraph:
        if self.total_degree is not None:  # it belongs to the rows
            return self.with_total_degree(None).transpose()
        if self.weight is not None:
            pattern, weight = self._plain.transpose(), self.weight.index_select(0, self.perm)
            if not self.learned and pattern is self._plain and torch.equal(weight, self.weight):
                return self
            out = pattern.with_weight(weight)
            if not self.learned:
                out._transpose = self
            return out
        rowptr, col, order = transpose_arrays(self.rowptr, self.col, self.row, self.num_cols)
        return self._mirror(rowptr, col, order.to(col.dtype))

    def _mirror(self, rowptr: Tensor, col: Tensor, perm: Tensor) -> SparseGraph:
        """The transpose of a graph without weights, given its arrays; the graph itself where they are its own."""
        self._perm = perm
        if self.num_rows == self.num_cols and torch.equal(rowptr, self.rowptr) and torch.equal(col, self.col):
            return self
        out = SparseGraph(rowptr, col, num_cols=self.num_rows)
        out._perm = torch.empty_like(perm)
        out._perm[perm.long()] = torch.arange(perm.numel(), dtype=perm.dtype, device=perm.device)
        out._transpose = self
        return out

    @torch.inference_mode(False)  # what is kept must serve training later
    def with_self_loops(self) -> SparseGraph:
        """Exactly one self-loop per node: its present weight where there is one (the last, if several), else 1."""
        self.require_square("with_self_loops")
        if self._loops is not None:
            return self._loops
        if self.total_degree is None:
            rowptr, col, weight = insert_loops(self.rowptr, self.row, self.col, self.weight)
            loops = SparseGraph(rowptr, col, weight, num_cols=self.num_cols)
        else:
            whole = self.with_total_degree(None).with_self_loops()
            loops = whole.with_total_degree(self.total_degree - self._loop_count() + 1)
        if not self.learned:
            self._loops = loops._loops = loops
        return loops

    def _loop_count(self) -> Tensor:
        """Number of self-loops of each row, [num_rows] int64."""
        return row_count(self.rowptr, self.row == self.col)

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
        normed = loops.with_total_degree(None).with_weight(self._gcn_weight(loops, dtype))
        if not self.learned:
            self._norm[dtype] = normed
        return normed

    def _gcn_weight(self, loops: SparseGraph, dtype: torch.dtype) -> Tensor:
        """Weights of ``D^-1/2 (A + I) D^-1/2`` for the entries of ``loops``, which is ``self.with_self_loops()``."""
        weight, sample = None, None
        if self.total_degree is not None:
            if self.weight is not None:
                raise InputError(
                    "a total degree counts entries, so it cannot be the row sum of a weighted graph: normalise the whole graph "
                    "with gcn_norm() first, and take the part from the result."
                )
            present = self._loop_count()
            degree = (self.total_degree - present + 1).to(dtype)
            own = self.degree() - present
            sample = torch.where(own > 0, (self.total_degree - present).to(dtype) / own.clamp(min=1), 1.0)
        elif loops.weight is None:
            degree = loops.degree().to(dtype)
        else:
            weight = loops.weight.to(dtype)
            degree = weight.new_zeros(loops.num_rows).index_add(0, loops.row, weight)
        scale = degree.pow(-0.5)
        scale = scale.masked_fill(torch.isinf(scale), 0.0)
        # Both ends first: the product is then exactly symmetric for symmetric weights.
        value = scale.index_select(0, loops.row) * scale.index_select(0, loops.col)
        if sample is not None:
            return torch.where(loops.row == loops.col, value, value * sample.index_select(0, loops.row))
        return value if weight is None else value * weight

    @property
    def learned(self) -> bool:
        """Whether the weights require gradients: what derives from them is tied to one autograd graph and never kept."""
        return self._weight is not None and self._weight.requires_grad  # an edited graph with learned weights is settled

    def require_square(self, what: str) -> None:
        """Refuse a rectangular matrix; ``what`` is what needs a square one.

        Raises:
            InputError: The matrix is rectangular.
        """
        if self.num_rows != self.num_cols:
            raise InputError(f"{what} needs a square graph, this one has {self.num_rows} rows and {self.num_cols} columns.")

    def __repr__(self) -> str:
        weight = str(self.weight.dtype) if self.weight is not None else "no weights"
        return f"SparseGraph({self.num_rows} x {self.num_cols}, {self.num_edges} entries, {weight}, {self.device})"
