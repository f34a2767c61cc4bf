"""What a deletion costs against the region it touches: full and regional versions of the same methods on two large graphs.

A cell is one request and one method. Its figures are those of ``task.split`` and ``method.unlearn`` together. What is kept with
the original graph (sorted edges, neighbour lists) was made by an earlier request, as in a service that deletes every day.
"""

from __future__ import annotations

import functools
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from graphs import make_graph, message_edges
from measure import peak_extra
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Unlearner, UnlearnResult, content_digest
from graphforget.graphs import GraphData, k_hop
from graphforget.graphs import sample_requests as draw
from graphforget.kernels import pair_scores
from graphforget.models import GCN
from graphforget.requests import DeletionRequest, ForgetSplit
from graphforget.tasks import LinkPrediction
from graphforget.unlearners import METHODS

Record = dict[str, Any]


@dataclass
class Stage:
    """A graph, a trained model and the task, with the structures of the graph warm."""

    data: GraphData
    task: LinkPrediction
    model: nn.Module


def run_cell(config: Record, cell: Record, say: Callable[[str], None]) -> list[Record]:
    """Serve a cell's request; graph and model are made once for all cells of a graph."""
    torch.set_num_threads(config["threads"])
    figures = measure(_stage(json.dumps(config), cell["graph"]), cell, config)
    share = "" if figures["region_share"] is None else f", share {figures['region_share']:.2%}"
    say(f"    {figures['seconds']:.3f} s, {figures['extra_mb']:.0f} MB{share}")
    return [figures]


@functools.lru_cache(1)  # one large graph at a time
def _stage(config: str, name: str) -> Stage:
    return make_stage(json.loads(config), name)


def cells(config: Record) -> list[Record]:
    """Every cell, graph by graph, the full versions first."""
    found = []
    for graph in config["graphs"]:
        for method in config["methods"]:
            for size in config["full_sizes"]:
                found.append({"graph": graph, "where": "random", "size": size, "method": method, "scope": "full"})
        for where in config["where"]:
            for size in config["sizes"]:
                for method in config["methods"]:
                    found.append({"graph": graph, "where": where, "size": size, "method": method, "scope": "region"})
        for entry in config["fanouts"]:
            if entry["graph"] == graph:
                for method in entry["methods"]:
                    for fanout in entry["values"]:
                        request = {"graph": graph, "where": entry["where"], "size": entry["size"]}
                        found.append({**request, "method": method, "scope": "region", "fanout": fanout})
    return found


def digest(config: Record, cell: Record) -> str:
    """What a cell's record depends on besides the cell."""
    parts = {
        "graph": config["graphs"][cell["graph"]],
        "method": config["methods"][cell["method"]],
        "train_epochs": config["train_epochs"][cell["graph"]],
        **{key: config[key] for key in ("model", "threads", "repeats", "budget_seconds")},
    }
    return content_digest(json.dumps(parts, sort_keys=True))[:12]


def make_stage(config: Record, name: str) -> Stage:
    """Graph with seeded normal features, a briefly trained model, and one earlier request served."""
    pairs, num_nodes = make_graph(config["graphs"][name])
    sizes = config["model"]
    x = torch.randn(num_nodes, sizes["features"], generator=seeds.generator(0))
    data = GraphData.create(message_edges(pairs, num_nodes, loops=False), num_nodes, x=x, undirected=True, name=name)
    task = LinkPrediction(build=lambda d: GCN(sizes["features"], sizes["hidden_channels"], out_channels=sizes["out_channels"]))
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0, epochs=config["train_epochs"][name])
    stage = Stage(data, task, model)
    for method, params in config["methods"].items():
        earlier = {"graph": name, "where": "random", "size": 1, "method": method, "scope": "region"}
        serve(stage, earlier, params, request_seed=1)
    return stage


