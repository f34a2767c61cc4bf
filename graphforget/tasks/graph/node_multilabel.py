"""Several labels per node of one graph."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward, Recipe
from graphforget.base.memo import Memo
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.metrics.utility import mean_label_precision, micro_f1
from graphforget.requests import View
from graphforget.tasks.graph.inputs import unwrapped
from graphforget.tasks.graph.node_task import NodeTask, numbers
from graphforget.tasks.outputs import binary_logits, check_declared, meaning
from graphforget.tasks.trainable import reduce


class NodeMultilabel(NodeTask):
    """Any number of labels per node, as in PPI; an example is a node id, the loss is the binary cross-entropy over its labels.

    Labels are the graph's y [N, L] of zeros and ones. Distances, confidences and divergences of a node are means over its labels.
    Recipe: Adam (lr 0.01), at most 300 epochs, full batch, early stopping on the validation micro-F1.

    Args:
        outputs: ``"logits"`` or ``"probabilities"``; by default logits, and what looks like probabilities is refused.
        **kwargs: See :class:`~graphforget.tasks.GraphTask`.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from graphforget.models import GCN
        >>> ring = torch.stack([torch.arange(20), (torch.arange(20) + 1) % 20])
        >>> graph = Data(x=torch.randn(20, 4), edge_index=ring, y=torch.rand(20, 3).round(), train_mask=torch.arange(20) < 15)
        >>> task = NodeMultilabel(build=lambda d: GCN(4, 8, 3))
        >>> data = task.adopt(graph)
        >>> sorted(task.utility(task.new_model(data, seed=0), task.view(data, "train")))
        ['label_precision', 'micro_f1']
    """

    name = "node_multilabel"
    output_kind = "bernoulli"
    monitor = "micro_f1"
    default_recipe = Recipe(epochs=300, lr=1e-2, patience=50)

    def __init__(self, *, outputs: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = check_declared(outputs)
        self._meanings = Memo()

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task."""
        return super().describe() | ({} if self.outputs is None else {"outputs": self.outputs})

    def adopt(self, data: object) -> GraphData:
        """A graph with labels of zeros and ones and a training part.

        Raises:
            InputError: Classes, other numbers or no y; or no training part.
        """
        graph = super().adopt(data)
        target, known = numbers(graph, self.name)
        if bool(((target != 0) & (target != 1))[known].any()):
            raise InputError("node multilabel needs a y of zeros and ones, and it has others: take task='node_regression'.")
        return self._check_train(graph)

    def _targets(self, data: GraphData) -> tuple[Tensor, Tensor]:
        return numbers(data, self.name)

    def _read_outputs(self, model: nn.Module, outputs: Tensor, data: GraphData) -> Tensor:
        name, width = type(unwrapped(model)).__name__, self._targets(data)[0].size(1)
        if outputs.size(1) != width:
            raise InputError(f"{name} returns {outputs.size(1)} columns, and y has {width} labels: they must be as many.")
        # Every label is an outcome of its own: rows need not sum to one.
        kind = self._meanings.get(model, "meaning", (), lambda: meaning(outputs.reshape(-1), self.outputs, name))
        return binary_logits(outputs, kind).view_as(outputs)

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Every label is turned over: the only wrong answer there is for each."""
        return batch.replace(y=1 - batch.y)

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Binary cross-entropy, averaged over the labels of a node."""
        y = batch.y.to(forward.outputs)
        values = nn.functional.binary_cross_entropy_with_logits(forward.outputs, y, reduction="none")
        return reduce(values.mean(1), reduction)

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"micro_f1": ..., "label_precision": ...}`` (mean average precision over labels). InputError on an empty view."""
        outputs, y = self.predict(model, view), self._targets(view.data)[0][view.index]
        return {"micro_f1": micro_f1(outputs, y), "label_precision": mean_label_precision(outputs, y)}
