"""A deletion in the part of the graph that it reaches: cost that grows with the region, not with the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base import RegionOptions
from graphforget.base.capabilities import accepts_sparse
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, Part, take_part
from graphforget.graphs.edge_lookup import places
from graphforget.kernels.sampling import expand, sample_entries
from graphforget.requests import DeletionRequest, Target
from graphforget.requests.keys import difference, first_of_each
from graphforget.tasks.graph.change import Change, incident_pairs
from graphforget.tasks.graph.encoding import check_reach

SAMPLE_FANOUT = 5  # entries read per row around sampled examples: what they cost is bounded, whatever the graph
WHOLE_FROM = 0.5  # from this share of the entries on, the whole graph is read: a part of it would cost more than it saves


def take_region(
    change: Change,
    model: nn.Module,
    options: RegionOptions,
    generator: torch.Generator | None,
    *,
    train: Callable[[], Tensor],
    removed: Tensor,
) -> tuple[GraphData, DeletionRequest, dict[str, Any]]:
    """The part of the graph that a deletion reaches, and the same deletion in its slots.

    What a deletion changes lies within ``change.num_hops`` = L hops of its ends; computing it exactly reads 2L (one more with a
    model that counts degrees itself, i.e. without ``accepts_sparse``). The part's core, whose rows are exact and which its
    examples are taken from, is what can change, with every node that the request names. Retained examples from anywhere may join,
    read through at most ``SAMPLE_FANOUT`` entries per row where the region does not hold them anyway.

    Args:
        change: The deletion in the whole graph; its retained data is not made.
        model: The model that will read the part.
        options: What else is read.
        generator: CPU generator of the draws.
        train: Gives the training examples of the graph; called where some are drawn.
        removed: Those that go.

    Returns:
        The part, the request, and facts: ``region_rows``, rows whose outputs can change; ``region_entries``, edge entries read;
        ``region_share``, of all entries of the graph.

    Raises:
        InputError: Edges that derive from features, which cannot be rebuilt in a part; or a model that takes more steps
            than L, or reads a directed graph against its edges.
    """
    data, hops, fanout = change.data, change.num_hops, options.fanout
    if data.edge_rule is not None:
        raise InputError(f"the edges of '{data.name}' derive from its features, so any of them can move: use scope='full'.")
    check_reach(model, hops, data.undirected)
    own = accepts_sparse(model)  # such models take the degrees of the whole graph from us
    reached = _reached(change, fanout, generator)
    named = [change.nodes, change.pairs.reshape(-1), change.feature_nodes] + ([] if options.also is None else [options.also])
    core = torch.unique(torch.cat([reached, *named]))
    pairs, sampled = None, []
    if options.retain_sample:
        rows = _draw(train(), removed, options.retain_sample, generator)
        pairs = rows if rows.dim() == 2 else None
        sampled.append(rows.reshape(-1))
    for name in ("val", "val_neg") if options.val_sample else ():
        held = data.splits.get(name)
        if held is not None:
            sampled.append(_draw(held, held[:0], options.val_sample, generator).reshape(-1))
    part = take_part(
        data,
        core,
        hops + (0 if own else 1),
        fanout=fanout,
        sampled=torch.cat(sampled) if sampled else None,
        sampled_fanout=SAMPLE_FANOUT if fanout is None else min(fanout, SAMPLE_FANOUT),
        pairs=pairs,
        force=None if fanout is None else _forgotten_entries(change),
        generator=generator,
        whole_from=WHOLE_FROM if fanout is None else None,
        mirror=not own and fanout is None,
    )
    assert part.part is not None
    entries, total = part.edge_index.size(1), part.part.num_entries
    facts = {"region_rows": len(reached), "region_entries": entries, "region_share": entries / max(total, 1)}
    return part, _moved(change, part.part), facts


def _reached(change: Change, fanout: int | None, generator: torch.Generator | None) -> Tensor:
    """Nodes whose outputs can change, at most ``fanout`` per node and hop."""
    around = change.data.lookup.adjacent
    if fanout is None:
        return torch.cat(expand(around, change.sources, change.num_hops).nodes)
    _, near = sample_entries(around, change.nodes, fanout, generator)
    start = torch.unique(torch.cat([change.touched, around.col[near]]))
    return torch.cat(expand(around, start, change.num_hops, fanout, generator).nodes)


def _draw(rows: Tensor, leave: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """``count`` random rows, each once, none of ``leave``; fewer where there are fewer. Work follows ``count``."""
    total = len(rows)
    if total - len(leave) <= 2 * count + 16:  # nearly all of them
        picked = torch.randperm(total, generator=generator)
    else:
        picked = torch.randint(total, (2 * count + len(leave) + 16,), generator=generator)
        picked = picked[first_of_each(picked)]
    return difference(rows[picked], leave)[:count]


def _forgotten_entries(change: Change) -> Tensor:
    """Positions in ``data.incoming`` of everything that goes: a row that is read must know what it loses."""
    rows = torch.cat([change.passing, change.passing.flip(1)]) if change.data.undirected else change.passing
    rows = torch.cat([rows, incident_pairs(change.data, change.nodes)])
    return places(change.data.lookup.incoming_keys, torch.unique(change.data.keys(rows.flip(1))))


def _moved(change: Change, part: Part) -> DeletionRequest:
    """The request in the slots of a part; forgotten classes are forgotten nodes there."""
    targets = []
    if len(change.nodes):
        targets.append(Target("node", part.slots(change.nodes)))
    if len(change.pairs):
        targets.append(Target("edge", part.slots(change.pairs)))
    for target in change.request.of("node_feature"):
        targets.append(Target("node_feature", part.slots(target.ids), target.columns))
    return DeletionRequest(tuple(targets), change.request.note)
