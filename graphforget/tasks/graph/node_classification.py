"""Node classification on one graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward, Recipe
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.metrics.utility import accuracy, macro_f1
from graphforget.requests import DeletionRequest, View
from graphforget.requests.keys import contains
from graphforget.tasks.graph.change import Change
from graphforget.tasks.graph.encoding import read_batch
from graphforget.tasks.graph.inputs import unwrapped
from graphforget.tasks.graph.task import GraphTask
from graphforget.tasks.outputs import check_declared, class_logits, meaning
from graphforget.tasks.samples.image_classification import other_classes
from graphforget.tasks.trainable import Memo, chunks, reduce


class NodeClassification(GraphTask):
    """Categorical outputs per node; an example is a node id.

    Recipe: Adam (lr 0.01, weight decay 5e-4), at most 200 epochs, full batch, early stopping on validation accuracy
    (Kipf & Welling, ICLR 2017, with a longer patience).

    Args:
        outputs: ``"logits"`` or ``"probabilities"``; by default logits, and what looks like probabilities is refused.
        **kwargs: See :class:`~graphforget.tasks.GraphTask`.

    Example:
        >>> from graphforget.datasets import load
        >>> from graphforget.models import GCN
        >>> data = load("digits")
        >>> task = NodeClassification(build=lambda d: GCN(64, 16, d.num_classes))
        >>> sorted(task.utility(task.new_model(data, seed=0), task.view(data, "val")))
        ['accuracy', 'macro_f1']
    """

    name = "node_classification"
    output_kind = "categorical"
    has_inputs = True
    monitor = "accuracy"
    default_recipe = Recipe(epochs=200, lr=1e-2, weight_decay=5e-4, patience=50)

    def __init__(self, *, outputs: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = check_declared(outputs)
        self._meanings = Memo()

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task."""
        return super().describe() | ({} if self.outputs is None else {"outputs": self.outputs})

    def adopt(self, data: object) -> GraphData:
        """A labelled graph with a training part.

        Raises:
            InputError: No labels, or no training part.
        """
        graph = super().adopt(data)
        if graph.y is None:
            raise InputError("node classification needs labels y, one class number per node.")
        if not len(graph.splits.get("train", ())):
            raise InputError("node classification needs training nodes: give the graph a train_mask or splits={'train': ids}.")
        return graph

    def view(
        self,
        data: GraphData,
        part: str,
        *,
        side: Literal["forget", "retain"] | None = None,
        request: DeletionRequest | None = None,
    ) -> View:
        """Labelled nodes of a part; ``side`` selects those of the classes that ``request`` forgets, or the others."""
        assert data.y is not None
        ids = data.splits.get(part, torch.empty(0, dtype=torch.long))
        ids = ids[data.y[ids] >= 0]  # without a label there is nothing to compare with
        if side is not None:
            labels = request.ids("node_class") if request is not None else ids[:0]
            inside = torch.isin(data.y[ids], labels)
            ids = ids[inside if side == "forget" else ~inside]
        return View(data, ids, "none")

    def _examples(self, data: GraphData, change: Change) -> dict[str, Any]:
        train = data.splits["train"]

        def affected() -> Tensor:
            near = train[change.region[train] & ~change.dead[train]]
            return near[~contains(change.feature_nodes, near)]

        return {
            "removed": change.nodes[contains(train, change.nodes)],
            "retain": lambda: train[~change.dead[train]],
            "altered": change.feature_nodes[contains(train, change.feature_nodes)],
            "affected": affected,
        }

    def _batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Batches of node ids and labels."""
        for piece in chunks(len(view), batch_size, shuffle, generator):
            ids = view.index[piece]
            yield Batch(view.data, ids, view.data.y[ids])

    def inputs(self, batch: Batch) -> Tensor:
        """Features of the batch's nodes, [n, F]; edited ones where there are some."""
        if batch.inputs is not None:
            return batch.inputs
        ctx = self.context(batch.data)
        return ctx.dense[ctx.rows(batch.index)]

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Uniformly random wrong classes."""
        return batch.replace(y=other_classes(batch.y, batch.data.num_classes, generator))

    def _forward(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        shared = None
        results = []
        for batch in batches:
            if batch.inputs is not None:
                encoding = self.encode(model, batch.data, store=store, inputs=(batch.index, batch.inputs))
            else:
                encoding = shared = shared or self.encode(model, batch.data, store=store)
            outputs, layers, rows = read_batch(encoding, batch)
            names = list(layers)
            embeddings = layers[names[-2]] if len(names) > 1 else None
            results.append(Forward(outputs[rows], embeddings, layers, rows))
        return results

    def _read_outputs(self, model: nn.Module, outputs: Tensor, data: GraphData) -> Tensor:
        name = type(unwrapped(model)).__name__
        kind = self._meanings.get(model, "meaning", (), lambda: meaning(outputs, self.outputs, name))
        return class_logits(outputs, kind, data.num_classes, name)

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Cross-entropy."""
        y = batch.y.to(forward.outputs.device)
        return reduce(nn.functional.cross_entropy(forward.outputs, y, reduction="none"), reduction)

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"accuracy": ..., "macro_f1": ...}``. Raises InputError on an empty view."""
        outputs, y = self.predict(model, view), view.data.y[view.index]
        return {"accuracy": accuracy(outputs, y), "macro_f1": macro_f1(outputs, y)}
