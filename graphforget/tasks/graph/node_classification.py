"""Node classification on one graph."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward, Recipe
from graphforget.base.memo import Memo
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.graphs.checks import TARGET
from graphforget.metrics.utility import accuracy, macro_f1
from graphforget.requests import View
from graphforget.tasks.graph.inputs import unwrapped
from graphforget.tasks.graph.node_task import NodeTask
from graphforget.tasks.outputs import check_declared, class_logits, meaning
from graphforget.tasks.samples.image_classification import other_classes
from graphforget.tasks.trainable import reduce


class NodeClassification(NodeTask):
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
        if graph.y is None and TARGET in graph.node_data:
            shape = list(graph.node_data[TARGET].shape)
            raise InputError(
                f"node classification needs one class number per node, and y holds numbers of shape {shape}: take "
                f"task='node_regression' for numbers, task='node_multilabel' for several labels, or y.long() for classes."
            )
        if graph.y is None:
            raise InputError("node classification needs labels y, one class number per node.")
        return self._check_train(graph)

    def _targets(self, data: GraphData) -> tuple[Tensor, Tensor]:
        assert data.y is not None
        return data.y, data.y >= 0

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Uniformly random wrong classes."""
        return batch.replace(y=other_classes(batch.y, batch.data.num_classes, generator))

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
