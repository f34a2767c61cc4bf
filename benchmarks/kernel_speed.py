"""The kernels beside PyG's and torch's own paths: seconds, extra memory and distance from what the memory bus allows.

One process; every path of a cell runs in turn with the others and with a plain copy of memory (the roof). Extra memory is
measured apart, each path in a process of its own.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from graphs import make_graph, message_edges
from kernel_paths import PATHS, Problem, random_inputs, step_of
from measure import copy_step, in_fresh_process, interleaved, medians, peak_extra
from torch import Tensor

from graphforget import kernels
from graphforget.base import content_digest
from graphforget.kernels import SparseGraph

Record = dict[str, Any]
TOLERANCE = 1e-4  # of the largest value: hubs add thousands of float32 numbers in different orders
# Of equal largest values PyG shares the gradient and ours takes the first: about one of 10.8 million, and two sources each.
TIES = {"spmm_max": 20, "spmm_min": 20}


def cells(config: Record) -> list[Record]:
    """As the configuration lists them."""
    return config["cells"]


def digest(config: Record, cell: Record) -> str:
    """What a cell's record depends on besides the cell."""
    return content_digest(json.dumps({k: v for k, v in config.items() if k != "cells"}, sort_keys=True))[:12]


@functools.lru_cache(1)
def _problem(graph: str) -> Problem:
    return Problem(*make_graph(json.loads(graph)))


def run_cell(config: Record, cell: Record, say: Callable[[str], None]) -> list[Record]:
    """Time a cell's paths in turn."""
    torch.set_num_threads(config["threads"])
    problem = _problem(json.dumps(config["graph"]))
    figures = _SPECIAL.get(cell["op"], compare)(problem, cell, config)
    size = {"nodes": problem.num_nodes, "entries": problem.num_entries, "repeats": config["repeats"]}
    say("    " + ", ".join(f"{name} {s * 1e3:.1f} ms" for name, s in figures["median_seconds"].items()))
    return [size | figures]


def timed(steps: dict[str, Callable[[], Any]], config: Record) -> Record:
    """Medians of the steps and the copy bandwidth of the same minutes."""
    copy, size = copy_step(config["copy_megabytes"])
    seconds = medians(interleaved({**steps, "copy": copy}, config["repeats"]))
    bandwidth = size / seconds.pop("copy")
    return {"median_seconds": seconds, "copy_gb_per_s": bandwidth / 1e9}


# ---- paths against each other ----------------------------------------------------------------------------------
def compare(problem: Problem, cell: Record, config: Record) -> Record:
    """Every path of an operation: forward and backward, ratio to the first path, extra memory, bytes that must move."""
    inputs = random_inputs(problem, cell)
    steps, first = {}, None
    for name, build in PATHS[cell["op"]].items():
        steps[name] = step_of(build(problem, cell), inputs)
        made = [steps[name]().detach().clone(), *(t.grad.clone() for t in inputs if t.grad is not None)]
        first = first or made
        _same(cell["op"], name, first, made)
    figures = timed(steps, config)
    base = next(iter(figures["median_seconds"].values()))
    figures["ratio"] = {name: base / seconds for name, seconds in figures["median_seconds"].items()}
    figures["extra_mb"] = {
        name: in_fresh_process(extra_memory, problem.pairs, problem.num_nodes, cell, name, config["threads"]) / 1e6
        for name in PATHS[cell["op"]]
    }
    if cell["op"] == "spmm":
        figures["bytes"] = bytes_moved(problem.graph, cell["width"])
    return figures


def _same(op: str, name: str, expected: list[Tensor], found: list[Tensor]) -> None:
    if len(expected) != len(found):
        raise AssertionError(f"'{name}' gives {len(found) - 1} gradients, not {len(expected) - 1}")
    for a, b in zip(expected, found, strict=True):
        wrong = int((~((a - b).abs() <= TOLERANCE * a.abs().max())).sum())
        if wrong > TIES.get(op, 0):
            raise AssertionError(f"'{name}' differs from the first path in {wrong} of {a.numel()} values")


def extra_memory(pairs: Tensor, num_nodes: int, cell: Record, name: str, threads: int) -> int:
    """Peak bytes of one forward and backward above what inputs, graph and caches take, output and gradients included."""
    torch.set_num_threads(threads)
    problem = Problem(pairs, num_nodes)
    inputs = random_inputs(problem, cell)
    step = step_of(PATHS[cell["op"]][name](problem, cell), inputs)
    step()  # fills what is kept and starts the threads
    for tensor in inputs:
        tensor.grad = None
    return peak_extra(step)[1]


