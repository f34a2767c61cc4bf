"""What node and link tasks share: reading a graph, splitting it by a request, encoding live rows once per context."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from graphforget.base import Batch, RegionOptions, count_work, device_of, using_row_ids
from graphforget.base.capabilities import accepts_sparse
from graphforget.base.memo import Memo
from graphforget.base.residue import Content, Gone, only_there
from graphforget.base.stored import clear_caches
from graphforget.base.tables import take_tables
from graphforget.exceptions import InputError
from graphforget.graphs import (
    GraphData,
    as_graph,
    hop_distance,
    induced_subgraph,
    k_hop,
    remove_edges,
    remove_features,
    remove_nodes,
    take_rows,
)
from graphforget.graphs.checks import TARGET
from graphforget.kernels.sampling import per_hop
from graphforget.requests import DeletionRequest, ForgetSplit, Lineage, View
from graphforget.requests.keys import column_keys
from graphforget.tasks.graph.change import Change, resolve
from graphforget.tasks.graph.encoding import Encoding, GraphContext, check_reach
from graphforget.tasks.graph.inputs import call, input_plan, tables_on
from graphforget.tasks.graph.minibatch import exact_parts, sampled_parts
from graphforget.tasks.graph.region import take_region
from graphforget.tasks.outputs import tensor_of
from graphforget.tasks.trainable import TrainableTask

GRAPH_KINDS = frozenset({"node", "edge", "node_feature", "node_class"})


class GraphTask(TrainableTask):
    """Base of tasks that read a :class:`~graphforget.graphs.GraphData`.

    Args:
        num_hops: How far a change reaches through the model (its number of message-passing layers).
        **kwargs: See :class:`~graphforget.base.Task`.
    """

    kinds = GRAPH_KINDS
    has_input_graph = True
    batch_rows_are_layer_rows = False
    reads_parts = True

    def __init__(self, *, num_hops: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_hops < 0:
            raise InputError(f"num_hops must be 0 or more, got {num_hops}.")
        self.num_hops = num_hops
        per_hop(self.recipe.fanout, num_hops)  # refuses a fanout for another number of hops
        self._memo = Memo()

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task."""
        return super().describe() | {"num_hops": self.num_hops}

    def adopt(self, data: Any) -> GraphData:
        """PyG ``Data``, networkx and scipy graphs become a :class:`GraphData`; containers pass through."""
        return data if isinstance(data, GraphData) else as_graph(data)

    # ---- context and encoding -----------------------------------------------------------------------------
    def context(self, data: GraphData, device: torch.device | str = "cpu") -> GraphContext:
        """Live rows, compact edges and normalised adjacency of ``data``, memoised with it."""
        device = torch.device(device)
        return self._memo.get(
            data, ("context", str(device)), (data.x, data.edge_index, data.alive), lambda: self._make_context(data, device)
        )

    def _make_context(self, data: GraphData, device: torch.device) -> GraphContext:
        ids, x, part = data.alive.nonzero().view(-1), data.x, data.part
        all_live = len(ids) == data.num_nodes
        position, edge_index = ids, data.edge_index
        if not all_live:
            position = torch.full((data.num_nodes,), -1, dtype=torch.long)
            position[ids] = torch.arange(len(ids))
            edge_index, x = position[edge_index], None if x is None else take_rows(x, ids)
        return GraphContext(
            ids.to(device),
            position.to(device),
            edge_index.to(device),
            None if x is None else x.to(device),
            degree=None if part is None or part.whole else part.degree[ids].to(device),
            names=None if part is None else part.ids[ids].to(device),
            whole=data.incoming if all_live else None,
            node_data=tables_on(data.node_data if all_live else take_tables(data.node_data, ids), device),
            edge_data=tables_on(data.edge_data, device),
        )

    def encode(
        self,
        model: nn.Module,
        data: GraphData,
        *,
        store: dict[str, Tensor] | None = None,
        inputs: tuple[Tensor, Tensor] | None = None,
    ) -> Encoding:
        """One pass of the model over the live part of a graph.

        Args:
            model: ``forward(x, edge_index)``, optionally with ``n_id``.
            data: The graph.
            store: Dictionary that an enclosing ``captured`` fills.
            inputs: (node ids [n], features [n, F]) that replace rows of x.
        """
        ctx, plan = self.context(data, device_of(model)), input_plan(model)
        plan.check([name for name in data.node_data if name != TARGET], list(data.edge_data))
        own = accepts_sparse(model)
        if inputs is not None:
            x: Any = ctx.dense.index_copy(0, ctx.rows(inputs[0]), inputs[1].to(ctx.dense))
        elif ctx.x is None and plan.asks("n_id"):
            x = None
        else:
            x = ctx.features if own else ctx.dense
        if isinstance(x, Tensor) and x.is_floating_point():
            x = x.to(_dtype_of(model, x.dtype))
        _forget_other_graphs(model, ctx, edited=inputs is not None)
        try:
            with using_row_ids(ctx.row_ids):
                outputs = call(model, plan, ctx, x, ctx.graph if own else ctx.edge_index)
        except RuntimeError as error:
            if "dtype" not in str(error) and "scalar type" not in str(error):
                raise
            kind = str(getattr(x, "dtype", "no dtype")).removeprefix("torch.")
            raise InputError(
                f"{plan.model}.{plan.signature} was given x of {kind} and refuses it ({str(error).splitlines()[0][:160]}): "
                f"features are held as real numbers, so read integers by x.long() in forward."
            ) from error
        outputs = tensor_of(outputs, len(ctx.ids), f"{plan.model}.{plan.signature}")
        outputs = outputs.view(-1, 1) if outputs.dim() == 1 else outputs
        if outputs.dim() != 2 or outputs.size(0) != len(ctx.ids):
            hint = ""
            if outputs.dim() and outputs.size(0) == data.num_nodes:
                hint = " Forgotten nodes have no row: a model that keeps one per node takes their ids in forward, as n_id."
            got = f"[{len(ctx.ids)}, d]; got {list(outputs.shape)}.{hint}"
            raise InputError(f"{plan.model}.{plan.signature} must return one row per node, {got}")
        outputs = self._read_outputs(model, outputs, data)
        count_work(encodings=1)
        return Encoding(ctx, outputs, {} if store is None else dict(store))

    def _read_outputs(self, model: nn.Module, outputs: Tensor, data: GraphData) -> Tensor:
        """What the node outputs [n, d] of a model mean to this task; embeddings stay as they are."""
        return outputs

    def region(self, view: View, *, num_hops: int | None = None) -> View:
        """The same examples in the induced subgraph of their ``num_hops + 1`` neighbourhood, re-indexed.

        One hop more than the model has layers: at the boundary of an induced subgraph degrees are cut, so normalised
        aggregation is wrong there and right one step inside.
        """
        hops = (self.num_hops if num_hops is None else num_hops) + 1
        fixed = view.negatives if isinstance(view.negatives, Tensor) else view.index[:0]
        nodes = torch.unique(torch.cat([view.index.reshape(-1), fixed.reshape(-1)]))
        part = induced_subgraph(view.data, k_hop(view.data, nodes, hops) & view.data.alive)
        negatives = part.position[fixed] if isinstance(view.negatives, Tensor) else view.negatives
        return View(part.data, part.position[view.index], negatives)

    # ---- batches ------------------------------------------------------------------------------------------
    def batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Batches over a view; where the recipe has a ``fanout``, mini-batches come in sampled parts of the graph."""
        batches = self._batches(view, batch_size=batch_size, shuffle=shuffle, generator=generator)
        if batch_size is None or self.recipe.fanout is None:
            return batches
        return sampled_parts(batches, self.num_hops, self.recipe.fanout, generator)

    def _batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Batches read in the view's own data, by the task's notion of an example."""
        raise NotImplementedError

    def _prediction_batches(self, model: nn.Module, view: View, generator: torch.Generator | None) -> Iterator[Batch]:
        batches = self._batches(view, generator=generator)
        if self.recipe.eval_batch_size is None:
            return batches
        check_reach(model, self.num_hops, view.data.undirected)
        # Our own models are given the degrees of the whole graph; others count them, which is right one hop further in.
        own = accepts_sparse(model)
        return exact_parts(batches, self.num_hops + (0 if own else 1), self.recipe.eval_batch_size, mirror=not own)

    # ---- requests -----------------------------------------------------------------------------------------
    def resolve(self, data: GraphData, request: DeletionRequest) -> Change:
        """Check a request against a graph; the answer holds what goes and where a change spreads from.

        Raises:
            InputError: Unknown or already forgotten ids, or columns that x does not have.
        """
        self.check_kinds(request)
        return resolve(data, request, self.num_hops)

    def split(self, data: GraphData, request: DeletionRequest) -> ForgetSplit:
        """Resolve a request: which examples are removed, altered or affected, and the graph on each side.

        The work follows what the request touches: whatever is as large as the graph is made when it is first read.
        """
        change = self.resolve(data, request)
        request, nodes, pairs, dead = change.request, change.nodes, change.pairs, change.dead
        if data.part is None and bool((dead | ~data.alive).all()):
            raise InputError("the request removes every node of the graph: nothing would be left to retain.")

        def forget(lineage: Lineage | None) -> GraphData:
            result = data
            for target in request.of("node_feature"):
                keep = target.ids[~dead[target.ids]]
                result = remove_features(result, keep, target.columns) if len(keep) else result
            result = remove_edges(result, pairs) if len(pairs) else result
            result = remove_nodes(result, nodes) if len(nodes) else result
            return result.with_lineage(lineage) if lineage is not None else result

        def unlink() -> GraphData:
            if data.edge_rule is not None:
                # Derived edges as they are once everything is forgotten, features included; the content itself is kept.
                return replace(data, edge_index=forget(None).edge_index, edge_rule=None)
            result = remove_edges(data, pairs) if len(pairs) else data
            return remove_nodes(result, nodes, keep_content=True) if len(nodes) else result

        change.forget = lambda: forget(None)
        parts = self._examples(data, change)
        if data.part is None and len(parts["removed"]) == len(self.index(data, "train")):
            raise InputError("the request removes every training example: nothing would be left to retain.")
        return ForgetSplit(
            request=request,
            data=data,
            forget=forget,
            unlink="retained" if not len(nodes) and not len(change.feature_nodes) else unlink,
            region=lambda: {
                "nodes": change.region & ~dead,
                "distance": hop_distance(data, change.touched, max(self.num_hops, 2)),
            },
            deny={"node": nodes} if len(nodes) else {},
            **parts,
        )

    def local_split(
        self, split: ForgetSplit, model: nn.Module, options: RegionOptions | None = None, generator: torch.Generator | None = None
    ) -> tuple[ForgetSplit, dict[str, Any]]:
        """The same deletion, split in the part of the graph that it reaches.

        Ids are the part's slots, ``split.data.part.ids`` the graph's. The facts and what is refused are those of
        :func:`~graphforget.tasks.graph.region.take_region`; arguments as in :meth:`Task.local_split`.
        """
        part, request, facts = take_region(
            self.resolve(split.data, split.request),
            model,
            options or RegionOptions(),
            generator,
            train=lambda: self.index(split.data, "train"),
            removed=split.removed,
        )
        return self.split(part, request), facts

    def slots(self, data: GraphData) -> dict[str, int]:
        """Slots by kind of entity."""
        return {"node": data.num_nodes, "edge": data.edge_index.size(1)}

    def gone(self, split: ForgetSplit) -> Gone:
        """Forgotten nodes, deleted edges, and feature rows that no retained node has."""
        before = split.data
        dead = split.deny.get("node", torch.empty(0, dtype=torch.long))
        altered = torch.cat([dead, *(target.ids for target in split.request.of("node_feature"))]).unique()

        def deleted() -> Tensor:
            sizes = (before.num_nodes, before.num_nodes)
            there, stay = (column_keys(data.edge_index, sizes) for data in (before, split.retain_data))
            return (~torch.isin(there, stay)).nonzero().view(-1)

        def features() -> Tensor:
            kept = split.retain_data.alive.clone()
            kept[altered] = False
            return only_there(dense_rows(before.x, altered), dense_rows(split.retain_data.x, kept.nonzero().view(-1)))

        return Gone(
            sizes={"node": before.num_nodes},
            ids={"node": dead},
            pairs=lambda: before.edge_index.t()[deleted()],
            entries=before.edge_index.size(1),
            deleted_entries=deleted,
            content={} if before.x is None or not len(altered) else {"x": Content(before.x.size(1), features)},
        )

    def near(self, split: ForgetSplit) -> dict[str, Tensor]:
        """Retained examples by hops from what the request touched: ``hop1`` (0 or 1), ``hop2``, ``far`` (beyond)."""
        hops = split.region["distance"][split.retain]
        hops = torch.where(hops < 0, torch.iinfo(hops.dtype).max, hops)
        if hops.dim() == 2:
            hops = hops.amin(1)
        masks = {"hop1": hops <= 1, "hop2": hops == 2, "far": hops > 2}
        return {name: split.retain[mask] for name, mask in masks.items() if bool(mask.any())}

    def _examples(self, data: GraphData, change: Change) -> dict[str, Any]:
        """removed, altered, affected, retain and readable, by the task's notion of an example; see :class:`ForgetSplit`."""
        raise NotImplementedError


# Which graph a model read last: layers with ``cached=True`` keep what they derived of it.
_LAST: WeakKeyDictionary[nn.Module, ReferenceType[GraphContext] | None] = WeakKeyDictionary()


def _forget_other_graphs(model: nn.Module, context: GraphContext, *, edited: bool) -> None:
    """Empty the caches of a model that read another graph last, or this one with edited features."""
    last = _LAST.get(model)
    if last is None or last() is not context or edited:
        clear_caches(model)
    _LAST[model] = None if edited else ref(context)


def _dtype_of(model: nn.Module, default: torch.dtype) -> torch.dtype:
    """The dtype of a model's weights, which the features must have."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), default)


def dense_rows(x: Tensor | None, ids: Tensor) -> Tensor:
    """Rows of x as a dense matrix, [n, F]."""
    assert x is not None
    rows = take_rows(x, ids)
    return rows.to_dense() if rows.layout == torch.sparse_csr else rows