def make_request(data: GraphData, cell: Record, seed: int) -> DeletionRequest:
    """Random edges, those with the largest or those with the smallest sum of degrees."""
    if cell["where"] == "tail":
        pairs = data.pairs()
        order = torch.randperm(len(pairs), generator=seeds.generator(seed))
        score = data.neighbours[0].diff()[pairs].sum(1)[order]
        return DeletionRequest.edges(pairs=pairs[order[score.sort(stable=True).indices[: cell["size"]]]])
    return {"random": draw.random_edges, "hub": draw.hub_edges}[cell["where"]](data, cell["size"], seed=seed)


def serve(
    stage: Stage, cell: Record, params: Record, *, seed: int = 0, request_seed: int = 0
) -> tuple[UnlearnResult, float, float]:
    """Serve a cell's request once: (result, seconds, processor seconds)."""
    request = make_request(stage.data, cell, request_seed)
    extra = {key: cell[key] for key in ("scope", "fanout") if key in cell}
    method: Unlearner = METHODS.resolve(cell["method"], Unlearner, **params, **extra)
    started, cpu = time.perf_counter(), time.process_time()
    split = stage.task.split(stage.data, request)
    result = method.unlearn(stage.model, stage.task, split, seed=seed)
    if cell["method"] == "unlink" and cell["scope"] == "full":
        # Its region version renews the embeddings that change; in full that is one pass over the retained graph.
        with torch.no_grad():
            stage.task.encode(stage.model.eval(), split.retain_data)
    return result, time.perf_counter() - started, time.process_time() - cpu


def measure(stage: Stage, cell: Record, config: Record) -> Record:
    """Memory in a first run; time as the median of further runs, or of the first alone where that takes very long."""
    params = config["methods"][cell["method"]]
    (result, seconds, cpu), extra = peak_extra(lambda: serve(stage, cell, params))
    runs = [(seconds, cpu)]
    if seconds <= config["budget_seconds"]:
        runs = [serve(stage, cell, params)[1:] for _ in range(config["repeats"])]
    figures: Record = {
        "seconds": statistics.median(s for s, _ in runs),
        "cpu_seconds": statistics.median(c for _, c in runs),
        "repeats": len(runs),
        "extra_mb": extra / 1e6,
        "region_share": result.info.get("region_share"),
        "nodes": stage.data.num_nodes,
        "entries": stage.data.edge_index.size(1),
    }
    if "fanout" in cell:
        unlimited = {k: v for k, v in cell.items() if k != "fanout"}
        exact, other = (served(stage, serve(stage, unlimited, params, seed=seed)[0]) for seed in (0, 1))
        before = stage.task.encode(stage.model.eval(), stage.data).outputs.detach()
        figures["error"] = distance(stage, result.split, served(stage, result), exact)
        figures["between_seeds"] = distance(stage, result.split, other, exact)
        figures["change"] = distance(stage, result.split, before, exact)
    return figures


@torch.no_grad()
def distance(stage: Stage, split: ForgetSplit, one: Tensor, two: Tensor) -> Record:
    """Mean absolute difference of two tables of outputs [N, d], over all rows and pairs that the deletion can change."""
    rows = k_hop(stage.data, split.removed.reshape(-1), stage.task.num_hops)
    pairs = torch.cat([split.removed, split.affected])
    gap = (one - two)[rows].abs().mean()
    shift = (pair_scores(one, pairs).sigmoid() - pair_scores(two, pairs).sigmoid()).abs()
    return {
        "outputs": float(gap),
        "outputs_relative": float(gap / two[rows].abs().mean()),
        "probability": float(shift.mean()),
        "probability_deleted": float(shift[: len(split.removed)].mean()),
        "rows": int(rows.sum()),
        "pairs": len(pairs),
    }


@torch.no_grad()
def served(stage: Stage, result: UnlearnResult) -> Tensor:
    """Outputs of every node, [N, d]: read on the whole retained graph, or the old table with the rows that ``unlink`` renewed."""
    if "rows" not in result.state:
        return stage.task.encode(result.model.eval(), result.split.retain_data).outputs
    table = stage.task.encode(stage.model.eval(), stage.data).outputs
    return table.index_copy(0, result.state["rows"], result.state["outputs"])
