"""What a request means for a graph: checked ids, what goes, and where a change spreads from.

Everything is looked up in structures that the graph keeps, so that the work follows the request and not the graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphforget.base import resolve_labels
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, k_hop
from graphforget.kernels.csr import slices
from graphforget.requests import DeletionRequest, Target, show_ids
from graphforget.requests.keys import canonical_pairs, contains, difference, is_among, key_rows


@dataclass(eq=False)
class Change:
    """A request resolved against a graph.

    Attributes:
        data: The graph.
        request: Canonical (undirected edges as u <= v).
        nodes: Forgotten nodes, those of forgotten classes included, ascending.
        pairs: Forgotten edges, [p, 2].
        feature_nodes: Nodes that stay while their features are forgotten, ascending.
        num_hops: How far a change reaches.
        forget: Makes the graph without what is forgotten; called only where edges derive from features.
    """

    data: GraphData
    request: DeletionRequest
    nodes: Tensor
    pairs: Tensor
    feature_nodes: Tensor
    num_hops: int = 0
    forget: Callable[[], GraphData] | None = None

    @cached_property
    def dead(self) -> Tensor:
        """Forgotten nodes as a mask, [N]."""
        return _mask(self.data.num_nodes, self.nodes)

    @cached_property
    def passing(self) -> Tensor:
        """Forgotten edges that carry messages (those of validation and test do not), [m, 2]."""
        return self.pairs[carried(self.data, self.pairs)]

    @cached_property
    def touched(self) -> Tensor:
        """Nodes from which a change spreads: forgotten ones, ends of forgotten message-passing edges, altered features."""
        parts = [self.nodes, self.passing.reshape(-1), self.feature_nodes]
        if self.data.edge_rule is not None:
            # Derived edges move where no id was named: compare the graph before with the rebuilt one.
            assert self.forget is not None
            old, new = self.data.lookup.keys, self.forget().lookup.keys
            changed = torch.cat([difference(old, new), difference(new, old)])
            parts.append(key_rows(changed, (self.data.num_nodes, self.data.num_nodes)).reshape(-1))
        return torch.unique(torch.cat(parts))

    @cached_property
    def sources(self) -> Tensor:
        """The touched nodes and the neighbours of forgotten ones: their degrees change, and with them how they normalise."""
        return torch.unique(torch.cat([self.touched, incident(self.data, self.nodes)[1]]))

    @cached_property
    def region(self) -> Tensor:
        """Nodes whose outputs can change, [N] bool."""
        return k_hop(self.data, self.sources, self.num_hops)

    @cached_property
    def removed_pairs(self) -> Tensor:
        """Training pairs that go: forgotten ones and those of forgotten nodes, [m, 2]."""
        return _examples_among(self.data, torch.cat([self.pairs, incident_pairs(self.data, self.nodes)]))

    def pairs_at(self, nodes: Tensor) -> Tensor:
        """Training pairs that stay and have an end among some nodes, [m, 2]."""
        if 8 * len(nodes) > self.data.num_nodes:  # a look at every pair costs less than so many look-ups
            rows = self.data.pairs()
            rows = rows[_mask(self.data.num_nodes, nodes)[rows].any(1)]
        else:
            rows = _examples_among(self.data, incident_pairs(self.data, nodes))
        return rows[~contains(self.data.keys(self.removed_pairs), self.data.keys(rows))]


def carried(data: GraphData, pairs: Tensor) -> Tensor:
    """Which pairs are message-passing edges, in either direction where undirected, [n] bool."""
    return data.connected(pairs) if data.undirected else contains(data.lookup.keys, data.keys(pairs))


def incident(data: GraphData, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """(node, neighbour) of every edge at some nodes, in either direction, each once: two tensors [m]."""
    rowptr, col = data.neighbours
    marks, at = slices(rowptr, nodes)
    return torch.repeat_interleave(nodes, marks.diff()), col[at]


def incident_pairs(data: GraphData, nodes: Tensor) -> Tensor:
    """Every edge at some nodes, and its reverse, [m, 2]; not all of these are edges of a directed graph."""
    here, there = incident(data, nodes)
    return torch.cat([torch.stack([here, there], 1), torch.stack([there, here], 1)])


def _examples_among(data: GraphData, rows: Tensor) -> Tensor:
    """Those of some pairs that are in ``data.pairs()``, canonical; the list of all pairs is not made."""
    rows = canonical_pairs(rows, data.undirected, data.num_nodes)
    found = carried(data, rows) & (rows[:, 0] != rows[:, 1])
    part = data.part
    if part is not None:
        found &= part.core[rows].all(1)
        if part.pairs is not None:
            found |= contains(data.keys(part.pairs), data.keys(rows))
    return rows[found]


def _mask(size: int, ids: Tensor) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[ids] = True
    return mask


# ---- checks ----------------------------------------------------------------------------------------------------
def resolve(data: GraphData, request: DeletionRequest, num_hops: int) -> Change:
    """Check a request against a graph.

    Raises:
        InputError: Unknown or already forgotten ids, or columns that x does not have.
    """
    before: DeletionRequest | None = data.lineage.request if data.lineage else None
    request = data.resolved(request)
    nodes = request.ids("node")
    _check_nodes(data, nodes)
    gone = [nodes]
    for label in _labels(data, request).tolist():
        members = _class_members(data, label)
        if not len(members):
            raise InputError(
                f"class {label} has no labelled node left in the training or validation part; "
                f"it is already forgotten or was never trained on."
            )
        gone.append(members)
    nodes = torch.unique(torch.cat(gone))
    pairs, targets = request.ids("edge"), []
    if len(pairs) and data.edge_rule is not None:
        raise InputError(
            f"the edges of '{data.name}' are derived from its features, so a single edge would come back; "
            f"forget its nodes or their features instead."
        )
    altered = [nodes[:0]]
    for target in request.targets:
        if target.kind == "edge":
            pairs = _check_edges(data, target.ids, before)
            target = Target("edge", pairs, names=data.names_of(pairs))
            _say_copies(data, pairs)
        elif target.kind == "node_feature":
            _check_nodes(data, target.ids)
            _check_columns(data, target, before)
            altered.append(target.ids)
        targets.append(target)
    features = torch.unique(torch.cat(altered))
    features = features[~contains(nodes, features)]
    return Change(data, DeletionRequest(tuple(targets), request.note), nodes, pairs, features, num_hops)


def _say_copies(data: GraphData, pairs: Tensor) -> None:
    """Warn where a requested edge stands in the graph more than once: an id means all of its copies."""
    if data.part is not None:
        return
    keys, ordered = data.keys(pairs), data.lookup.keys
    times = torch.searchsorted(ordered, keys, right=True) - torch.searchsorted(ordered, keys)
    several = times > 1
    if bool(several.any()):
        warnings.warn(
            f"edges {show_ids(pairs[several])} stand in '{data.name}' several times (up to {int(times.max())} copies): an edge "
            f"is named by its ends, so all {int(times[several].sum())} copies go.",
            stacklevel=5,
        )


def _labels(data: GraphData, request: DeletionRequest) -> Tensor:
    if request.of("node_class") and data.y is None:
        raise InputError("the graph has no labels y, so a class cannot be named; give node ids instead.")
    return resolve_labels(request, "node_class", data.num_classes)


def _class_members(data: GraphData, label: int) -> Tensor:
    """Live nodes of a class that a deployer knows to be in it: labelled ones outside the test part."""
    assert data.y is not None
    known = data.alive.clone()
    if "train" in data.splits:
        known[:] = False
        for part in ("train", "val"):
            known[data.splits.get(part, data.splits["train"][:0])] = True
    return (known & (data.y == label)).nonzero().view(-1)


def _check_nodes(data: GraphData, ids: Tensor) -> None:
    if len(ids) and int(ids[-1]) >= data.num_nodes:
        unknown = ids[ids >= data.num_nodes]
        raise InputError(f"unknown nodes {show_ids(unknown)}: the graph has nodes 0 to {data.num_nodes - 1}.")
    if bool((~data.alive[ids]).any()):
        raise InputError(f"nodes {show_ids(ids[~data.alive[ids]])} are already forgotten.")


def _check_edges(data: GraphData, rows: Tensor, before: DeletionRequest | None) -> Tensor:
    flat = torch.unique(rows)
    if int(flat[-1]) >= data.num_nodes:
        raise InputError(
            f"unknown nodes {show_ids(flat[flat >= data.num_nodes])} in the requested edges: the graph has "
            f"nodes 0 to {data.num_nodes - 1}."
        )
    pairs = canonical_pairs(rows, data.undirected)
    known = carried(data, pairs)
    keys = data.keys(pairs)
    for part in ("val", "test"):
        held = data.splits.get(part)
        if held is not None and held.dim() == 2 and not bool(known.all()):
            known |= torch.isin(keys, data.keys(held))
    missing = pairs[~known]
    if len(missing):
        earlier = canonical_pairs(before.ids("edge"), data.undirected) if before is not None else missing[:0]
        dead = (~data.alive[missing]).any(1)
        done = dead | is_among(missing, earlier)
        if bool(done.any()):
            raise InputError(f"edges {show_ids(missing[done])} are already forgotten.")
        raise InputError(f"unknown edges {show_ids(missing)}: they are not in the graph.")
    return pairs


def _check_columns(data: GraphData, target: Target, before: DeletionRequest | None) -> None:
    if data.x is None:
        raise InputError("the graph has no node features x, so none can be forgotten.")
    if target.columns and target.columns[-1] >= data.x.size(1):
        raise InputError(f"unknown feature column {target.columns[-1]}: x has columns 0 to {data.x.size(1) - 1}.")
    for earlier in before.of("node_feature") if before is not None else ():
        same = not earlier.columns or (target.columns and set(target.columns) <= set(earlier.columns))
        again = target.ids[torch.isin(target.ids, earlier.ids)]
        if same and len(again):
            raise InputError(f"the features of nodes {show_ids(again)} are already forgotten.")
