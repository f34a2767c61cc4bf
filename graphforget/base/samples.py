"""Samples from what people have: arrays, lists, named inputs, torch's datasets and loaders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from graphforget import seed as seeds
from graphforget.exceptions import InputError

Inputs = Tensor | dict[str, Tensor]

_LABELS = ("labels", "label", "y", "target", "targets")
_PROBE = 16  # samples that are read twice, to see whether a dataset draws anything at random


def as_table(values: Any, what: str) -> Tensor:
    """One row per sample: a tensor, array, frame or nested list as a tensor of real numbers, detached.

    Args:
        values: Tensors are not copied, so that what is later written to them is noticed; anything else is.
        what: What to call it in a message, e.g. ``"x"``.

    Raises:
        InputError: No numbers, rows of different lengths, complex numbers, or no rows.
    """
    if not isinstance(values, Tensor):
        values = _tensor_of(values, what)
    if values.layout != torch.strided:
        raise InputError(f"{what} is a sparse tensor: give a dense one, for example {what}.to_dense().")
    if values.dim() == 0 or values.size(0) == 0:
        raise InputError(f"{what} must have one row per sample, shape [N, ...]; got shape {list(values.shape)}.")
    if values.is_complex():
        raise InputError(f"{what} must hold real numbers, got complex ones: give torch.view_as_real({what}), for example.")
    return values.detach()


def _tensor_of(values: Any, what: str) -> Tensor:
    import numpy as np

    if callable(getattr(values, "to_numpy", None)):  # pandas
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "buif":
            raise InputError(f"{what} must hold numbers, got an array of {values.dtype}: make numbers of it first.")
        wide = {"uint16": "int32", "uint32": "int64", "uint64": "int64", "longdouble": "float64"}.get(values.dtype.name)
        native = values.astype(wide or values.dtype.newbyteorder("="))  # a copy, in the machine's byte order
        return torch.from_numpy(native)
    if isinstance(values, Sequence) and len(values) and all(isinstance(row, Tensor) for row in values):
        shapes = {tuple(row.shape) for row in values}
        if len(shapes) > 1:
            raise InputError(f"the rows of {what} have different shapes, for example {_two(shapes)}: {_PAD}")
        return torch.stack(list(values))
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"{what} must be a tensor, an array or a list with one row per sample, got {type(values).__name__}.")
    lengths = {len(row) for row in values if isinstance(row, Sequence)}
    if len(lengths) > 1:
        raise InputError(f"the rows of {what} have different lengths, for example {_two(lengths)}: {_PAD}")
    try:
        return torch.tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} must hold numbers, in rows of one shape ({str(error).splitlines()[0]}).") from None


_PAD = "bring them to one, for example with torch.nn.utils.rnn.pad_sequence, and give the padding's mask as a further input."


def _two(found: Iterable[Any]) -> str:
    first, second, *_ = sorted(found)
    return f"{first} and {second}"


def as_inputs(x: Any) -> Inputs:
    """Inputs: one table, or several by the names of the model's arguments, with the same number of rows.

    Raises:
        InputError: See :func:`as_table`; or tables of different lengths.
    """
    if isinstance(x, tuple) and any(hasattr(one, "ndim") and one.ndim > 1 for one in x):
        raise InputError(
            f"x is a tuple of {len(x)} tables: several inputs are given by the names of the model's arguments, for example "
            f"{{'input_ids': ..., 'attention_mask': ...}}."
        )
    if not isinstance(x, Mapping):
        return as_table(x, "x")
    if not x:
        raise InputError(
            "x has no inputs: give one table, or several by name, for example {'input_ids': ..., 'attention_mask': ...}."
        )
    tables = {str(name): as_table(values, f"x['{name}']") for name, values in x.items()}
    rows = {name: len(table) for name, table in tables.items()}
    if len(set(rows.values())) > 1:
        raise InputError(f"the inputs have different numbers of rows: {', '.join(f'{n} has {k}' for n, k in rows.items())}.")
    return tables


def as_labels(y: Any) -> Tensor:
    """Class numbers as int64 [N], or float targets as they are.

    Raises:
        InputError: Labels that are no numbers, one-hot rows, or NaN.
    """
    if isinstance(y, (list, tuple)):
        text = next((label for label in y if isinstance(label, str)), None)
        if text is not None:
            raise InputError(f"labels must be class numbers from 0, got text such as '{text}': number the classes.")
    labels = as_table(y, "y")
    if labels.is_floating_point():
        if bool(labels.isnan().any()):
            raise InputError(
                f"y has NaN in {int(labels.isnan().view(len(labels), -1).any(1).sum())} samples: fill or drop them first."
            )
        return labels
    if labels.dim() > 1 and labels[0].numel() == 1:
        labels = labels.view(-1)
    if labels.dim() > 1:
        raise InputError(
            f"y must hold one class number per sample, shape [{len(labels)}]; got shape {list(labels.shape)}: of one-hot rows "
            f"give y.argmax(1)."
        )
    return labels.long()


def as_parts(splits: Any, count: int) -> dict[str, Tensor]:
    """Sample ids by part, sorted: from ids in any order, or boolean masks over all samples.

    Raises:
        InputError: No mapping with ``train``, no integers, a mask of another length, or samples that are unknown.
    """
    if not isinstance(splits, Mapping) or "train" not in splits:
        raise InputError("splits needs at least 'train': a mapping like {'train': ids, 'val': ids, 'test': ids}.")
    clean: dict[str, Tensor] = {}
    for part, given in splits.items():
        try:
            ids = torch.as_tensor(list(given) if isinstance(given, range) else given).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"split '{part}' must be sample ids or a boolean mask, got {type(given).__name__}.") from None
        if ids.dtype == torch.bool:
            if ids.shape != (count,):
                raise InputError(f"split '{part}' is a boolean mask of shape {list(ids.shape)}, but there are {count} samples.")
            ids = ids.nonzero().view(-1)
        if ids.numel() and (ids.is_floating_point() or ids.is_complex()):
            raise InputError(f"split '{part}' must hold sample ids, got {str(ids.dtype).removeprefix('torch.')}.")
        ids = torch.unique(ids.long())
        outside = ids[(ids < 0) | (ids >= count)]
        if len(outside):
            raise InputError(f"split '{part}' names sample {int(outside[-1])}, but there are {count} samples.")
        clean[str(part)] = ids
    return clean


# ---- torch's datasets and loaders --------------------------------------------------------------------------
def is_dataset(source: Any) -> bool:
    """Whether this is a dataset or a loader of torch."""
    return isinstance(source, (Dataset, DataLoader))


def read_dataset(source: Any) -> tuple[Inputs, Tensor]:
    """Inputs and labels of a dataset or loader, in the dataset's own order, whatever the order of the loader.

    A loader's ``collate_fn`` makes the samples; its batch size, shuffling and ``drop_last`` have no effect.

    Raises:
        InputError: Samples that are neither (input, label) pairs nor mappings with a label, a stream without positions, or a
            dataset that draws at random, as with augmentation.
    """
    dataset = source.dataset if isinstance(source, DataLoader) else source
    collate: Any = source.collate_fn if isinstance(source, DataLoader) else default_collate
    what = type(dataset).__name__
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise InputError(
            f"'{what}' is a stream, and a request names samples by their position: give a dataset with __getitem__ and __len__."
        )
    count = len(dataset)
    if count == 0:
        raise InputError(f"the dataset '{what}' is empty.")
    with seeds.isolated(0):
        first = _collated(dataset, collate, range(min(_PROBE, count)))
        again = _collated(dataset, collate, range(min(_PROBE, count)))
        if not _same(first, again):
            raise InputError(
                f"'{what}' gives another sample each time it is asked, as random augmentation does: give it without random "
                f"transforms, so that a sample is the same for training, forgetting and evaluation."
            )
        steps = range(0, count, 256)
        parts = [_collated(dataset, collate, range(start, min(start + 256, count))) for start in steps]
    inputs, labels = zip(*parts, strict=True)
    if isinstance(inputs[0], Mapping):
        x: Inputs = {name: _joined([one[name] for one in inputs], name) for name in inputs[0]}
    else:
        x = _joined(list(inputs), "x")
    return x, as_labels(_joined(list(labels), "y"))


def _collated(dataset: Any, collate: Any, positions: range) -> tuple[Any, Any]:
    try:
        batch = collate([dataset[i] for i in positions])
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"samples {positions[0]} to {positions[-1]} of '{type(dataset).__name__}' do not make one table "
            f"({str(error).splitlines()[0]}): give a DataLoader whose collate_fn pads them to one shape."
        ) from None
    if isinstance(batch, Mapping):
        labels = [name for name in _LABELS if name in batch]
        if len(labels) != 1 or len(batch) < 2:
            raise InputError(
                f"samples of '{type(dataset).__name__}' are mappings with {', '.join(map(str, batch))}: one of "
                f"{', '.join(_LABELS)} must be the label, beside at least one input."
            )
        return {str(k): v for k, v in batch.items() if k != labels[0]}, batch[labels[0]]
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return (dict(batch[0]) if isinstance(batch[0], Mapping) else batch[0]), batch[1]
    got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
    raise InputError(f"samples of '{type(dataset).__name__}' must be (input, label) pairs or mappings with a label; got {got}.")


def _joined(pieces: list[Any], what: str) -> Tensor:
    if not all(isinstance(piece, Tensor) for piece in pieces):
        raise InputError(
            f"'{what}' of the samples must be numbers, got {type(pieces[0]).__name__}: leave it out, or make numbers of it."
        )
    shapes = {tuple(piece.shape[1:]) for piece in pieces}
    if len(shapes) > 1:
        raise InputError(f"'{what}' has samples of different shapes, for example {_two(shapes)}: {_PAD}")
    return torch.cat(pieces)


def _same(first: Any, again: Any) -> bool:
    if isinstance(first, Tensor):
        return (
            isinstance(again, Tensor) and first.shape == again.shape and bool(torch.equal(first.nan_to_num(), again.nan_to_num()))
        )
    if isinstance(first, Mapping):
        return all(_same(first[name], again[name]) for name in first)
    if isinstance(first, (tuple, list)):
        return len(first) == len(again) and all(_same(a, b) for a, b in zip(first, again, strict=True))
    return bool(first == again)
