"""Classification of independent samples (images, rows of a table): the i.i.d. case of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward, Recipe, TensorData, resolve_labels
from graphforget.base.residue import Content, Gone, only_there
from graphforget.base.samples import as_labels, is_dataset
from graphforget.exceptions import InputError
from graphforget.metrics.utility import accuracy
from graphforget.requests import DeletionRequest, ForgetSplit, View, show_ids
from graphforget.tasks.samples.call import class_scores
from graphforget.tasks.trainable import TrainableTask, chunks, reduce


class ImageClassification(TrainableTask):
    """Categorical outputs over :class:`~graphforget.base.TensorData`.

    Example:
        >>> from graphforget.datasets import load
        >>> from graphforget.models import MLP
        >>> data = load("digits_images")
        >>> task = ImageClassification(build=lambda d: MLP(64, 32, d.num_classes))
        >>> task.new_model(data, seed=0).config["num_classes"]
        10
    """

    name = "image_classification"
    output_kind = "categorical"
    kinds = frozenset({"sample", "class"})
    has_inputs = True
    monitor = "accuracy"
    default_recipe = Recipe(epochs=60, lr=1e-3, batch_size=128, patience=8)

    def adopt(self, data: Any) -> TensorData:
        """Containers pass through; pairs ``(x, y)`` and torch's datasets and loaders become one, with every sample in ``train``.

        A mapping of datasets or loaders by part, ``{"train": ..., "test": ...}``, keeps its parts.

        Raises:
            InputError: None of these, or labels that are no classes.
        """
        if is_dataset(data) or (isinstance(data, Mapping) and data and all(is_dataset(one) for one in data.values())):
            data = TensorData.from_datasets(data)
        elif isinstance(data, (tuple, list)) and len(data) == 2 and not any(is_dataset(one) for one in data):
            labels = as_labels(data[1])
            data = TensorData.create(data[0], labels, {"train": torch.arange(len(labels))})
        if not isinstance(data, TensorData):
            raise InputError(
                f"task '{self.name}' needs samples with labels, got {type(data).__name__}: give a TensorData or a pair "
                f"(x, y), a torch Dataset or DataLoader, or {{'train': dataset, 'test': dataset}}; several inputs are given by "
                f"name, TensorData.create(x, y, splits) with x such as {{'input_ids': ..., 'attention_mask': ...}}."
            )
        if not data.num_classes:
            raise InputError(
                f"task '{self.name}' needs class numbers, but the labels are {str(data.y.dtype).removeprefix('torch.')} of shape "
                f"{list(data.y.shape)}: give y.argmax(1) of one-hot rows, or y.long() of numbers."
            )
        return data

    def split(self, data: TensorData, request: DeletionRequest) -> ForgetSplit:
        """Samples and classes leave train and val; test samples of a forgotten class stay as evaluation."""
        self.check_kinds(request)
        count = len(data.alive)
        ids = request.ids("sample")
        if len(ids) and int(ids[-1]) >= count:
            raise InputError(f"unknown samples {show_ids(ids[ids >= count])}: the data has samples 0 to {count - 1}.")
        if bool((~data.alive[ids]).any()):
            raise InputError(f"samples {show_ids(ids[~data.alive[ids]])} are already forgotten.")
        gone = torch.zeros(count, dtype=torch.bool)
        gone[ids] = True
        known = torch.cat([data.splits["train"], data.splits.get("val", ids[:0])])
        for label in resolve_labels(request, "class", data.num_classes).tolist():
            members = known[data.y[known] == label]
            if not len(members):
                raise InputError(f"class {label} has no training or validation sample left; it is already forgotten.")
            gone[members] = True
        train = data.splits["train"]
        if bool(gone[train].all()):
            raise InputError("the request removes every training sample: nothing would be left to retain.")
        removed_all = gone.nonzero().view(-1)
        empty = train[:0]
        return ForgetSplit(
            request=request,
            data=data,
            unlink="original",
            forget=lambda lineage: data.without(removed_all, lineage),
            removed=train[gone[train]],
            altered=empty,
            affected=empty,
            retain=train[~gone[train]],
            notes=_note_copies(data, removed_all, train[~gone[train]]),
        )

    def view(
        self,
        data: TensorData,
        part: str,
        *,
        side: Literal["forget", "retain"] | None = None,
        request: DeletionRequest | None = None,
    ) -> View:
        """Examples of a part; ``side`` selects those of the classes that ``request`` forgets, or the others."""
        ids = data.splits.get(part, data.alive.new_empty(0, dtype=torch.long))
        if side is not None:
            labels = request.ids("class") if request is not None else ids[:0]
            inside = torch.isin(data.y[ids], labels)
            ids = ids[inside if side == "forget" else ~inside]
        return View(data, ids, "none")

    def slots(self, data: TensorData) -> dict[str, int]:
        """Slots by kind of entity."""
        return {"sample": len(data.alive)}

    def gone(self, split: ForgetSplit) -> Gone:
        """Forgotten samples, and inputs that no retained sample has."""
        alive = split.retain_data.alive
        ids = (split.data.alive & ~alive).nonzero().view(-1)
        content = {
            name: Content(table[0].numel(), lambda table=table: only_there(table[ids], table[alive]))  # type: ignore[misc]
            for name, table in split.data.tables.items()
        }
        return Gone(sizes={"sample": len(alive)}, ids={"sample": ids}, content=content)

    def batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Batches of ids and labels; inputs are read in ``forward`` unless they were edited."""
        for piece in chunks(len(view), batch_size, shuffle, generator):
            ids = view.index[piece]
            yield Batch(view.data, ids, view.data.y[ids])

    def inputs(self, batch: Batch) -> Any:
        """The inputs of the batch, edited ones where there are some: a tensor, or several by name."""
        return batch.data.rows(batch.index) if batch.inputs is None else batch.inputs

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Uniformly random wrong classes."""
        return batch.replace(y=other_classes(batch.y, batch.data.num_classes, generator))

    def _forward(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        results = []
        for batch in batches:
            outputs = class_scores(model, self.inputs(batch), batch.data.num_classes)
            layers = dict(store)
            results.append(Forward(outputs, _penultimate(layers), layers))
        return results

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Cross-entropy."""
        y = batch.y.to(forward.outputs.device)
        return reduce(nn.functional.cross_entropy(forward.outputs, y, reduction="none"), reduction)

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"accuracy": ...}``. Raises InputError on an empty view."""
        return {"accuracy": accuracy(self.predict(model, view), view.data.y[view.index])}


def _note_copies(data: TensorData, gone: Tensor, stay: Tensor) -> list[str]:
    copies = data.copies_of(gone, among=stay)
    if not len(copies):
        return []
    return [
        f"{len(copies):,} training samples that stay are exact copies of forgotten ones ({show_ids(copies)}), so any model "
        f"trained on what stays learns them again; name them in the request to forget them too."
    ]


def other_classes(y: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
    """Labels drawn uniformly among the ``num_classes - 1`` wrong ones, [n].

    Raises:
        InputError: There is only one class.
    """
    if num_classes < 2:
        raise InputError("labels cannot be made wrong: the data has a single class.")
    shift = torch.randint(1, num_classes, y.shape, generator=generator)
    return (y + shift) % num_classes


def _penultimate(layers: dict[str, Tensor]) -> Tensor | None:
    """The captured layer before the last, flattened, as embeddings; None when fewer than two were captured."""
    names = list(layers)
    return layers[names[-2]].flatten(1) if len(names) > 1 else None
