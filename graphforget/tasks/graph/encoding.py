"""One pass of a model over the live part of a graph: derived structures, node outputs, and how batches read them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from graphforget.base import Batch
from graphforget.base.memo import shared
from graphforget.base.model import is_message_passing, message_passing_steps
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.accelerate.inputs import features as sparse_features


@dataclass(eq=False)
class GraphContext:
    """Derived structures of a graph on one device; rows are live nodes only.

    Attributes:
        ids: Stable id of every row, [n].
        position: Row of every stable id, [N]; -1 for dead ones.
        edge_index: Edges between rows, [2, E].
        x: Node features, [n, F], dense or sparse CSR.
        degree: Of a part: in-degree of every row in the whole graph, [n].
        names: Of a part: id of every row in the whole graph, [n].
        whole: The graph's own lists, where rows and ids are the same numbers.
        node_data: Further tables by name, [n, ...].
        edge_data: Tables by name, one row per column of ``edge_index``.
    """

    ids: Tensor
    position: Tensor
    edge_index: Tensor
    x: Tensor | None
    degree: Tensor | None = None
    names: Tensor | None = None
    whole: SparseGraph | None = None
    node_data: Mapping[str, Tensor] = field(default_factory=dict)
    edge_data: Mapping[str, Tensor] = field(default_factory=dict)

    @cached_property
    def adj_t(self) -> Tensor:
        """Transposed adjacency as PyG reads it, sparse CSR [n, n]: row i holds the sources of node i, with ``edge_weight``."""
        weight = self.edge_data.get("edge_weight")
        if weight is None:
            weight = torch.ones(self.edge_index.size(1), device=self.edge_index.device)
        source, target = self.edge_index
        size = (len(self.ids), len(self.ids))
        return torch.sparse_coo_tensor(torch.stack([target, source]), weight.view(-1), size).coalesce().to_sparse_csr()

    @cached_property
    def graph(self) -> SparseGraph:
        """CSR with cached transpose and cached normalisation."""
        if self.whole is not None:
            made = self.whole.to(self.edge_index.device)
        else:
            made = SparseGraph.from_edge_index(self.edge_index, len(self.ids))
        return made.with_total_degree(self.degree)

    @property
    def row_ids(self) -> Tensor:
        """What rows are called to operators and to models that keep something per node: ids of the whole graph, [n]."""
        return self.ids if self.names is None else self.names

    @cached_property
    def dense(self) -> Tensor:
        """Dense features, for models that know nothing of sparse ones."""
        if self.x is None:
            raise InputError(
                "this graph has no node features x, which the model reads: add features, for example x = torch.eye(num_nodes), "
                "or let forward take n_id, the ids of the nodes, and read a table of its own by them."
            )
        return self.x.to_dense() if self.x.layout == torch.sparse_csr else self.x

    @cached_property
    def features(self) -> Tensor | SparseGraph:
        """Features for our own models: sparse where most entries are zero."""
        return _features_of(self.x) if self.x is not None else self.dense

    def rows(self, index: Tensor) -> Tensor:
        """Rows of stable ids of any shape; -1 for dead ones."""
        index = index.to(self.position.device)
        return index if self.all_live else self.position[index]

    @cached_property
    def all_live(self) -> bool:
        """Whether rows and stable ids are the same numbers."""
        return len(self.ids) == len(self.position)


@dataclass(frozen=True, eq=False)
class Encoding:
    """One pass of a model over a graph: node outputs and captured layers, rows as in ``context``."""

    context: GraphContext
    outputs: Tensor
    layers: dict[str, Tensor]

    def scattered(self, table: Tensor, num_nodes: int) -> Tensor:
        """The table on stable ids, [N, d]; NaN for dead nodes."""
        full = table.new_full((num_nodes, *table.shape[1:]), float("nan"))
        return full.index_copy(0, self.context.ids, table)


def with_dead_row(table: Tensor, rows: Tensor) -> Tensor:
    """The table with a NaN row appended where ``rows`` names a dead one (-1), so that dead rows read as NaN."""
    if not bool((rows < 0).any()):
        return table
    return torch.cat([table, table.new_full((1, *table.shape[1:]), float("nan"))])


def check_reach(model: nn.Module, num_hops: int, undirected: bool) -> None:
    """Refuse a model that reads what a part of the graph may lack: further than the task says, or against directed edges.

    Counted are stacks of convolutions (``convs`` and ``num_layers``, as ours and PyG's have) and PyG's layers, with ``K`` or
    ``num_layers`` where one of them takes several steps. Layers side by side cannot be told from layers in a row, so that a sum
    of single layers above ``num_hops`` is a warning only.

    Raises:
        InputError: A stack or a layer takes more steps than ``num_hops``; or the graph is directed and a layer reads edges
            against their direction, or degrees of sources.
    """
    name, (stack, layers) = type(model).__name__, message_passing_steps(model)
    turned = ""
    for module in model.modules():
        backwards = getattr(module, "flow", "source_to_target") != "source_to_target"
        if is_message_passing(module) and (backwards or type(module).__name__ == "ChebConv"):  # its Laplacian counts sources
            turned = type(module).__name__
    if turned and not undirected:
        raise InputError(
            f"{name} reads directed edges backwards or counts the degrees of their sources ({turned}), and a part of the graph "
            f"holds incoming edges: read the whole graph (scope='full', no eval_batch_size)."
        )
    advice = f"make the task with num_hops={max(stack, sum(layers))}, so that a part of the graph holds all that the model reads"
    steps = max(stack, *layers, 0)
    if steps > num_hops:
        raise InputError(f"{name} takes {steps} message-passing steps, more than the task's num_hops={num_hops}: {advice}.")
    if sum(layers) > num_hops:
        warnings.warn(
            f"{name} has {sum(layers)} message-passing layers and the task has num_hops={num_hops}. If they follow each other, "
            f"outputs on a part of the graph are wrong: {advice}.",
            stacklevel=3,
        )


def _features_of(x: Tensor) -> Tensor | SparseGraph:
    """Sparse where most entries are zero, and kept with the tensor: edge deletions share it."""
    if x.layout == torch.sparse_csr:
        return shared.get(x, "features", (), lambda: SparseGraph.from_csr(x))
    found = sparse_features(x, is_input=True)
    return x if found is None else found


def read_batch(encoding: Encoding, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """(node outputs, layers, rows) of a batch, with a NaN row appended where the batch names dead nodes."""
    rows = encoding.context.rows(batch.index)
    if encoding.context.all_live:
        return encoding.outputs, encoding.layers, rows
    outputs, layers = with_dead_row(encoding.outputs, rows), {k: with_dead_row(t, rows) for k, t in encoding.layers.items()}
    # The appended row by its own number: -1 means the last row to indexing, but is out of range to an embedding lookup.
    return outputs, layers, torch.where(rows < 0, len(encoding.context.ids), rows)
