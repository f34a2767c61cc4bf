"""What every data container offers, and the container for independent samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from graphforget.base.memo import shared
from graphforget.base.samples import Inputs, as_inputs, as_labels, as_parts, read_dataset
from graphforget.base.tables import empty_table
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
    """Independent samples: images, rows of a table, padded sequences.

    Attributes:
        x: Inputs, [N, ...], of any real type; or several tables by the names of the model's arguments. Forgotten rows are NaN (0
            where inputs are integers, False where they are boolean), in every table.
        y: Labels, [N] int64 (forgotten: -1), or float targets.
        splits: Sample ids of ``train``, ``val`` and ``test`` (and ``holdout`` where drawn).
        alive: [N] bool; False for forgotten samples.
        num_classes: Number of classes, 0 for regression.
        name: For reports.
        lineage: Set on retained data.

    Example:
        >>> inputs = {"input_ids": [[5, 7], [6, 0]], "attention_mask": [[1, 1], [1, 0]]}
        >>> data = TensorData.create(inputs, [0, 1], {"train": [0, 1]})
        >>> data.without(torch.tensor([0]), None).x["attention_mask"].tolist()
        [[0, 0], [1, 0]]
    """

    x: Inputs
    y: Tensor
    splits: Mapping[str, Tensor]
    alive: Tensor
    num_classes: int = 0
    name: str = "samples"
    lineage: Lineage | None = field(default=None, repr=False)

    @classmethod
    def create(
        cls, x: Any, y: Any, splits: Mapping[str, Any], *, num_classes: int | None = None, name: str = "samples"
    ) -> TensorData:
        """A validated container.

        Args:
            x: One row per sample: a tensor, numpy array, frame or nested list; or a mapping of such tables, by the names under
                which the model's forward takes them.
            y: One class number per sample, from 0, or float targets.
            splits: Sample ids, or boolean masks over all samples, of ``train`` and, where there are some, other parts.
            num_classes: By default the largest label plus one.
            name: For reports.

        Raises:
            InputError: Shapes or types that are no samples, lengths that differ, an input that is NaN, split ids that are unknown
                or in two splits, or a label out of range.
        """
        x, y = as_inputs(x), as_labels(y)
        count = len(y)
        for what, table in _tables(x).items():
            if len(table) != count:
                raise InputError(f"{what} has {len(table)} rows but y has {count}: give one label per sample.")
            if table.is_floating_point() and bool(table.isnan().any()):
                rows = table.isnan().view(count, -1).any(1).nonzero().view(-1)
                raise InputError(f"{what} has NaN in samples {show_ids(rows)}: fill or drop them first.")
        clean = as_parts(splits, count)
        seen = torch.zeros(count, dtype=torch.long)
        for ids in clean.values():
            seen[ids] += 1
        if bool((seen > 1).any()):
            raise InputError(f"samples {show_ids((seen > 1).nonzero().view(-1))} are in more than one split.")
        classes = num_classes
        if classes is None:
            classes = 0 if y.is_floating_point() else int(y.max()) + 1
        if classes and (int(y.min()) < 0 or int(y.max()) >= classes):
            raise InputError(f"labels must lie in 0..{classes - 1}, got {int(y.min())}..{int(y.max())}.")
        return cls(x, y, clean, torch.ones(count, dtype=torch.bool), classes, name)

    @classmethod
    def from_datasets(cls, parts: Any, *, num_classes: int | None = None, name: str = "samples") -> TensorData:
        """Samples of torch datasets or loaders, read once, in the datasets' own order.

        Args:
            parts: By part, e.g. ``{"train": train_set, "test": test_loader}``; ids count on from part to part. One alone is all
                for training. Samples are (input, label) pairs, where an input may be a mapping, or mappings with a label.
            num_classes: By default the largest label plus one.
            name: For reports.

        Raises:
            InputError: Streams, datasets that draw at random (augmentation), or parts whose samples differ in shape.

        Example:
            >>> from torch.utils.data import TensorDataset
            >>> train = TensorDataset(torch.rand(3, 2), torch.tensor([0, 1, 1]))
            >>> test = TensorDataset(torch.rand(2, 2), torch.tensor([1, 0]))
            >>> TensorData.from_datasets({"train": train, "test": test}).splits["test"].tolist()
            [3, 4]
        """
        sources = parts if isinstance(parts, Mapping) else {"train": parts}
        read = {str(part): read_dataset(source) for part, source in sources.items()}
        x, y = zip(*read.values(), strict=True)
        splits, start = {}, 0
        for part, labels in zip(read, y, strict=True):
            splits[part] = torch.arange(start, start + len(labels))
            start += len(labels)
        shapes = [{what: tuple(table.shape[1:]) for what, table in _tables(one).items()} for one in x]
        if any(other != shapes[0] for other in shapes):
            raise InputError(
                f"the parts have samples of different shapes: {', '.join(f'{p} {s}' for p, s in zip(read, shapes))}."
            )
        inputs: Inputs = torch.cat(x) if isinstance(x[0], Tensor) else {k: torch.cat([one[k] for one in x]) for k in x[0]}
        return cls.create(inputs, torch.cat(y), splits, num_classes=num_classes, name=name)

    @property
    def tables(self) -> dict[str, Tensor]:
        """The inputs by name; a single table is called ``x``."""
        return _tables(self.x)

    def rows(self, ids: Tensor) -> Inputs:
        """Inputs of some samples, as a model is given them: one table, or several by name."""
        return self.x[ids] if isinstance(self.x, Tensor) else {name: table[ids] for name, table in self.x.items()}

    def copies_of(self, ids: Tensor, *, among: Tensor) -> Tensor:
        """Which samples of ``among`` have the same inputs as one of ``ids``, in every table.

        Example:
            >>> data = TensorData.create([[1.0], [2.0], [1.0]], [0, 1, 0], {"train": [0, 1, 2]})
            >>> data.copies_of(torch.tensor([0]), among=torch.tensor([1, 2])).tolist()
            [2]
        """

        def keys(rows: Tensor) -> list[bytes]:
            parts = [table[rows].reshape(len(rows), -1).contiguous().view(torch.uint8).numpy() for table in self.tables.values()]
            return [b"".join(part[k].tobytes() for part in parts) for k in range(len(rows))]

        wanted = set(keys(ids))
        found = [
            row for piece in among.split(4096) for row, key in zip(piece.tolist(), keys(piece), strict=True) if key in wanted
        ]
        return torch.tensor(found, dtype=torch.long)

    def digest(self) -> str:
        """Content digest (sha256)."""
        # x and y may share memory with the caller's tensors: the version tells whether they were written to since.
        return shared.get(
            self,
            "digest",
            (*self.tables.values(), self.y),
            lambda: content_digest(self.x, self.y, dict(self.splits), self.alive, self.num_classes),
        )

    def without(self, ids: Tensor, lineage: Lineage | None) -> TensorData:
        """The same slots with ``ids`` emptied: inputs NaN (0 where they are integers), labels -1, out of every split."""
        y, alive = self.y.clone(), self.alive.clone()
        y[ids], alive[ids] = -1, False
        emptied = {name: empty_table(table, ids) for name, table in self.tables.items()}
        splits = {part: rows[alive[rows]] for part, rows in self.splits.items()}
        x: Inputs = emptied["x"] if isinstance(self.x, Tensor) else emptied
        return replace(self, x=x, y=y, alive=alive, splits=splits, lineage=lineage)


def _tables(x: Inputs) -> dict[str, Tensor]:
    return {"x": x} if isinstance(x, Tensor) else x


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
