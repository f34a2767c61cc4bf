"""What every data container offers, and the container for independent samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from graphforget.base.memo import shared
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest, Lineage, show_ids


@runtime_checkable
class Data(Protocol):
    """A data container: frozen, hashable by identity, ids never move.

    ``GraphData``, ``Interactions`` and :class:`TensorData` satisfy it; so may a third party's class.
    """

    name: str
    splits: Mapping[str, Tensor]
    lineage: Lineage | None

    def digest(self) -> str:
        """Content digest (sha256), equal for equal content."""
        ...


def content_digest(*parts: Any) -> str:
    """SHA-256 over tensors (shape, dtype, bytes), mappings, sequences and plain values, in a canonical order."""
    hasher = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, Tensor):
            if value.layout == torch.sparse_csr:
                hasher.update(f"csr{tuple(value.shape)}".encode())
                for part in (value.crow_indices(), value.col_indices(), value.values()):
                    feed(part)
                return
            array = value.detach().cpu().contiguous()
            hasher.update(f"t{tuple(array.shape)}{array.dtype}".encode())
            hasher.update(array.view(torch.uint8).numpy().tobytes() if array.dim() else repr(array.item()).encode())
        elif isinstance(value, Mapping):
            for key in sorted(value):
                hasher.update(f"k{key}".encode())
                feed(value[key])
        elif isinstance(value, (list, tuple)):
            hasher.update(f"l{len(value)}".encode())
            for item in value:
                feed(item)
        else:
            hasher.update(repr(value).encode())

    for part in parts:
        feed(part)
    return hasher.hexdigest()


@dataclass(frozen=True, eq=False)
class TensorData:
    """Independent samples: images, rows of a table.

    Attributes:
        x: Inputs, [N, ...]; forgotten rows are NaN (0 where inputs are integers).
        y: Labels, [N] int64 (forgotten: -1), or float targets.
        splits: Sample ids of ``train``, ``val`` and ``test`` (and ``holdout`` where drawn).
        alive: [N] bool; False for forgotten samples.
        num_classes: Number of classes, 0 for regression.
        name: For reports.
        lineage: Set on retained data.
    """

    x: Tensor
    y: Tensor
    splits: Mapping[str, Tensor]
    alive: Tensor
    num_classes: int = 0
    name: str = "samples"
    lineage: Lineage | None = field(default=None, repr=False)

    @classmethod
    def create(
        cls, x: Tensor, y: Tensor, splits: Mapping[str, Tensor], *, num_classes: int | None = None, name: str = "samples"
    ) -> TensorData:
        """A validated container.

        Raises:
            InputError: Lengths differ, an input is NaN, split ids are unknown or in two splits, or a label is out of range.
        """
        if x.size(0) != y.size(0):
            raise InputError(f"x has {x.size(0)} rows but y has {y.size(0)}: give one label per sample.")
        if x.is_floating_point() and bool(torch.isnan(x).any()):
            rows = torch.isnan(x).view(x.size(0), -1).any(1).nonzero().view(-1)
            raise InputError(f"x has NaN in samples {show_ids(rows)}: fill or drop them first.")
        if "train" not in splits:
            raise InputError("splits needs at least 'train': a mapping like {'train': ids, 'val': ids, 'test': ids}.")
        clean = {}
        seen = torch.zeros(x.size(0), dtype=torch.long)
        for part, ids in splits.items():
            ids = torch.unique(ids.detach().cpu().long())
            if len(ids) and (int(ids[0]) < 0 or int(ids[-1]) >= x.size(0)):
                raise InputError(f"split '{part}' names sample {int(ids[-1])}, but there are {x.size(0)} samples.")
            seen[ids] += 1
            clean[part] = ids
        if bool((seen > 1).any()):
            raise InputError(f"samples {show_ids((seen > 1).nonzero().view(-1))} are in more than one split.")
        classes = num_classes
        if classes is None:
            classes = 0 if y.is_floating_point() else int(y.max()) + 1
        if classes and (int(y.min()) < 0 or int(y.max()) >= classes):
            raise InputError(f"labels must lie in 0..{classes - 1}, got {int(y.min())}..{int(y.max())}.")
        return cls(x, y, clean, torch.ones(x.size(0), dtype=torch.bool), classes, name)

    def digest(self) -> str:
        """Content digest (sha256)."""
        # x and y may share memory with the caller's tensors: the version tells whether they were written to since.
        return shared.get(
            self,
            "digest",
            (self.x, self.y),
            lambda: content_digest(self.x, self.y, dict(self.splits), self.alive, self.num_classes),
        )

    def without(self, ids: Tensor, lineage: Lineage | None) -> TensorData:
        """The same slots with ``ids`` emptied: inputs NaN (0 where they are integers), labels -1, out of every split."""
        x, y, alive = self.x.clone(), self.y.clone(), self.alive.clone()
        x[ids], y[ids], alive[ids] = float("nan") if x.is_floating_point() else 0, -1, False
        splits = {part: rows[alive[rows]] for part, rows in self.splits.items()}
        return replace(self, x=x, y=y, alive=alive, splits=splits, lineage=lineage)


def resolve_labels(request: DeletionRequest, kind: str, num_classes: int) -> Tensor:
    """The class labels that a request names, checked.

    Raises:
        InputError: A label outside 0..num_classes-1.
    """
    labels = request.ids(kind)
    if len(labels) and int(labels[-1]) >= num_classes:
        bad = labels[labels >= num_classes]
        raise InputError(f"unknown class {show_ids(bad)}: the data has classes 0 to {num_classes - 1}.")
    return labels
