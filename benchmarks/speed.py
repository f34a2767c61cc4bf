"""Training speed as a ratio within one run: our GCN against the same model from PyG's GCNConv, for links and for nodes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.models import MODELS
from graphforget.models.gnn import accelerate
from graphforget.tasks import TASKS


class PyGGCN(nn.Module):
    """Two ``GCNConv`` layers as a user writes them."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.first, self.second = GCNConv(in_channels, hidden_channels), GCNConv(hidden_channels, out_channels)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Node embeddings."""
        return self.second(self.first(x, edge_index).relu(), edge_index)


def run_speed(
    config: dict[str, Any],
    records: list[dict[str, Any]],
    add: Callable[[list[dict[str, Any]]], None],
    say: Callable[[str], None],
    only: dict[str, Any],
) -> None:
    """Time one epoch of each in turn; a record with the medians and their ratio."""
    if only:
        raise InputError("training_speed is one cell: leave --only out.")
    torch.set_num_threads(config["threads"])
    data = load(config["dataset"]["name"], task="link_prediction", seed=0)
    sizes = (data.x.size(1), config["hidden_channels"], config["out_channels"])
    steps = {
        "graphforget": _epoch(MODELS["gcn"](*sizes), data),
        "pyg": _pyg_epoch(PyGGCN(*sizes), data),
        "pyg_in_our_loop": _epoch(PyGGCN(*sizes), data),
        "accelerated": _epoch(accelerate(PyGGCN(*sizes), data), data),
        "graphforget_encoder": _encoder(MODELS["gcn"](*sizes), data),
        "pyg_encoder": _encoder(PyGGCN(*sizes), data),
        "accelerated_encoder": _encoder(accelerate(PyGGCN(*sizes), data), data),
    }
    nodes = load(config["dataset"]["name"], task="node_classification", seed=0)
    classes = (nodes.x.size(1), config["hidden_channels"], nodes.num_classes)
    steps |= {
        "graphforget_nodes": _epoch(MODELS["gcn"](*classes), nodes, "node_classification"),
        "pyg_nodes": _pyg_node_epoch(PyGGCN(*classes), nodes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(2):
        for step in steps.values():
            step()
    for _ in range(config["repeats"]):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        "epoch": medians["pyg"] / medians["graphforget"],
        "our_loop": medians["pyg_in_our_loop"] / medians["graphforget"],
        "encoder": medians["pyg_encoder"] / medians["graphforget_encoder"],
        "accelerated_loop": medians["pyg_in_our_loop"] / medians["accelerated"],
        "accelerated_encoder": medians["pyg_encoder"] / medians["accelerated_encoder"],
        "node_epoch": medians["pyg_nodes"] / medians["graphforget_nodes"],
    }
    cell = {"dataset": config["dataset"]["name"], "sizes": list(sizes), "node_sizes": list(classes)}
    add([{"cell": cell, "median_seconds": medians, "ratio": ratios, "repeats": config["repeats"]}])
    say(
        f"link epoch (with decoder and optimiser) {ratios['epoch']:.1f} times faster, its encoder alone {ratios['encoder']:.1f} "
        f"times; node epoch {ratios['node_epoch']:.1f} times"
    )


def _epoch(model: nn.Module, data: Any, task_name: str = "link_prediction") -> Callable[[], None]:
    """One epoch of the task's recipe: batches (fresh negatives, for links), encode, decode, loss, backward, Adam."""
    task = TASKS[task_name](template=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)  # as the task's own training does
    draws, view = seeds.generator(0), task.view(data, "train")

    def step() -> None:
        for batch in task.batches(view, generator=draws):
            optimizer.zero_grad(set_to_none=True)
            task.loss(task.forward(model, batch)[0], batch).backward()
            optimizer.step()

    return step


def _pyg_epoch(model: nn.Module, data: Any) -> Callable[[], None]:
    """One epoch as a PyG user writes it: ``negative_sampling``, indexed dot products, binary cross-entropy, Adam."""
    from torch_geometric.utils import negative_sampling

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    positive = data.pairs().t().contiguous()
    y = torch.cat([torch.ones(positive.size(1)), torch.zeros(positive.size(1))])

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        negative = negative_sampling(data.edge_index, data.num_nodes, positive.size(1))
        pairs = torch.cat([positive, negative], 1)
        z = model(data.x, data.edge_index)
        scores = (z[pairs[0]] * z[pairs[1]]).sum(-1)
        nn.functional.binary_cross_entropy_with_logits(scores, y[: scores.numel()]).backward()
        optimizer.step()

    return step


def _pyg_node_epoch(model: nn.Module, data: Any) -> Callable[[], None]:
    """One epoch as a PyG user writes it: full graph, cross-entropy on the training nodes, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    train = data.splits["train"]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(data.x, data.edge_index)[train], data.y[train]).backward()
        optimizer.step()

    return step


def _encoder(model: nn.Module, data: Any) -> Callable[[], None]:
    """Forward and backward of the encoder alone."""
    task = TASKS["link_prediction"](template=model)

    def step() -> None:
        task.encode(model, data).outputs.sum().backward()

    return step
