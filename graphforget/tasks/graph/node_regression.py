"""Regression on the nodes of one graph."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward, Recipe
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.metrics.utility import mean_absolute_error, r2, root_mean_squared_error
from graphforget.requests import View
from graphforget.tasks.graph.inputs import unwrapped
from graphforget.tasks.graph.node_task import NodeTask, numbers
from graphforget.tasks.trainable import reduce


class NodeRegression(NodeTask):
    """One or several numbers per node; an example is a node id, the loss is the squared error, averaged over the numbers.

    Targets are the graph's y of a real dtype, [N] or [N, d]; nodes where one is NaN are no examples. Recipe: Adam (lr 0.01), at
    most 300 epochs, full batch, early stopping on the validation R2.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from graphforget.models import GCN
        >>> ring = torch.stack([torch.arange(20), (torch.arange(20) + 1) % 20])
        >>> graph = Data(x=torch.randn(20, 4), edge_index=ring, y=torch.rand(20), train_mask=torch.arange(20) < 15)
        >>> task = NodeRegression(build=lambda d: GCN(4, 8, 1))
        >>> data = task.adopt(graph)
        >>> sorted(task.utility(task.new_model(data, seed=0), task.view(data, "train")))
        ['mae', 'r2', 'rmse']
    """

    name = "node_regression"
    output_kind = "gaussian"
    monitor = "r2"
    default_recipe = Recipe(epochs=300, lr=1e-2, patience=50)

    def adopt(self, data: object) -> GraphData:
        """A graph with numbers to predict and a training part.

        Raises:
            InputError: Classes or no y, or no training part.
        """
        graph = super().adopt(data)
        numbers(graph, self.name)
        return self._check_train(graph)

    def _targets(self, data: GraphData) -> tuple[Tensor, Tensor]:
        return numbers(data, self.name)

    def _read_outputs(self, model: nn.Module, outputs: Tensor, data: GraphData) -> Tensor:
        width = self._targets(data)[0].size(1)
        if outputs.size(1) != width:
            name = type(unwrapped(model)).__name__
            raise InputError(f"{name} returns {outputs.size(1)} numbers per node, and y has {width}: they must be as many.")
        return outputs

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Every node gets the target of another node of the batch: plausible, and not its own."""
        order = torch.randperm(len(batch), generator=generator)
        place = torch.empty_like(order)
        place[order] = order.roll(1)
        return batch.replace(y=batch.y[place])

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Squared error, averaged over the numbers of a node."""
        return reduce((forward.outputs - batch.y.to(forward.outputs)).square().mean(1), reduction)

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"r2": ..., "rmse": ..., "mae": ...}``. Raises InputError on an empty view."""
        outputs, y = self.predict(model, view), self._targets(view.data)[0][view.index]
        return {"r2": r2(outputs, y), "rmse": root_mean_squared_error(outputs, y), "mae": mean_absolute_error(outputs, y)}
