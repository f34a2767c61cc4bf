"""Batches that carry their own part of the graph, for graphs that do not fit into memory as one batch.

A batch of examples needs the rows of its own nodes only, and those need what lies within as many hops as the model has layers. In
training each row is read through a sample of its entries (GraphSAGE, arXiv:1706.02216, section 3.1), which bounds the part by
``n * fanout[0] * fanout[1] * ...`` nodes; to predict, all of them are read, and the outputs are those of the whole graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.base import Batch
from graphforget.graphs import GraphData
from graphforget.graphs.subgraph import take_part


@dataclass(frozen=True)
class Reading:
    """How the part of a batch is taken: hops, entries per row (None: all of them), seed of the draw, both directions or one."""

    hops: int
    fanout: tuple[int, ...] | None = None
    seed: int = 0
    mirror: bool = False

    def part(self, data: GraphData, index: Tensor) -> tuple[GraphData, Tensor]:
        """The part around examples of ``data``, and their ids in it, shaped as ``index``."""
        # No example at all still needs a graph to be empty in: that of one node.
        core = torch.unique(index) if index.numel() else data.alive.nonzero().view(-1)[:1]
        part = take_part(data, core, self.hops, fanout=self.fanout, generator=seeds.generator(self.seed), mirror=self.mirror)
        assert part.part is not None
        return part, part.part.slots(whole_ids(data, index))


@dataclass(frozen=True, eq=False)
class PartBatch(Batch):
    """A batch whose ``data`` is a part of the graph and whose ``index`` holds ids in that part.

    Attributes:
        reading: How the part was taken.
    """

    reading: Reading = field(kw_only=True)

    def on(self, data: Any) -> Batch:
        """The same examples with the same draws, in the part that is read around them in another context."""
        if data is self.data:
            return self
        ids = whole_ids(self.data, self.index)
        part, index = self.reading.part(data, ids if data.part is None else data.part.slots(ids))
        return self.replace(data=part, index=index)


def whole_ids(data: GraphData, index: Tensor) -> Tensor:
    """Ids in the whole graph of ids in ``data``, which may be a part of it."""
    return index if data.part is None else data.part.ids[index]


def sampled_parts(
    batches: Iterable[Batch], hops: int, fanout: Sequence[int], generator: torch.Generator | None
) -> Iterator[Batch]:
    """Each batch in the part that a fan-out-limited expansion from its nodes reads.

    Args:
        batches: Batches of one graph.
        hops: Number of message-passing layers.
        fanout: Entries per row, by hop from the examples.
        generator: CPU generator; one draw per batch.
    """
    for batch in batches:
        seed = int(torch.randint(2**62, (), generator=generator))
        yield _read(batch, Reading(hops, tuple(fanout), seed))


def exact_parts(batches: Iterable[Batch], hops: int, batch_size: int, *, mirror: bool = False) -> Iterator[Batch]:
    """The rows of each batch, at most ``batch_size`` at a time and in order, in the part from which their outputs follow exactly.

    Args:
        batches: Batches of one graph.
        hops: Number of message-passing layers; one more for a model that counts degrees itself.
        batch_size: The most examples of a part.
        mirror: See :func:`~graphforget.graphs.take_part`.
    """
    for batch in batches:
        for rows in torch.arange(len(batch)).split(batch_size):
            piece = batch.replace(
                index=batch.index[rows],
                y=batch.y[rows],
                inputs=None if batch.inputs is None else batch.inputs[rows],
                extra={name: values[rows] for name, values in batch.extra.items()},
            )
            yield _read(piece, Reading(hops, mirror=mirror))


def _read(batch: Batch, reading: Reading) -> PartBatch:
    part, index = reading.part(batch.data, batch.index)
    return PartBatch(part, index, batch.y, batch.inputs, batch.extra, reading=reading)
