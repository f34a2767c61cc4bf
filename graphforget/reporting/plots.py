"""Figures of a report: distance to gold by subset, score histograms, curves. matplotlib is imported when first used.

Roles differ by colour (Okabe and Ito's colour-blind safe palette) and by line style or hatch, never by colour alone.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from graphforget.exceptions import InputError
from graphforget.reporting.records import ReportData
from graphforget.reporting.table import SUBSET_NAMES, Model, aggregate, models, subsets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_figures", "png_bytes"]

Theme = Literal["light", "dark"]
_COLOURS = {"original": "#D55E00", "identity": "#E69F00", "unlink": "#56B4E9", "unlearned": "#0072B2", "gold": "#009E73"}
_DARK = {"unlearned": "#4AA3DF", "gold": "#2BC79A"}
_SPARE = ("#CC79A7", "#F0E442", "#999999")
_DASH = {"original": "--", "unlearned": "-", "gold": "-"}
_HATCH = {"original": "//", "identity": "..", "unlink": "xx", "unlearned": "", "gold": "\\\\"}


def _new_figure(theme: Theme, width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes], str]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("Figures need matplotlib: pip install matplotlib, or ask for the report with figures=False.") from error
    # A Figure with its own canvas: pyplot's global state and the caller's backend stay untouched.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0.0)
    ink = "#1b1f24" if theme == "light" else "#e6e8eb"
    axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    for ax in axes:
        ax.patch.set_alpha(0.0)
        ax.tick_params(colors=ink, labelsize=9)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            ax.spines[side].set_color(ink)
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_color(ink)
    return figure, axes, ink


def _colour(role: str, theme: Theme, position: int) -> str:
    fixed = (_DARK.get(role) if theme == "dark" else None) or _COLOURS.get(role)
    return fixed or _SPARE[position % len(_SPARE)]


def _legend(ax: Axes, ink: str, **options: Any) -> None:
    legend = ax.legend(frameon=False, fontsize=9, **options)
    for text in legend.get_texts():
        text.set_color(ink)


def _label(model: Model, every: list[Model]) -> str:
    same = [other for other in every if other.label == model.label]
    return f"{model.label} ({model.context} input)" if len(same) > 1 else model.label


def _distance_figure(report: ReportData, theme: Theme) -> Figure | None:
    rows = [row for row in report.rows if row.metric == "mean_abs_dp"]
    shown = [
        m
        for m in models(report)
        if m.role != "floor" and any((r.role, r.method, r.context) == (m.role, m.method, m.context) for r in rows)
    ]
    groups = [name for name in subsets(report) if any(row.subset == name for row in rows)]
    if not shown or not groups:
        return None
    figure, (ax,), ink = _new_figure(theme, 8.4, 3.2)
    width = 0.8 / len(shown)
    for position, model in enumerate(shown):
        # The same model on a second input: same colour, paler.
        again = model.role in {other.role for other in shown[:position] if other.label == model.label}
        cells = [
            aggregate(
                [r for r in rows if r.subset == g and (r.role, r.method, r.context) == (model.role, model.method, model.context)]
            )
            for g in groups
        ]
        places = [i - 0.4 + width * (position + 0.5) for i, cell in enumerate(cells) if cell]
        present = [cell for cell in cells if cell]
        ax.bar(
            places,
            [cell.value for cell in present],
            width * 0.9,
            label=_label(model, shown),
            color=_colour(model.role, theme, position),
            hatch=_HATCH.get(model.role, "++"),
            edgecolor="white" if theme == "light" else "#14171a",
            linewidth=0.6,
            alpha=0.5 if again else 1.0,
        )
        for place, cell in zip(places, present, strict=True):
            if cell.low is not None and cell.high is not None:
                ax.plot([place, place], [cell.low, cell.high], color=ink, linewidth=1.2)
    labelled = False
    for i, group in enumerate(groups):
        floor = aggregate([row for row in rows if row.role == "floor" and row.subset == group])
        if floor:
            ax.plot(
                [i - 0.45, i + 0.45],
                [floor.value] * 2,
                color=ink,
                linewidth=2,
                linestyle=(0, (4, 2)),
                label=None if labelled else "noise floor (gold to gold)",
            )
            labelled = True
    ax.set_xticks(
        range(len(groups)),
        [SUBSET_NAMES.get(group, group).replace(" elements", "").replace(" (", "\n(") for group in groups],
        fontsize=9,
    )
    ax.set_ylabel("mean |Δp| to gold", fontsize=9)
    ax.set_ylim(bottom=0)
    _legend(ax, ink, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _histogram_figure(report: ReportData, theme: Theme) -> Figure | None:
    panels = {subset: roles for subset, roles in report.histograms.items() if any(role != "edges" for role in roles)}
    if not panels:
        return None
    figure, axes, ink = _new_figure(theme, max(4.6, 3.6 * len(panels)), 3.0, len(panels))
    for ax, (subset, roles) in zip(axes, panels.items(), strict=True):
        # Gold first, filled: it is the shape to match; the others are outlines over it.
        for position, role in enumerate(sorted((r for r in roles if r != "edges"), key=lambda r: (r != "gold", r != "original"))):
            counts = roles[role]
            edges = roles.get("edges") or [i / len(counts) for i in range(len(counts) + 1)]
            if len(edges) != len(counts) + 1:
                raise InputError(
                    f"Histogram {subset!r}/{role!r} has {len(counts)} bins but {len(edges)} edges; give one edge more than bins."
                )
            total = sum(counts) or 1.0
            ax.stairs(
                [count / total for count in counts],
                edges,
                label=role,
                color=_colour(role, theme, position),
                fill=role == "gold",
                alpha=0.35 if role == "gold" else 1.0,
                linewidth=2,
                linestyle=_DASH.get(role, ":"),
            )
        ax.set_title(SUBSET_NAMES.get(subset, subset), fontsize=10)
        ax.set_xlabel("predicted probability", fontsize=9)
        ax.set_ylim(bottom=0)
    axes[0].set_ylabel("share of elements", fontsize=9)
    _legend(axes[-1], ink, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _curve_figure(report: ReportData, theme: Theme) -> Figure | None:
    curves = {name: values for name, values in report.curves.items() if values}
    if not curves:
        return None
    figure, (ax,), ink = _new_figure(theme, 7.6, 3.0)
    palette = [_colour(role, theme, 0) for role in ("unlearned", "original", "gold", "unlink")] + list(_SPARE)
    for position, (name, values) in enumerate(curves.items()):
        pairs = [value if isinstance(value, list | tuple) else (i, value) for i, value in enumerate(values)]
        ax.plot(
            [x for x, _ in pairs],
            [y for _, y in pairs],
            label=name,
            color=palette[position % len(palette)],
            linestyle=("-", "--", "-.", ":")[position % 4],
            linewidth=1.8,
        )
    ax.set_xlabel("step", fontsize=9)
    _legend(ax, ink, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def draw_figures(report: ReportData, *, theme: Theme = "light") -> dict[str, Figure]:
    """Figures for which the report has data: ``distance_to_gold``, ``score_histograms``, ``curves``.

    Args:
        theme: Colour of axes and text; the background is transparent.

    Raises:
        InputError: If matplotlib is missing or a histogram's edges do not fit its counts.
    """
    if theme not in ("light", "dark"):
        raise InputError(f"theme must be light or dark, got {theme!r}.")
    drawn = {
        "distance_to_gold": _distance_figure(report, theme),
        "score_histograms": _histogram_figure(report, theme),
        "curves": _curve_figure(report, theme),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def png_bytes(figure: Figure, *, transparent: bool = False) -> bytes:
    """The figure as PNG, on white unless transparent."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"transparent": True} if transparent else {"facecolor": "white"}
    # No software tag: equal reports give equal bytes.
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None}, **options)
    return buffer.getvalue()
