"""Batch and Forward: what goes into a model, what comes out, and the counters that price it."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Some examples with every random draw already made, so that the loss is deterministic given the batch.

    Attributes:
        data: The data container in which the examples are read.
        index: Example ids, [n] or [n, 2]; for link tasks positives first, then negatives.
        y: Targets, [n].
        inputs: Editable inputs [n, ...] or None when the task has none.
        extra: Further draws, e.g. the negative item per row.
    """

    data: Any
    index: Tensor
    y: Tensor
    inputs: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.index.size(0))

    def on(self, data: Any) -> Batch:
        """The same batch read in another context, with the same draws."""
        return dataclasses.replace(self, data=data)

    def replace(self, **fields: Any) -> Batch:
        """A copy with some fields replaced."""
        return dataclasses.replace(self, **fields)


@dataclass(frozen=True, eq=False)
class Forward:
    """What a model says of a batch.

    Attributes:
        outputs: Logits, scores or margins; rows follow the batch.
        embeddings: Table of representations [R, d], or None where the model has none. Under a shared encoding it holds
            every live row, so address it with ``rows``.
        layers: Captured layer outputs by name; tables like ``embeddings``.
        rows: Row numbers in these tables that belong to each example, [n] or [n, 2]; None when the rows are the batch's own.
        extra: Anything a task wants to hand from forward to loss.
    """

    outputs: Tensor
    embeddings: Tensor | None = None
    layers: Mapping[str, Tensor] = field(default_factory=dict)
    rows: Tensor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def of_examples(self, table: Tensor) -> Tensor:
        """The rows of a table that belong to the batch's examples: [n, d], or [n, 2, d] for pairs."""
        return table if self.rows is None else table[self.rows]


# Which ids the rows of the tensors inside a model's forward stand for. Set by graph tasks.
_ROW_IDS: contextvars.ContextVar[Tensor | None] = contextvars.ContextVar("graphforget_row_ids", default=None)


def row_ids() -> Tensor | None:
    """Inside a model's forward: the stable id of every row being encoded, or None outside a graph task."""
    return _ROW_IDS.get()


@contextlib.contextmanager
def using_row_ids(ids: Tensor) -> Iterator[None]:
    """Announce the ids of the rows that the enclosed forward pass encodes."""
    token = _ROW_IDS.set(ids)
    try:
        yield
    finally:
        _ROW_IDS.reset(token)


@dataclass
class Work:
    """Portable cost: how many examples and encodings a block sent through a model."""

    forward_examples: int = 0
    encodings: int = 0


_WORK: contextvars.ContextVar[tuple[Work, ...]] = contextvars.ContextVar("graphforget_work", default=())


@contextlib.contextmanager
def counting() -> Iterator[Work]:
    """Count the forward passes of the enclosed block; blocks nest."""
    work = Work()
    token = _WORK.set(_WORK.get() + (work,))
    try:
        yield work
    finally:
        _WORK.reset(token)


def count_work(*, examples: int = 0, encodings: int = 0) -> None:
    """Called by ``Task.forward`` for every pass."""
    for work in _WORK.get():
        work.forward_examples += examples
        work.encodings += encodings
