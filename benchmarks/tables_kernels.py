"""Tables of the kernels' benchmark, and its figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import new_axes, save
from tables import FIGURES, latest, origin, pivot, rows

Record = dict[str, Any]
_OPS = {
    "attention": "attention, {heads} heads x {width}",
    "spmm_max": "max of neighbours, d = {width}",
    "spmm_min": "min of neighbours, d = {width}",
    "bpr_loss": "BPR loss of {triples:,} triples, d = {width}",
}


def parts(records: list[Record]) -> dict[str, str]:
    """Markdown by part; a part without records is left out."""
    of: dict[str, list[Record]] = {}
    for record in latest(records):
        of.setdefault("operations" if record["cell"]["op"] in _OPS else record["cell"]["op"], []).append(record)
    lines = {op: [line for r in some for line in _lines(r)] for op, some in of.items()}
    compared = sorted(lines.get("operations", []), key=lambda line: [*_OPS].index(line.pop("op")))
    found = {"operations": rows({key: line[key] for key in line if key not in ("d", "graph")} for line in compared)}
    if "spmm" in of:
        found["spmm"] = pivot(lines["spmm"], ["path"], "d", ["ms", "speed-up", "extra MB"], "{1}, d = {0}")
        image = f"![Seconds of a forward and backward against width]({FIGURES}/kernels_roofline.svg)"
        found["roofline"] = f"{rows(map(_roofline, of['spmm']))}\n\n{image}"
    if "reorder" in of:
        orders = ["ms", "speed-up", "s to find"]
        found["reorder"] = pivot(lines["reorder"], ["graph", "d", "as it came, ms"], "path", orders, "{0}, {1}")
    for op, share in (("spmm_rows", "share of rows"), ("masked_spmm", "share of entries kept")):
        if op in of:
            last = of[op][-1]
            shares = [{share: f"{100 * float(p):g} %", **_of_whole(last, p)} for p in last["median_seconds"] if p != "spmm"]
            whole = f"The whole product: {_ms(last['median_seconds']['spmm'])} ms, d = {last['cell']['width']}."
            found[op] = f"{rows(shares)}\n\n{whole}"
    if "edit" in of:
        found["edit"] = rows(line for r in of["edit"] for line in _edit(r))
    one = next((r for r in records if "graph" not in r["cell"]), records[0])
    size = f"{one['nodes']:,} nodes, {one['entries']:,} entries with self-loops; medians of {one['repeats']} interleaved repeats."
    return {name: text for name, text in found.items() if text} | {"origin": f"{size} {origin(records)}"}


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}" if seconds >= 1e-3 else f"{seconds * 1e3:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _lines(r: Record) -> Iterator[Record]:
    """A line per path of a cell; of an order of nodes beside the order as it came."""
    cell, seconds = r["cell"], r["median_seconds"]
    for path, taken in seconds.items():
        line = {
            "path": f"**{path}**" if path == "graphforget" and cell["op"] == "spmm" else path,
            "d": str(cell.get("width", "")),
        }
        if cell["op"] in _OPS:
            line = {"op": cell["op"], "operation, forward and backward": _OPS[cell["op"]].format(**cell), **line}
        line |= {"graph": cell.get("graph", "power law").replace("_", " "), "ms": _ms(taken)}
        if "once_seconds" in r and path in r["once_seconds"]:
            came = seconds["as it came"]
            line |= {
                "as it came, ms": _ms(came),
                "speed-up": f"{came / taken:.2f}x",
                "s to find": f"{r['once_seconds'][path]:.2f}",
            }
        elif "ratio" in r:
            line |= {"speed-up": f"{r['ratio'][path]:.1f}x", "extra MB": f"{r['extra_mb'][path]:,.0f}"}
        if "once_seconds" not in r or path in r["once_seconds"]:
            yield line


def _roofline(r: Record) -> Record:
    seconds, copy = r["median_seconds"]["graphforget"], r["copy_gb_per_s"]
    line = {"d": str(r["cell"]["width"]), "graphforget, ms": _ms(seconds), "copy, GB/s": f"{copy:.1f}"}
    for bound, what in (("gather", "every entry read"), ("compulsory", "perfect reuse")):
        moved = r["bytes"][bound] / 1e9
        line |= {f"{what}: GB": f"{moved:.2f}", f"{what}: of copy bandwidth": _percent(moved / seconds / copy)}
    return line


def _of_whole(r: Record, share: str) -> Record:
    entries = {"share of entries": _percent(r["entry_share"][share])} if "entry_share" in r else {}
    seconds = r["median_seconds"]
    return entries | {"ms": _ms(seconds[share]), "of the whole product": _percent(seconds[share] / seconds["spmm"])}


def _edit(r: Record) -> Iterator[Record]:
    for what, then in (("rows of the ends read", "rows of their ends read"), ("normalised", "normalised and transposed")):
        edit, fresh = (r["median_seconds"][f"{how}, {what}"] for how in ("edit", "build"))
        line = {"edges dropped": f"{r['cell']['size']:,}", "then": then, "edit, ms": _ms(edit), "fresh build, ms": _ms(fresh)}
        yield line | {"ratio": f"{fresh / edit:,.1f}x"}


def draw(records: list[Record], folder: Path) -> None:
    """Milliseconds against width, with the two bounds at copy bandwidth."""
    spmm = sorted((r for r in latest(records) if r["cell"]["op"] == "spmm"), key=lambda r: r["cell"]["width"])
    if not spmm:
        return
    widths = [r["cell"]["width"] for r in spmm]
    figure, (axes,) = new_axes("columns of x", "ms, forward and backward")
    for path in spmm[0]["median_seconds"]:
        strong = path == "graphforget"
        values = [r["median_seconds"][path] * 1e3 for r in spmm]
        axes.plot(widths, values, marker="o", linewidth=2.5 if strong else 1, zorder=3 if strong else 2, label=path)
    bounds = {"gather": ("--", "bound: a row read for every entry"), "compulsory": (":", "bound: every row read once")}
    for bound, (style, text) in bounds.items():
        values = [r["bytes"][bound] / r["copy_gb_per_s"] / 1e6 for r in spmm]
        axes.plot(widths, values, color="black", linestyle=style, linewidth=1, label=text)
    axes.set_xticks(widths, [str(w) for w in widths])
    axes.minorticks_off()
    save(figure, folder / "kernels_roofline.svg")
