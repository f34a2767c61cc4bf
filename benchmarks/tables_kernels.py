"""Tables and figures of the kernels' benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markdown_table import latest, markdown, origin

Record = dict[str, Any]
_OPS = {
    "attention": "attention, {heads} heads x {width}",
    "spmm_max": "max of neighbours, d = {width}",
    "spmm_min": "min of neighbours, d = {width}",
    "bpr_loss": "BPR loss of {triples:,} triples, d = {width}",
}


def tables(records: list[Record]) -> dict[str, str]:
    """Markdown by part; a part without records is left out."""
    by_op: dict[str, list[Record]] = {}
    for record in latest(records):
        by_op.setdefault(record["cell"]["op"], []).append(record)
    parts = {}
    if "spmm" in by_op:
        parts["spmm"] = markdown(_spmm(by_op["spmm"]))
        parts["roofline"] = (
            markdown(_roofline(by_op["spmm"]))
            + "\n\n![Seconds of a forward and backward against width](FIGURES/kernels_roofline.svg)"
        )
    if any(op in by_op for op in _OPS):
        parts["operations"] = markdown(_operations([r for op in _OPS for r in by_op.get(op, [])]))
    for op, lines in {"reorder": _reorder, "spmm_rows": _rows, "masked_spmm": _masked, "edit": _edit}.items():
        if op in by_op:
            parts[op] = markdown(lines(by_op[op]))
    one = next((r for r in records if "graph" not in r["cell"]), records[0])
    parts["origin"] = (
        f"{one['nodes']:,} nodes, {one['entries']:,} entries with self-loops; medians of {one['repeats']} interleaved repeats. "
        + origin(records)
    )
    return parts


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}" if seconds >= 1e-3 else f"{seconds * 1e3:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _spmm(records: list[Record]) -> list[list[str]]:
    head = [f"{what}, d = {r['cell']['width']}" for r in records for what in ("ms", "speed-up", "extra MB")]
    lines = [["path", *head]]
    for path in records[0]["median_seconds"]:
        line = [f"**{path}**" if path == "graphforget" else path]
        for r in records:
            line += [_ms(r["median_seconds"][path]), f"{r['ratio'][path]:.1f}x", f"{r['extra_mb'][path]:,.0f}"]
        lines.append(line)
    return lines


def _roofline(records: list[Record]) -> list[list[str]]:
    lines = [
        [
            "d",
            "graphforget, ms",
            "copy, GB/s",
            "every entry read: GB",
            "of copy bandwidth",
            "perfect reuse: GB",
            "of copy bandwidth",
        ]
    ]
    for r in records:
        seconds = r["median_seconds"]["graphforget"]
        line = [str(r["cell"]["width"]), _ms(seconds), f"{r['copy_gb_per_s']:.1f}"]
        for bound in ("gather", "compulsory"):
            moved = r["bytes"][bound] / 1e9
            line += [f"{moved:.2f}", _percent(moved / seconds / r["copy_gb_per_s"])]
        lines.append(line)
    return lines


def _operations(records: list[Record]) -> list[list[str]]:
    lines = [["operation, forward and backward", "path", "ms", "speed-up", "extra MB"]]
    for r in records:
        for path, seconds in r["median_seconds"].items():
            name = _OPS[r["cell"]["op"]].format(**r["cell"])
            lines.append([name, path, _ms(seconds), f"{r['ratio'][path]:.1f}x", f"{r['extra_mb'][path]:,.0f}"])
    return lines


def _reorder(records: list[Record]) -> list[list[str]]:
    came, *found = records[0]["median_seconds"]
    head = [f"{o}, {what}" for o in found for what in ("ms", "speed-up", "s to find")]
    lines = [["graph", "d", f"{came}, ms", *head]]
    for r in records:
        seconds = r["median_seconds"]
        line = [r["cell"].get("graph", "power law").replace("_", " "), str(r["cell"]["width"]), _ms(seconds[came])]
        for o in found:
            line += [_ms(seconds[o]), f"{seconds[came] / seconds[o]:.2f}x", f"{r['once_seconds'][o]:.2f}"]
        lines.append(line)
    return lines


def _rows(records: list[Record]) -> list[list[str]]:
    lines = [["share of rows", "share of entries", "ms", "of the whole product"]]
    (r,) = records[-1:]
    whole = r["median_seconds"]["spmm"]
    for share, entries in r["entry_share"].items():
        seconds = r["median_seconds"][share]
        lines.append([f"{100 * float(share):g} %", _percent(entries), _ms(seconds), _percent(seconds / whole)])
    return [*lines, ["", f"The whole product: {_ms(whole)} ms, d = {r['cell']['width']}"]]


def _masked(records: list[Record]) -> list[list[str]]:
    lines = [["share of entries kept", "ms", "of the whole product"]]
    (r,) = records[-1:]
    whole = r["median_seconds"]["spmm"]
    for share, seconds in r["median_seconds"].items():
        if share != "spmm":
            lines.append([f"{100 * float(share):g} %", _ms(seconds), _percent(seconds / whole)])
    return [*lines, ["", f"The whole product: {_ms(whole)} ms, d = {r['cell']['width']}"]]


def _edit(records: list[Record]) -> list[list[str]]:
    lines = [["edges dropped", "then", "edit, ms", "fresh build, ms", "ratio"]]
    for r in records:
        for what, then in (("rows of the ends read", "rows of their ends read"), ("normalised", "normalised and transposed")):
            edit, fresh = (r["median_seconds"][f"{how}, {what}"] for how in ("edit", "build"))
            lines.append([f"{r['cell']['size']:,}", then, _ms(edit), _ms(fresh), f"{fresh / edit:,.1f}x"])
    return lines


def draw(records: list[Record], folder: Path) -> None:
    """Milliseconds against width, with the two bounds at copy bandwidth."""
    from figures import new_axes, save

    spmm = sorted((r for r in latest(records) if r["cell"]["op"] == "spmm"), key=lambda r: r["cell"]["width"])
    if not spmm:
        return
    widths = [r["cell"]["width"] for r in spmm]
    figure, (axes,) = new_axes("columns of x", "ms, forward and backward")
    for path in spmm[0]["median_seconds"]:
        strong = path == "graphforget"
        values = [r["median_seconds"][path] * 1e3 for r in spmm]
        axes.plot(widths, values, marker="o", linewidth=2.5 if strong else 1, zorder=3 if strong else 2, label=path)
    for bound, style, text in (
        ("gather", "--", "bound: a row read for every entry"),
        ("compulsory", ":", "bound: every row read once"),
    ):
        values = [r["bytes"][bound] / r["copy_gb_per_s"] / 1e6 for r in spmm]
        axes.plot(widths, values, color="black", linestyle=style, linewidth=1, label=text)
    axes.set_xticks(widths, [str(w) for w in widths])
    axes.minorticks_off()
    save(figure, folder / "kernels_roofline.svg")
