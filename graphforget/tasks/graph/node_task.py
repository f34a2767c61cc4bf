"""What tasks on nodes share: an example is a node id, its inputs are its features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.graphs.checks import TARGET
from graphforget.requests import DeletionRequest, View
from graphforget.requests.keys import contains
from graphforget.tasks.graph.change import Change
from graphforget.tasks.graph.encoding import read_batch
from graphforget.tasks.graph.task import GraphTask
from graphforget.tasks.trainable import chunks


class NodeTask(GraphTask):
    """Base of tasks whose examples are nodes; ``_targets`` says what is to be predicted of them."""

    has_inputs = True

    @abstractmethod
    def _targets(self, data: GraphData) -> tuple[Tensor, Tensor]:
        """(targets of all nodes [N, ...], which nodes have one [N] bool)."""

    def _check_train(self, graph: GraphData) -> GraphData:
        """The graph, which must have training nodes.

        Raises:
            InputError: It has none.
        """
        if not len(graph.splits.get("train", ())):
            name = self.name.replace("_", " ")
            raise InputError(f"{name} needs training nodes: give the graph a train_mask or splits={{'train': ids}}.")
        return graph

    def view(
        self,
        data: GraphData,
        part: str,
        *,
        side: Literal["forget", "retain"] | None = None,
        request: DeletionRequest | None = None,
    ) -> View:
        """Nodes of a part that have a target; ``side`` selects those of the classes that ``request`` forgets, or the others."""
        ids = data.splits.get(part, torch.empty(0, dtype=torch.long))
        ids = ids[self._targets(data)[1][ids]]  # without a target there is nothing to compare with
        if side is not None:
            labels = request.ids("node_class") if request is not None else ids[:0]
            inside = torch.isin(data.y[ids], labels) if data.y is not None else torch.zeros(len(ids), dtype=torch.bool)
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
        """Batches of node ids and targets."""
        targets = self._targets(view.data)[0]
        for piece in chunks(len(view), batch_size, shuffle, generator):
            ids = view.index[piece]
            yield Batch(view.data, ids, targets[ids])

    def inputs(self, batch: Batch) -> Tensor:
        """Features of the batch's nodes, [n, F]; edited ones where there are some."""
        if batch.inputs is not None:
            return batch.inputs
        ctx = self.context(batch.data)
        return ctx.dense[ctx.rows(batch.index)]

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


def numbers(data: GraphData, task: str) -> tuple[Tensor, Tensor]:
    """Targets that are numbers [N, d], and which nodes have all of theirs [N] bool.

    Raises:
        InputError: The graph has classes, or no targets.
    """
    target = data.node_data.get(TARGET)
    if target is None:
        have = "y holds one class number per node" if data.y is not None else "the graph has no y"
        raise InputError(f"{task.replace('_', ' ')} needs a y of numbers, [N] or [N, d] of a real dtype, and {have}.")
    target = target.view(len(target), -1)
    return target, ~target.isnan().any(1)
