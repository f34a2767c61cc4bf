"""Tables and figures of region scaling: what a deletion costs, and the bound that its region's share of the graph sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from figures import new_axes, save
from tables import FIGURES, latest, origin, pivot, rows

Record = dict[str, Any]
Judged = list[tuple[Record, Record]]  # a regional version and the full one that stands beside it
SHARE = "region's share of entries"
FACTOR, SECONDS, MEGABYTES = 1.2, 0.02, 20.0  # bound = FACTOR x share x full + one of the allowances


def parts(records: list[Record]) -> dict[str, str]:
    """Markdown by part; a part without records is left out."""
    records = latest(records)
    full = [r for r in records if r["cell"]["scope"] == "full"]
    judged = [(r, base) for r in records if r["cell"]["scope"] == "region" and (base := full_of(full, r["cell"])) is not None]
    exact = [(r, base) for r, base in judged if "fanout" not in r["cell"]]
    limited = [_fanout(r, base, exact) for r, base in judged if "fanout" in r["cell"]]
    found = {"full": rows(map(_full, full)), "fanout": rows(limited)}
    graphs: dict[str, dict[str, Judged]] = {}
    for r, base in exact:
        graphs.setdefault(r["cell"]["graph"], {}).setdefault(r["cell"]["method"], []).append((r, base))
    found["summary"] = rows(_summary(graph, method, mine) for graph, of in graphs.items() for method, mine in of.items())
    for graph, of in graphs.items():
        for what, name, unit in (("seconds", "time", "seconds"), ("extra_mb", "memory", "extra MB")):
            lines = [_judged(r, base, what) | {SHARE: _read(of, r)} for mine in of.values() for r, base in mine]
            table = pivot(lines, ["edges", SHARE], "method", [what])
            found[f"{graph} {name}"] = f"**{graph}, {unit} (bound)**\n\n{table}"
    if graphs:
        images = {"Time": "time", "Memory": "memory"}
        found["figures"] = "\n\n".join(
            f"![{what} against the region's share]({FIGURES}/region_{name}.svg)" for what, name in images.items()
        )
    sizes = {r["cell"]["graph"]: f"{r['cell']['graph']}: {r['nodes']:,} nodes, {r['entries']:,} entries" for r in records}
    return {name: text for name, text in found.items() if text} | {"origin": f"{'; '.join(sizes.values())}. {origin(records)}"}


def full_of(full: list[Record], cell: Record) -> Record | None:
    """The full version that stands for a cell: same graph and method, the nearest number of edges."""
    same = [r for r in full if (r["cell"]["graph"], r["cell"]["method"]) == (cell["graph"], cell["method"])]
    return min(same, key=lambda r: abs(r["cell"]["size"] - cell["size"]), default=None)


def bound(record: Record, base: Record, what: str) -> float:
    """``1.2 x share x full`` and a constant: 20 ms, or 20 MB."""
    share = 1.0 if record["region_share"] is None else record["region_share"]
    return float(FACTOR * share * base[what] + (SECONDS if what == "seconds" else MEGABYTES))


def _full(r: Record) -> Record:
    line = {"graph": r["cell"]["graph"], "method": r["cell"]["method"], "edges": f"{r['cell']['size']:,}"}
    return line | {"s": f"{r['seconds']:.2f}", "CPU s": f"{r['cpu_seconds']:.2f}", "extra MB": f"{r['extra_mb']:,.0f}"}


def _summary(graph: str, method: str, mine: Judged) -> Record:
    line = {"graph": graph, "method": method, "cells": str(len(mine))}
    for what, name in (("seconds", "time in bound"), ("extra_mb", "memory in bound")):
        line[name] = str(sum(r[what] <= bound(r, base, what) for r, base in mine))
    ten = next(((r, base) for r, base in mine if (r["cell"]["where"], r["cell"]["size"]) == ("random", 10)), None)
    line |= {"10 random edges: share of entries": _share(ten[0]) if ten else ""}
    return line | {"of full time": f"{100 * ten[0]['seconds'] / ten[1]['seconds']:.2f} %" if ten else ""}


def _share(record: Record) -> str:
    return "" if record["region_share"] is None else f"{100 * record['region_share']:.3g} %"


def _judged(r: Record, base: Record, what: str) -> Record:
    """A request's figure and its bound, in bold where it is above."""
    limit, form = bound(r, base, what), ",.3f" if what == "seconds" else ",.0f"
    text = f"{r[what]:{form}} ({limit:{form}})"
    line = {"edges": f"{r['cell']['size']:,} {r['cell']['where']}", "method": r["cell"]["method"]}
    return line | {what: text if r[what] <= limit else f"**{text}**"}


def _read(of: dict[str, Judged], r: Record) -> str:
    """The share of a request's region, from the method that reads least to the one that reads most."""
    same = [one for mine in of.values() for one, _ in mine if all(one["cell"][k] == r["cell"][k] for k in ("where", "size"))]
    ordered = sorted((one for one in same if one["region_share"] is not None), key=lambda one: one["region_share"])
    return " to ".join(dict.fromkeys(_share(one) for one in (ordered[0], ordered[-1])))


def _fanout(r: Record, base: Record, exact: Judged) -> Record:
    cell = {key: value for key, value in r["cell"].items() if key != "fanout"}
    line = {"method": cell["method"], "fan-out": str(r["cell"]["fanout"]), "share of entries": _share(r)}
    line |= {"s": f"{r['seconds']:.3f}"}
    line["of full time"] = f"{100 * r['seconds'] / base['seconds']:.1f} %"
    whole = next((f"{100 * e['seconds'] / base['seconds']:.1f} %" for e, _ in exact if e["cell"] == cell), "")
    line |= {"all neighbours: of full time": whole}
    line["error of outputs"] = f"{r['error']['outputs']:.4f} ({100 * r['error']['outputs_relative']:.1f} %)"
    kinds = {"error of probabilities": "error", "another seed": "between_seeds", "the deletion's own change": "change"}
    return line | {heading: f"{r[kind]['probability']:.4f}" for heading, kind in kinds.items()}


def draw(records: list[Record], folder: Path) -> None:
    """Time and memory of every cell over those of the full version, against the region's share of entries."""
    records = latest(records)
    full = [r for r in records if r["cell"]["scope"] == "full"]
    shown = [r for r in records if r["region_share"] and full_of(full, r["cell"]) is not None and r["cell"]["scope"] == "region"]
    graphs = list(dict.fromkeys(r["cell"]["graph"] for r in shown))
    for what, name, unit in (("seconds", "region_time.svg", "time"), ("extra_mb", "region_memory.svg", "extra memory")):
        if graphs:
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
