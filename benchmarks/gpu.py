"""GPU figures: our Triton kernels beside cuSPARSE and unfused torch: ``python benchmarks/gpu.py [--json] [--smoke]``.

Without a CUDA device it says so and measures nothing. Every case compares what its ways give before it times them; ways are
timed in turn, with CUDA events, after the L2 cache has been filled with other data. A fraction of copy bandwidth is the bytes of
a case over its time, over the same for a plain copy on this device in the same minute: ``gather`` counts one row of x per entry
(what is read if no cache helps; it can exceed 1), ``compulsory`` counts every array once. ``--smoke`` runs a tiny graph, on the
CPU where ``TRITON_INTERPRET=1`` is set, to see that the script works, and reports no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent))

from graphs import message_edges, power_law

from graphforget import kernels
from graphforget.kernels import SparseGraph
from graphforget.sweeps.provenance import provenance

NOT_MEASURED = "not measured on a GPU: no CUDA device"
FULL = {"num_nodes": 169_343, "num_edges": 1_157_799, "max_degree": 13_000, "width": 64, "triples": 500_000, "repeats": 50}
TINY = {"num_nodes": 40, "num_edges": 60, "max_degree": 12, "width": 8, "triples": 30, "repeats": 1}
HEADS = 4
TOLERANCE = 1e-3  # of the largest value: hubs add thousands of float32 numbers in another order
Step = Callable[[], list[Tensor]]


@dataclass
class Case:
    """One operation in several ways that give the same numbers.

    Attributes:
        name: Of the operation.
        ways: Name to step; the first is ours.
        gather: Bytes that move if every row of x that an entry reads comes from memory.
        compulsory: Bytes that move if every array moves once.
    """

    name: str
    ways: dict[str, Step]
    gather: int
    compulsory: int


class Setting:
    """The graph and the numbers of one storage type on one device."""

    def __init__(self, size: dict[str, int], device: torch.device, dtype: torch.dtype) -> None:
        self.size, self.device, self.dtype = size, device, dtype
        n = size["num_nodes"]
        pairs = power_law(n, size["num_edges"], max_degree=size["max_degree"])
        plain = SparseGraph.from_edge_index(message_edges(pairs, n, loops=False).int(), n).to(device)
        self.graph = plain.gcn_norm().to(dtype=dtype)
        self.graph.transpose()
        self.x = self.normal(n, size["width"])

    def normal(self, *shape: int, seed: int = 0) -> Tensor:
        """Seeded normal numbers of the setting's type."""
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(self.device, self.dtype)

    def bytes(self, entries: int, rows: int, *, weighted: bool = True, passes: int = 1) -> tuple[int, int]:
        """(gather, compulsory) bytes of ``passes`` sums over ``entries`` entries into ``rows`` rows."""
        item, width, index = self.x.element_size(), self.size["width"], self.graph.col.element_size()
        structure = entries * (index + (item if weighted else 0)) + rows * index
        out = rows * width * item
        once = min(entries, len(self.x)) * width * item
        return passes * (entries * width * item + structure + out), passes * (once + structure + out)


def trained(apply: Callable[..., Tensor], *inputs: Tensor) -> Step:
    """Forward, and backward from a gradient that is there already."""
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    grad: list[Tensor] = []

    def step() -> list[Tensor]:
        out = apply(*leaves)
        if not grad:
            grad.append(torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out))
        return [out.detach(), *torch.autograd.grad(out, leaves, grad[0])]

    return step


