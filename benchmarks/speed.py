"""Training speed as a ratio within one run: our GCN against the same model from PyG's GCNConv, for links and for nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from measure import interleaved, medians
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import content_digest
from graphforget.datasets import load
from graphforget.models import MODELS
from graphforget.models.gnn import accelerate
from graphforget.tasks import TASKS

Record = dict[str, Any]
RATIOS = {  # ratio -> (ours, theirs)
    "epoch": ("graphforget", "pyg"),
    "our_loop": ("graphforget", "pyg_in_our_loop"),
    "encoder": ("graphforget_encoder", "pyg_encoder"),
    "accelerated_loop": ("accelerated", "pyg_in_our_loop"),
    "accelerated_encoder": ("accelerated_encoder", "pyg_encoder"),
    "node_epoch": ("graphforget_nodes", "pyg_nodes"),
}


class PyGGCN(nn.Module):
    """Two ``GCNConv`` layers as a user writes them."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.first, self.second = GCNConv(in_channels, hidden_channels), GCNConv(hidden_channels, out_channels)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Node embeddings."""
        return self.second(self.first(x, edge_index).relu(), edge_index)


def cells(config: Record) -> list[Record]:
    """There is one."""
    return [{key: config[key] for key in ("dataset", "hidden_channels", "out_channels")}]


def digest(config: Record, cell: Record) -> str:
    """What the record depends on besides the cell."""
    return content_digest(config["threads"], config["repeats"])[:12]


def run_cell(config: Record, cell: Record, say: Callable[[str], None]) -> list[Record]:
    """Time one epoch of each in turn; a record with the medians and their ratio."""
    torch.set_num_threads(config["threads"])
    data = load(config["dataset"], task="link_prediction", seed=0)
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
    nodes = load(config["dataset"], task="node_classification", seed=0)
    classes = (nodes.x.size(1), config["hidden_channels"], nodes.num_classes)
    steps |= {
        "graphforget_nodes": _epoch(MODELS["gcn"](*classes), nodes, "node_classification"),
        "pyg_nodes": _pyg_node_epoch(PyGGCN(*classes), nodes),
    }
    found = medians(interleaved(steps, config["repeats"], warmups=2))
    ratios = {name: found[theirs] / found[ours] for name, (ours, theirs) in RATIOS.items()}
    say(
        f"link epoch (with decoder and optimiser) {ratios['epoch']:.1f} times faster, its encoder alone {ratios['encoder']:.1f} "
        f"times; node epoch {ratios['node_epoch']:.1f} times"
    )
    shape = {"sizes": list(sizes), "node_sizes": list(classes)}
    return [{**shape, "median_seconds": found, "ratio": ratios, "repeats": config["repeats"]}]


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
