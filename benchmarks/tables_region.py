"""Tables and figures of region scaling: what a deletion costs, and the bound that its region's share of the graph sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markdown_table import latest, markdown, origin

Record = dict[str, Any]
FACTOR, SECONDS, MEGABYTES = 1.2, 0.02, 20.0  # bound = FACTOR x share x full + one of the allowances


def tables(records: list[Record]) -> dict[str, str]:
    """Markdown by part; a part without records is left out."""
    records = latest(records)
    full = [r for r in records if r["cell"]["scope"] == "full"]
    region = [r for r in records if r["cell"]["scope"] == "region" and "fanout" not in r["cell"]]
    limited = [r for r in records if "fanout" in r["cell"]]
    parts = {}
    if full:
        parts["full"] = markdown(_full(full))
    judged = [(r, base) for r in region if (base := full_of(full, r["cell"])) is not None]
    if judged:
        parts["summary"] = markdown(_summary(judged))
        for graph in dict.fromkeys(r["cell"]["graph"] for r, _ in judged):
            mine = [(r, base) for r, base in judged if r["cell"]["graph"] == graph]
            parts[f"{graph} time"] = f"**{graph}, seconds (bound)**\n\n" + markdown(_cells(mine, "seconds"))
            parts[f"{graph} memory"] = f"**{graph}, extra MB (bound)**\n\n" + markdown(_cells(mine, "extra_mb"))
        parts["figures"] = "![Time against the region's share](FIGURES/region_time.svg)\n\n" + (
            "![Memory against the region's share](FIGURES/region_memory.svg)"
        )
    if limited:
        parts["fanout"] = markdown(_fanout(limited, region, full))
    sizes = {r["cell"]["graph"]: f"{r['cell']['graph']}: {r['nodes']:,} nodes, {r['entries']:,} entries" for r in records}
    parts["origin"] = "; ".join(sizes.values()) + ". " + origin(records)
    return parts


def full_of(full: list[Record], cell: Record) -> Record | None:
    """The full version that stands for a cell: same graph and method, the nearest number of edges."""
    same = [r for r in full if (r["cell"]["graph"], r["cell"]["method"]) == (cell["graph"], cell["method"])]
    return min(same, key=lambda r: abs(r["cell"]["size"] - cell["size"]), default=None)


def bound(record: Record, base: Record, what: str) -> float:
    """``1.2 x share x full`` and a constant: 20 ms, or 20 MB."""
    share = 1.0 if record["region_share"] is None else record["region_share"]
    return FACTOR * share * base[what] + (SECONDS if what == "seconds" else MEGABYTES)


def _number(value: float, what: str) -> str:
    return f"{value:.3f}" if what == "seconds" else f"{value:,.0f}"


def _full(full: list[Record]) -> list[list[str]]:
    lines = [["graph", "method", "edges", "s", "CPU s", "extra MB"]]
    for r in full:
        cell = r["cell"]
        lines.append(
            [cell["graph"], cell["method"], f"{cell['size']:,}", *(f"{r[k]:.2f}" for k in ("seconds", "cpu_seconds"))]
            + [f"{r['extra_mb']:,.0f}"]
        )
    return lines


def _summary(judged: list[tuple[Record, Record]]) -> list[list[str]]:
    lines = [
        ["graph", "method", "cells", "time in bound", "memory in bound", "10 random edges: share of entries", "of full time"]
    ]
    for graph, method in dict.fromkeys((r["cell"]["graph"], r["cell"]["method"]) for r, _ in judged):
        mine = [(r, b) for r, b in judged if (r["cell"]["graph"], r["cell"]["method"]) == (graph, method)]
        kept = [sum(r[what] <= bound(r, b, what) for r, b in mine) for what in ("seconds", "extra_mb")]
        ten = [(r, b) for r, b in mine if (r["cell"]["where"], r["cell"]["size"]) == ("random", 10)]
        shares = [_share(ten[0][0]), f"{100 * ten[0][0]['seconds'] / ten[0][1]['seconds']:.2f} %"] if ten else ["", ""]
        lines.append([graph, method, str(len(mine)), *map(str, kept), *shares])
    return lines


def _share(record: Record) -> str:
    return "" if record["region_share"] is None else f"{100 * record['region_share']:.3g} %"


def _cells(judged: list[tuple[Record, Record]], what: str) -> list[list[str]]:
    """A line per request, a column per method: the figure and its bound, in bold where it is above."""
    methods = list(dict.fromkeys(r["cell"]["method"] for r, _ in judged))
    lines = [["edges", "region's share of entries", *methods]]
    for where, size in dict.fromkeys((r["cell"]["where"], r["cell"]["size"]) for r, _ in judged):
        mine = {r["cell"]["method"]: (r, b) for r, b in judged if (r["cell"]["where"], r["cell"]["size"]) == (where, size)}
        line = [f"{size:,} {where}", max((_share(r) for r, _ in mine.values()), key=len)]
        for method in methods:
            if method not in mine:
                line.append("")
                continue
            record, base = mine[method]
            limit = bound(record, base, what)
            text = f"{_number(record[what], what)} ({_number(limit, what)})"
            line.append(text if record[what] <= limit else f"**{text}**")
        lines.append(line)
    return lines


def _fanout(limited: list[Record], region: list[Record], full: list[Record]) -> list[list[str]]:
    head = ["method", "fan-out", "share of entries", "s", "of full time", "all neighbours: of full time"]
    lines = [[*head, "error of outputs", "error of probabilities", "another seed", "the deletion's own change"]]
    for r in limited:
        cell, base = r["cell"], full_of(full, r["cell"])
        exact = next((e for e in region if all(e["cell"][k] == cell[k] for k in ("graph", "where", "size", "method"))), None)
        of_full = [f"{100 * e['seconds'] / base['seconds']:.1f} %" if e and base else "" for e in (r, exact)]
        line = [cell["method"], str(cell["fanout"]), _share(r), f"{r['seconds']:.3f}", *of_full]
        line.append(f"{r['error']['outputs']:.4f} ({100 * r['error']['outputs_relative']:.1f} %)")
        lines.append(line + [f"{r[kind]['probability']:.4f}" for kind in ("error", "between_seeds", "change")])
    return lines


def draw(records: list[Record], folder: Path) -> None:
    """Time and memory of every cell over those of the full version, against the region's share of entries."""
    from figures import new_axes, save

    records = latest(records)
    full = [r for r in records if r["cell"]["scope"] == "full"]
    shown = [r for r in records if r["region_share"] and full_of(full, r["cell"]) is not None and r["cell"]["scope"] == "region"]
    graphs = list(dict.fromkeys(r["cell"]["graph"] for r in shown))
    if not graphs:
        return
    for what, name, unit in (("seconds", "region_time.svg", "time"), ("extra_mb", "region_memory.svg", "extra memory")):
        figure, axes = new_axes("region's share of entries", f"{unit} / {unit} of the full version", len(graphs))
        for panel, graph in zip(axes, graphs, strict=True):
            _panel(panel, [r for r in shown if r["cell"]["graph"] == graph], full, what)
            panel.set_title(graph)
        save(figure, folder / name)


def _panel(panel: Any, shown: list[Record], full: list[Record], what: str) -> None:
    least = min(r["region_share"] for r in shown)
    shares = [least ** (1 - i / 50) for i in range(51)]
    for number, method in enumerate(dict.fromkeys(r["cell"]["method"] for r in shown)):
        mine = [(r, base) for r in shown if r["cell"]["method"] == method and (base := full_of(full, r["cell"])) is not None]
        for limited, mark in ((False, "o"), (True, "x")):
            points = [(r["region_share"], max(r[what], 1e-9) / b[what]) for r, b in mine if ("fanout" in r["cell"]) == limited]
            if points:
                label = f"{method}, fan-out" if limited else method
                panel.plot(*zip(*points, strict=True), linestyle="", marker=mark, color=f"C{number}", label=label, alpha=0.8)
        limits = [bound({"region_share": share}, mine[0][1], what) / mine[0][1][what] for share in shares]
        panel.plot(shares, limits, color=f"C{number}", linewidth=1, label=f"{method}, bound")