def cases(setting: Setting) -> Iterator[Case]:
    """Every operation on one storage type."""
    from graphforget.kernels.backends.triton import operations as ours

    graph, x = setting.graph, setting.x
    n, entries = graph.num_rows, graph.num_edges

    def both(apply: Callable[..., Tensor], *inputs: Tensor) -> dict[str, Step]:
        ways = {"triton": "triton", "cusparse": "cuda"}
        return {way: trained(lambda *t, b=b: apply(*t, backend=b), *inputs) for way, b in ways.items()}

    yield Case("spmm", both(lambda t, backend: kernels.spmm(graph, t, backend=backend), x), *setting.bytes(entries, n, passes=2))

    rows = torch.randperm(n, generator=torch.Generator().manual_seed(2))[: max(n // 100, 1)].to(setting.device)
    touched = int(graph.degree()[rows].sum())
    ways = both(lambda t, backend: kernels.spmm_rows(graph, t, rows, backend=backend), x)
    yield Case("spmm_rows of 1 %", ways, *setting.bytes(touched, len(rows), passes=2))

    keep = (torch.rand(entries, generator=torch.Generator().manual_seed(3)) < 0.5).to(setting.device)
    ways = both(lambda t, backend: kernels.masked_spmm(graph, t, keep, backend=backend), x)
    yield Case("masked_spmm of half", ways, *setting.bytes(entries // 2, n, passes=2))

    scale = graph.degree().float().rsqrt()
    pattern, weight = graph.pattern, graph.weight
    ways = {
        "triton": lambda: [ours.scaled_spmm(pattern, x, scale, scale)],
        "triton, weights": lambda: [ours.spmm(graph, weight, x)],
        "cusparse, weights": lambda: [kernels.spmm(graph, x, backend="cuda")],
    }
    yield Case("normalised sum, forward", ways, *setting.bytes(entries, n, weighted=False))

    head_x, scores = x.view(n, HEADS, -1), [setting.normal(n, HEADS, seed=s) for s in (4, 5)]
    row, col = pattern.row.long(), pattern.col.long()
    ways = {
        "triton": trained(lambda *t: kernels.gat_aggregate(pattern, *t, backend="triton"), head_x, *scores),
        "torch, unfused": trained(lambda *t: plain_attention(row, col, n, *t), head_x, *scores),
    }
    yield Case("attention, 4 heads", ways, *setting.bytes(entries, n, weighted=False, passes=2))

    users = n // 2
    draw = torch.Generator().manual_seed(6)
    items = torch.randint(n - users, (setting.size["triples"], 2), generator=draw)
    triples = torch.cat([torch.randint(users, (len(items), 1), generator=draw), items], 1).to(setting.device)
    tables = (x[:users].clone(), x[users:].clone())
    ways = {
        "triton": trained(lambda u, i: kernels.bpr_loss(u, i, triples, reduction="none", backend="triton"), *tables),
        "torch, unfused": trained(lambda u, i: plain_bpr(u, i, triples), *tables),
    }
    moved = x.element_size() * x.size(1)
    yield Case("bpr", ways, 7 * len(triples) * moved + n * moved, 3 * n * moved)


def plain_attention(row: Tensor, col: Tensor, n: int, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Attention as it is written without fused kernels: scores, maximum, exponentials, sums, weighted messages."""
    scores = F.leaky_relu(target[row] + source[col], 0.2)
    index = row.unsqueeze(-1).expand_as(scores)
    top = torch.zeros_like(target).scatter_reduce(0, index, scores.detach(), "amax", include_self=False)
    power = (scores - top[row]).exp()
    total = torch.zeros_like(target).index_add(0, row, power)
    alpha = power / total[row]
    return torch.zeros(n, *x.shape[1:], dtype=x.dtype, device=x.device).index_add(0, row, alpha.unsqueeze(-1) * x[col])


def plain_bpr(user: Tensor, item: Tensor, triples: Tensor) -> Tensor:
    """Three look-ups, a dot product, softplus; autograd does the rest."""
    u, p, q = triples.t()
    return F.softplus(-(F.embedding(u, user) * (F.embedding(p, item) - F.embedding(q, item))).sum(1))


def compare(case: Case, dtype: torch.dtype) -> tuple[dict[str, float], dict[str, str]]:
    """How far the other ways are from ours, of the largest value; and which do not run here, with the reason.

    Raises:
        AssertionError: They differ in float32. In bfloat16 unfused sums over a hub's entries are rounded at every step.
    """
    (_, ours), *others = case.ways.items()
    wanted, differences, failed = ours(), {}, {}
    for name, step in others:
        try:
            found = step()
        except (RuntimeError, NotImplementedError) as error:
            failed[name] = str(error).splitlines()[0]
            continue
        pairs = [(one.float(), other.float()) for one, other in zip(found, wanted)]
        differences[name] = max(float((one - other).abs().max() / other.abs().max().clamp(min=1e-6)) for one, other in pairs)
        if dtype == torch.float32 and not differences[name] < TOLERANCE:
            raise AssertionError(f"{case.name}: {name} differs from ours by {differences[name]:.1e} of the largest value")
    return differences, failed


def interleaved(ways: dict[str, Step], repeats: int, device: torch.device) -> dict[str, float]:
    """Median seconds of every way."""
    other = torch.empty(64 * 2**20, dtype=torch.int32, device=device)  # 256 MiB: more than any L2 cache
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 3):
        for name, step in ways.items():
            other.zero_()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            step()
            end.record()
            end.synchronize()
            if repeat >= 3:
                spent[name].append(begin.elapsed_time(end) / 1e3)
    return {name: statistics.median(values) for name, values in spent.items()}


def measure(size: dict[str, int], device: torch.device) -> Iterator[dict[str, Any]]:
    """One record per operation and storage type; seconds only on a GPU."""
    timed = device.type == "cuda"
    for dtype in (torch.float32, torch.bfloat16):
        setting = Setting(size, device, dtype)
        for case in cases(setting):
            differences, failed = compare(case, dtype)
            record: dict[str, Any] = {
                "case": case.name,
                "dtype": str(dtype).removeprefix("torch."),
                "width": size["width"],
                "nodes": setting.graph.num_rows,
                "entries": setting.graph.num_edges,
                "difference": differences,
                "not_run": failed,
                "median_seconds": None,
            }
            if timed:
                source = torch.zeros(2**28, device=device)  # 1 GiB
                target = torch.empty_like(source)
                ways: dict[str, Step] = {name: step for name, step in case.ways.items() if name not in failed}
                ways["copy"] = lambda s=source, t=target: [t.copy_(s)]  # type: ignore[misc]
                seconds = interleaved(ways, size["repeats"], device)
                bandwidth = 2 * source.numel() * source.element_size() / seconds.pop("copy")
                first = seconds["triton"]
                record |= {
                    "median_seconds": seconds,
                    "speed_up": {name: value / first for name, value in seconds.items() if name != "triton"},
                    "copy_gb_per_s": bandwidth / 1e9,
                    "fraction_of_copy": {k: getattr(case, k) / first / bandwidth for k in ("gather", "compulsory")},
                }
            yield {"benchmark": "gpu", **record, "provenance": provenance() | {"device": device_name(device)}}


def device_name(device: torch.device) -> str:
    """The GPU's name, or what stands in for one."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "Triton's interpreter on the CPU"


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Command line; returns the records that it prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--smoke", action="store_true", help="a tiny graph, to see that the script works; no times without a GPU")
    options = parser.parse_args(arguments)
    size, started, records = TINY if options.smoke else FULL, time.perf_counter(), []
    if torch.cuda.is_available():
        device = torch.device("cuda")
    elif options.smoke and interprets():
        device = torch.device("cpu")
    else:
        record = {"benchmark": "gpu", "measured": False, "reason": NOT_MEASURED, "provenance": provenance()}
        print(json.dumps([record], indent=1) if options.json else NOT_MEASURED)
        return [record]
    for record in measure(size, device):
        records.append(record | {"measured": device.type == "cuda"})
        if not options.json:
            print(line(record), flush=True)
    if options.json:
        print(json.dumps(records, indent=1))
    elif device.type == "cuda":
        print(f"{device_name(device)}, {time.perf_counter() - started:.0f} s")
    else:
        print(NOT_MEASURED)
    return records


def interprets() -> bool:
    """Whether the kernels run on the CPU here."""
    from graphforget.kernels.backends.triton import operations as ours

    return ours.INTERPRETED


def line(record: dict[str, Any]) -> str:
    """One record for people."""
    head = f"{record['case']}, {record['dtype']}"
    if record["median_seconds"] is None:
        return f"{head}: runs and agrees{''.join(f'; {k} did not run: {v}' for k, v in record['not_run'].items())}"
    seconds = ", ".join(f"{name} {value * 1e3:.3f} ms" for name, value in record["median_seconds"].items())
    share = record["fraction_of_copy"]
    return f"{head}: {seconds}; {share['gather']:.2f} (gather) and {share['compulsory']:.2f} (compulsory) of copy bandwidth"


if __name__ == "__main__":
    main()
