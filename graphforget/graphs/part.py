"""What a graph knows of the larger graph that it is a part of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """What makes a :class:`~graphforget.graphs.GraphData` a part of a larger graph. Slots are numbered 0 to n - 1.

    Made by :func:`~graphforget.graphs.take_part`.

    Attributes:
        ids: Id that every slot has in the whole graph, [n] int64, ascending.
        core: [n] bool: slots whose rows a model computes as in the whole graph, and which may be read as examples. The others
            are there to be read from.
        degree: In-degree of every slot in the whole graph, [n] int64, copies and self-loops counted.
        num_nodes: Number of id slots of the whole graph.
        num_entries: Number of edge entries of the whole graph.
        pairs: Examples of a link task that the entries of the part do not list (those of sampled rows), [m, 2] slots, or None.
        whole: Whether every node and every entry of the graph is there, slots and ids being the same numbers.
    """

    ids: Tensor
    core: Tensor
    degree: Tensor
    num_nodes: int
    num_entries: int
    pairs: Tensor | None = None
    whole: bool = False

    def slots(self, ids: Tensor) -> Tensor:
        """Slots of ids of the whole graph, any shape; -1 where an id is not in the part."""
        if self.whole:
            return ids
        at = torch.searchsorted(self.ids, ids.contiguous()).clamp(max=len(self.ids) - 1)
        return torch.where(self.ids[at] == ids, at, -1)
