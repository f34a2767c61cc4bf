"""What node and link tasks share: reading a graph, splitting it by a request, encoding live rows once per context."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base import count_work, resolve_labels, using_row_ids
from graphforget.exceptions import InputError
from graphforget.graphs import (
    GraphData,
    as_graph,
    canonical_pairs,
    hop_distance,
    induced_subgraph,
    k_hop,
    pair_keys,
    remove_edges,
    remove_features,
    remove_nodes,
    take_rows,
)
from graphforget.requests import DeletionRequest, ForgetSplit, Lineage, Target, View, show_ids
from graphforget.tasks.encoding import Encoding, GraphContext, takes_ids
from graphforget.tasks.trainable import Memo, TrainableTask, device_of

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

    def __init__(self, *, num_hops: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_hops < 0:
            raise InputError(f"num_hops must be 0 or more, got {num_hops}.")
        self.num_hops = num_hops
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
        ids = data.alive.nonzero().view(-1)
        position = torch.full((data.num_nodes,), -1, dtype=torch.long)
        position[ids] = torch.arange(len(ids))
        x = data.x
        if x is not None and len(ids) < data.num_nodes:
            x = take_rows(x, ids)
        return GraphContext(
            ids.to(device), position.to(device), position[data.edge_index].to(device), None if x is None else x.to(device)
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
        ctx = self.context(data, device_of(model))
        own = bool(getattr(model, "accepts_sparse", False))
        if inputs is not None:
            x: Any = ctx.dense.index_copy(0, ctx.rows(inputs[0]), inputs[1].to(ctx.dense))
        else:
            x = ctx.features if own else ctx.dense
        extra = {"n_id": ctx.ids} if takes_ids(type(model).forward) else {}
        with using_row_ids(ctx.ids):
            outputs = model(x, ctx.graph if own else ctx.edge_index, **extra)
        if not isinstance(outputs, Tensor) or outputs.dim() != 2 or outputs.size(0) != len(ctx.ids):
            got = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(
                f"forward(x, edge_index) of {type(model).__name__} must return one row per node, [{len(ctx.ids)}, d]; got {got}."
            )
        count_work(encodings=1)
        return Encoding(ctx, outputs, {} if store is None else dict(store))

    def region(self, view: View, *, num_hops: int | None = None) -> View:
        """The same examples in the induced subgraph of their ``num_hops + 1`` neighbourhood, re-indexed (case C27).

        One hop more than the model has layers: at the boundary of an induced subgraph degrees are cut, so normalised
        aggregation is wrong there and right one step inside.
        """
        hops = (self.num_hops if num_hops is None else num_hops) + 1
        fixed = view.negatives if isinstance(view.negatives, Tensor) else view.index[:0]
        nodes = torch.unique(torch.cat([view.index.reshape(-1), fixed.reshape(-1)]))
        part = induced_subgraph(view.data, k_hop(view.data, nodes, hops) & view.data.alive)
        negatives = part.position[fixed] if isinstance(view.negatives, Tensor) else view.negatives
        return View(part.data, part.position[view.index], negatives)

    # ---- requests -----------------------------------------------------------------------------------------
    def resolve(self, data: GraphData, request: DeletionRequest) -> tuple[DeletionRequest, Tensor, Tensor, Tensor]:
        """Check a request against a graph.

        Returns:
            (canonical request, forgotten node ids, edge pairs, node ids whose features are forgotten).

        Raises:
            InputError: Unknown or already forgotten ids, or columns that x does not have.
        """
        self.check_kinds(request)
        before: DeletionRequest | None = data.lineage.request if data.lineage else None
        nodes = request.ids("node")
        self._check_nodes(data, nodes, "nodes")
        gone = torch.zeros(data.num_nodes, dtype=torch.bool)
        gone[nodes] = True
        for label in self._labels(data, request).tolist():
            members = self._class_members(data, label)
            if not len(members):
                raise InputError(
                    f"class {label} has no labelled node left in the training or validation part; "
                    f"it is already forgotten or was never trained on."
                )
            gone[members] = True
        pairs, targets = request.ids("edge"), []
        if len(pairs) and data.edge_rule is not None:
            raise InputError(
                f"the edges of '{data.name}' are derived from its features, so a single edge would come back; "
                f"forget its nodes or their features instead."
            )
        for target in request.targets:
            if target.kind == "edge":
                pairs = self._check_edges(data, target.ids, before)
                targets.append(Target("edge", pairs))
            else:
                targets.append(target)
        altered = torch.zeros_like(gone)
        for target in request.of("node_feature"):
            self._check_nodes(data, target.ids, "nodes")
            self._check_columns(data, target, before)
            altered[target.ids] = True
        return (
            DeletionRequest(tuple(targets), request.note),
            gone.nonzero().view(-1),
            pairs,
            (altered & ~gone).nonzero().view(-1),
        )

    def split(self, data: GraphData, request: DeletionRequest) -> ForgetSplit:
        """Resolve a request: which examples are removed, altered or affected, and the graph on each side."""
        request, nodes, pairs, feature_nodes = self.resolve(data, request)
        dead = torch.zeros(data.num_nodes, dtype=torch.bool)
        dead[nodes] = True
        if bool((dead | ~data.alive).all()):
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

        # k hops of what was touched: the examples whose context changes.
        seeds = self._touched(data, dead, pairs, feature_nodes, forget)
        # A forgotten node takes its edges along: its neighbours' degrees change too, and with them how they are normalised.
        gone_ends = torch.isin(data.edge_index, nodes).any(0)
        region = k_hop(data, torch.cat([seeds, data.edge_index[:, gone_ends].reshape(-1)]), self.num_hops)
        parts = self._partition(data, request, dead, pairs, feature_nodes, region)
        if not len(parts["retain"]):
            raise InputError("the request removes every training example: nothing would be left to retain.")
        return ForgetSplit(
            request=request,
            data=data,
            forget=forget,
            unlink="retained" if not len(nodes) and not len(feature_nodes) else unlink,
            region=lambda: {"nodes": region & ~dead, "distance": hop_distance(data, seeds, max(self.num_hops, 2))},
            deny={"node": nodes} if len(nodes) else {},
            **parts,
        )

    def near(self, split: ForgetSplit) -> dict[str, Tensor]:
        """Retained examples by hops from what the request touched: ``hop1`` (0 or 1), ``hop2``, ``far`` (beyond)."""
        hops = split.region["distance"][split.retain]
        hops = torch.where(hops < 0, torch.iinfo(hops.dtype).max, hops)
        if hops.dim() == 2:
            hops = hops.amin(1)
        masks = {"hop1": hops <= 1, "hop2": hops == 2, "far": hops > 2}
        return {name: split.retain[mask] for name, mask in masks.items() if bool(mask.any())}

    def _partition(
        self, data: GraphData, request: DeletionRequest, dead: Tensor, pairs: Tensor, feature_nodes: Tensor, region: Tensor
    ) -> dict[str, Tensor]:
        """removed, altered, affected, retain and readable, by the task's notion of an example."""
        raise NotImplementedError

    def _labels(self, data: GraphData, request: DeletionRequest) -> Tensor:
        if request.of("node_class") and data.y is None:
            raise InputError("the graph has no labels y, so a class cannot be named; give node ids instead.")
        return resolve_labels(request, "node_class", data.num_classes)

    def _class_members(self, data: GraphData, label: int) -> Tensor:
        """Live nodes of a class that a deployer knows to be in it: labelled ones outside the test part."""
        assert data.y is not None
        known = data.alive.clone()
        if "train" in data.splits:
            known[:] = False
            for part in ("train", "val"):
                known[data.splits.get(part, data.splits["train"][:0])] = True
        return (known & (data.y == label)).nonzero().view(-1)

    def _check_nodes(self, data: GraphData, ids: Tensor, what: str) -> None:
        if len(ids) and int(ids[-1]) >= data.num_nodes:
            raise InputError(
                f"unknown {what} {show_ids(ids[ids >= data.num_nodes])}: the graph has {what} 0 to {data.num_nodes - 1}."
            )
        if bool((~data.alive[ids]).any()):
            raise InputError(f"{what} {show_ids(ids[~data.alive[ids]])} are already forgotten.")

    def _check_edges(self, data: GraphData, rows: Tensor, before: DeletionRequest | None) -> Tensor:
        flat = torch.unique(rows)
        if int(flat[-1]) >= data.num_nodes:
            raise InputError(
                f"unknown nodes {show_ids(flat[flat >= data.num_nodes])} in the requested edges: the graph has "
                f"nodes 0 to {data.num_nodes - 1}."
            )
        pairs = canonical_pairs(rows, data.undirected)
        known = [self._known_edges(data)]
        known += [data.splits[p] for p in ("val", "test") if p in data.splits and data.splits[p].dim() == 2]
        keys = pair_keys(pairs, data.num_nodes)
        missing = pairs[~torch.isin(keys, pair_keys(torch.cat(known), data.num_nodes))]
        if len(missing):
            earlier = canonical_pairs(before.ids("edge"), data.undirected) if before is not None else missing[:0]
            dead = (~data.alive[missing]).any(1)
            done = dead | torch.isin(pair_keys(missing, data.num_nodes), pair_keys(earlier, data.num_nodes))
            if bool(done.any()):
                raise InputError(f"edges {show_ids(missing[done])} are already forgotten.")
            raise InputError(f"unknown edges {show_ids(missing)}: they are not in the graph.")
        return pairs

    def _known_edges(self, data: GraphData) -> Tensor:
        """Message-passing edges, self-loops included, [m, 2]."""
        return canonical_pairs(data.edge_index.t(), data.undirected, data.num_nodes)

    def _check_columns(self, data: GraphData, target: Target, before: DeletionRequest | None) -> None:
        if data.x is None:
            raise InputError("the graph has no node features x, so none can be forgotten.")
        if target.columns and target.columns[-1] >= data.x.size(1):
            raise InputError(f"unknown feature column {target.columns[-1]}: x has columns 0 to {data.x.size(1) - 1}.")
        for earlier in before.of("node_feature") if before is not None else ():
            same = not earlier.columns or (target.columns and set(target.columns) <= set(earlier.columns))
            again = target.ids[torch.isin(target.ids, earlier.ids)]
            if same and len(again):
                raise InputError(f"the features of nodes {show_ids(again)} are already forgotten.")

    def _touched(self, data: GraphData, dead: Tensor, pairs: Tensor, feature_nodes: Tensor, forget: Any) -> Tensor:
        """Nodes from which a change spreads: forgotten ones, ends of forgotten message-passing edges, altered features."""
        touched = dead.clone()
        # Validation and test edges carry no messages: without them nobody's context changes.
        passing = torch.isin(pair_keys(pairs, data.num_nodes), pair_keys(self._known_edges(data), data.num_nodes))
        touched[pairs[passing].reshape(-1)] = True
        touched[feature_nodes] = True
        if data.edge_rule is not None:
            # Derived edges move where no id was named: compare the graph before with the rebuilt one.
            old = pair_keys(data.edge_index.t(), data.num_nodes)
            new = pair_keys(forget(None).edge_index.t(), data.num_nodes)
            changed = torch.cat([old[~torch.isin(old, new)], new[~torch.isin(new, old)]])
            touched[changed // data.num_nodes] = True
            touched[changed % data.num_nodes] = True
        return touched.nonzero().view(-1)
