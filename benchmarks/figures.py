"""Log-log figures of kernels and regions, the same bytes for the same results, and the bound that regions are held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Record = dict[str, Any]
FACTOR, SECONDS, MEGABYTES = 1.2, 0.02, 20.0  # bound = FACTOR x share x full + one of the allowances


def new_axes(x: str, y: str, columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure with log-log axes side by side, which share y."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "graphforget"
    size = (6.4, 4.4) if columns == 1 else (4.4 * columns, 4.4)
    figure, axes = pyplot.subplots(1, columns, figsize=size, squeeze=False, sharey=True, layout="constrained")
    for one in axes[0]:
        one.set(xscale="log", yscale="log", xlabel=x)
        one.grid(visible=True, which="major", alpha=0.3)
    axes[0, 0].set_ylabel(y)
    return figure, list(axes[0])


def save(figure: Any, path: Path) -> None:
    """Write the figure as SVG, with one legend for all of its axes and without a date."""
    from matplotlib import pyplot

    named = {text: handle for axes in figure.axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), fontsize=8, loc="outside right center", frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def latest(records: list[Record]) -> list[Record]:
    """The last record of every cell, in the order in which the cells first appeared."""
    return list({repr(sorted(r["cell"].items())): r for r in records}.values())


def full_version(full: list[Record], cell: Record) -> Record | None:
    """The full version that stands beside a region's: same graph and method, the nearest number of edges."""
    same = [r for r in full if (r["cell"]["graph"], r["cell"]["method"]) == (cell["graph"], cell["method"])]
    return min(same, key=lambda r: abs(r["cell"]["size"] - cell["size"]), default=None)


def region_bound(record: Record, base: Record, what: str) -> float:
    """``1.2 x (region's share of entries) x full`` and a constant: 20 ms, or 20 MB."""
    share = 1.0 if record["region_share"] is None else record["region_share"]
    return float(FACTOR * share * base[what] + (SECONDS if what == "seconds" else MEGABYTES))


def draw_kernels(records: list[Record], folder: Path) -> None:
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


def draw_region(records: list[Record], folder: Path) -> None:
    """Time and memory of every cell over those of the full version, against the region's share of entries."""
    records = latest(records)
    full = [r for r in records if r["cell"]["scope"] == "full"]
    shown = [
        r for r in records if r["region_share"] and full_version(full, r["cell"]) is not None and r["cell"]["scope"] == "region"
    ]
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
        mine = [(r, base) for r in shown if r["cell"]["method"] == method and (base := full_version(full, r["cell"])) is not None]
        for limited, mark in ((False, "o"), (True, "x")):
            points = [(r["region_share"], max(r[what], 1e-9) / b[what]) for r, b in mine if ("fanout" in r["cell"]) == limited]
            if points:
                label = f"{method}, fan-out" if limited else method
                panel.plot(*zip(*points, strict=True), linestyle="", marker=mark, color=f"C{number}", label=label, alpha=0.8)
        limits = [region_bound({"region_share": share}, mine[0][1], what) / mine[0][1][what] for share in shares]
        panel.plot(shares, limits, color=f"C{number}", linewidth=1, label=f"{method}, bound")
