"""Log-log figures, the same bytes for the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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
