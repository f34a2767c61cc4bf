"""A deletion in the part of the graph that it reaches: cost that grows with the region, not with the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import accepts_sparse
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, take_part
from graphforget.graphs.edge_lookup import places
from graphforget.kernels.sampling import expand, sample_entries
from graphforget.requests import DeletionRequest, ForgetSplit, Target
from graphforget.requests.keys import difference, first_of_each
from graphforget.tasks.graph.change import Change, incident_pairs
from graphforget.tasks.graph.encoding import check_reach

if TYPE_CHECKING:
    from graphforget.tasks.graph.task import GraphTask

SAMPLE_FANOUT = 5  # entries read per row around sampled examples: what they cost is bounded, whatever the graph
WHOLE_FROM = 0.5  # from this share of the entries on, the whole graph is read: a part of it would cost more than it saves


def local_split(
    task: GraphTask,
    split: ForgetSplit,
    model: nn.Module,
    *,
    retain_sample: int = 0,
    val_sample: int = 0,
    fanout: int | None = None,
    also: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[ForgetSplit, dict[str, Any]]:
    """The same deletion, split in a part of the graph.

    What a deletion changes lies within ``task.num_hops`` = L hops of its ends; computing it exactly reads 2L (one more with a
    model that counts degrees itself, i.e. without ``accepts_sparse``). The part's core, whose rows are exact and which its
    examples are taken from, is what can change, with every node that the request names. Retained examples from anywhere may join.

    Args:
        task: The task.
        split: The deletion in the whole graph; its retained data is not made.
        model: The model that will read the part.
        retain_sample: So many random retained training examples from the whole graph join the core, read through at most
            ``SAMPLE_FANOUT`` entries per row where the region does not hold them anyway.
        val_sample: The same for validation examples (and as many of their fixed negatives).
        fanout: At most so many neighbours per node and hop, everywhere: an approximation whose cost is bounded. None: exact.
        also: Further nodes whose rows must be exact, [n].
        generator: CPU generator of the draws.

    Returns:
        The split of the part (ids are the part's slots, ``split.data.part.ids`` the graph's), and facts: ``region_rows``, rows
        whose outputs can change; ``region_entries``, edge entries read; ``region_share``, of all entries of the graph.

    Raises:
        InputError: Edges that derive from features, which cannot be rebuilt in a part; or a model that takes more steps
            than L, or reads a directed graph against its edges.
    """
    data: GraphData = split.data
    if data.edge_rule is not None:
        raise InputError(f"the edges of '{data.name}' derive from its features, so any of them can move: use scope='full'.")
    check_reach(model, task.num_hops, data.undirected)
    own = accepts_sparse(model)  # such models take the degrees of the whole graph from us
    change = task.resolve(data, split.request)
    reached = _reached(change, fanout, generator)
    named = [change.nodes, change.pairs.reshape(-1), change.feature_nodes] + ([] if also is None else [also])
    core = torch.unique(torch.cat([reached, *named]))
    pairs, sampled = None, []
    if retain_sample:
        rows = _draw(task.index(data, "train"), split.removed, retain_sample, generator)
        pairs = rows if rows.dim() == 2 else None
        sampled.append(rows.reshape(-1))
    for name in ("val", "val_neg") if val_sample else ():
        held = data.splits.get(name)
        if held is not None:
            sampled.append(_draw(held, held[:0], val_sample, generator).reshape(-1))
    part = take_part(
        data,
        core,
        task.num_hops + (0 if own else 1),
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
    return task.split(part, _moved(change, part)), facts


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


def _moved(change: Change, data: GraphData) -> DeletionRequest:
    """The request in the slots of a part; forgotten classes are forgotten nodes there."""
    assert data.part is not None
    slots = data.part.slots
    targets = []
    if len(change.nodes):
        targets.append(Target("node", slots(change.nodes)))
    if len(change.pairs):
        targets.append(Target("edge", slots(change.pairs)))
    for target in change.request.of("node_feature"):
        targets.append(Target("node_feature", slots(target.ids), target.columns))
    return DeletionRequest(tuple(targets), change.request.note)