def bytes_moved(graph: SparseGraph, width: int) -> dict[str, int]:
    """What a forward and a backward must at least move.

    ``gather`` reads a row of x from memory for every entry, ``compulsory`` reads every row once (perfect reuse); both read the
    structure once and write the output once.
    """
    value = 4
    structure = sum(t.numel() * t.element_size() for t in (graph.rowptr, graph.col, graph.weight) if t is not None)
    out = graph.num_rows * width * value
    gather = graph.num_edges * width * value + out + structure
    compulsory = graph.num_cols * width * value + out + structure
    return {"gather": 2 * gather, "compulsory": 2 * compulsory}


# ---- what is not a comparison of paths -------------------------------------------------------------------------
def _spmm_step(graph: SparseGraph, width: int) -> Callable[[], Any]:
    graph.transpose()
    x = torch.randn(graph.num_cols, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    return step_of(lambda t: kernels.spmm(graph, t), [x])


def reordering(problem: Problem, cell: Record, config: Record) -> Record:
    """``spmm`` on the graph as it came and with its nodes in another order; the order itself is found once, apart."""
    if "graph" in cell:
        problem = Problem(*make_graph(config["graphs"][cell["graph"]]))
    steps, once = {"as it came": _spmm_step(problem.graph, cell["width"])}, {}
    for method in cell["orders"]:
        started = time.perf_counter()
        graph = kernels.reorder(problem.graph, method)[0]
        once[method] = time.perf_counter() - started
        steps[method] = _spmm_step(graph, cell["width"])
    return timed(steps, config) | {"once_seconds": once, "nodes": problem.num_nodes, "entries": problem.num_entries}


def rows_only(problem: Problem, cell: Record, config: Record) -> Record:
    """``spmm_rows`` for a random share of the rows, beside the whole product."""
    graph, width = problem.graph, cell["width"]
    draw = torch.Generator().manual_seed(3)
    order = torch.randperm(graph.num_rows, generator=draw)
    steps: dict[str, Callable[[], Any]] = {"spmm": _spmm_step(graph, width)}
    entries = {}
    x = torch.randn(graph.num_cols, width, generator=draw).requires_grad_()
    for share in cell["shares"]:
        rows = order[: max(1, round(share * graph.num_rows))].sort().values
        steps[str(share)] = step_of(lambda t, rows=rows: kernels.spmm_rows(graph, t, rows), [x])
        entries[str(share)] = int(graph.degree()[rows].sum()) / graph.num_edges
    return timed(steps, config) | {"entry_share": entries}


def masked(problem: Problem, cell: Record, config: Record) -> Record:
    """``masked_spmm`` with a random share of the entries kept, beside the whole product and a graph built of what is kept."""
    graph, width = problem.graph, cell["width"]
    draw = torch.Generator().manual_seed(4)
    steps: dict[str, Callable[[], Any]] = {"spmm": _spmm_step(graph, width)}
    x = torch.randn(graph.num_cols, width, generator=draw).requires_grad_()
    chance = torch.rand(graph.num_edges, generator=draw)
    for share in cell["shares"]:
        keep = chance < share
        steps[str(share)] = step_of(lambda t, keep=keep: kernels.masked_spmm(graph, t, keep), [x])
    return timed(steps, config)


def edit(problem: Problem, cell: Record, config: Record) -> Record:
    """Drop edges from a graph that is in use, against building it anew; with and without the normalised form and transpose."""
    pairs, n = problem.pairs, problem.num_nodes
    base = SparseGraph.from_edge_index(message_edges(pairs, n, loops=False), n)
    base.gcn_norm().transpose()
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(5))
    gone = pairs[order[: cell["size"]]]
    left = message_edges(pairs[order[cell["size"] :].sort().values], n, loops=False)
    ends = torch.unique(gone)

    def drop() -> SparseGraph:
        return kernels.drop_edges(base, gone, both_directions=True)

    def build() -> SparseGraph:
        return SparseGraph.from_edge_index(left, n)

    def normal(graph: SparseGraph) -> SparseGraph:
        normed = graph.gcn_norm()
        normed.transpose()
        return normed

    for a, b in ((drop(), build()), (normal(drop()), normal(build()))):
        same = torch.equal(a.rowptr, b.rowptr) and torch.equal(a.col, b.col)
        if not same or (a.weight is not None and not torch.equal(a.weight, torch.as_tensor(b.weight))):
            raise AssertionError("the edited graph differs from a fresh build")
    steps = {
        "edit, rows of the ends read": lambda: drop().select_rows(ends),
        "build, rows of the ends read": lambda: build().select_rows(ends),
        "edit, normalised": lambda: normal(drop()),
        "build, normalised": lambda: normal(build()),
    }
    return timed(steps, config)


_SPECIAL: dict[str, Callable[[Problem, Record, Record], Record]] = {
    "reorder": reordering,
    "spmm_rows": rows_only,
    "masked_spmm": masked,
    "edit": edit,
}
