"""Which method comes nearest to gold over a whole grid: mean ranks with Nemenyi's critical difference, and their figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphforget.exceptions import InputError
from graphforget.sweeps.frames import QUESTION, VERDICTS, by_cell, scores
from graphforget.sweeps.records import Record

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


def mean_ranks(records: Sequence[Record], rank_by: Sequence[str] | None = None) -> pandas.DataFrame:
    """Ranks within cells (1 is nearest to gold), averaged over cells.

    Only methods with a figure in every cell are ranked: a mean over other cells would compare unlike with unlike. Two of them
    differ when their mean ranks are further apart than the critical difference (Nemenyi's test at 5 %, Demsar 2006, with
    questions as its blocks: seeds of one question are no independent data sets; with a single question, its seeds).

    Args:
        records: From :func:`~graphforget.sweeps.records.read_records` or a :class:`~graphforget.sweeps.run.Sweep`.
        rank_by: Figures to rank by, see :class:`~graphforget.sweeps.config.SweepConfig`.

    Returns:
        A row per method, best first: ``mean rank`` and ``critical difference`` (NaN for methods that are not ranked),
        ``median score`` (what was ranked), ``cost`` (median, over a gold's), the verdicts' counts, ``refused``, ``failed``,
        ``cells`` and ``of`` (all cells).
    """
    import pandas

    table = scores(records, rank_by)
    costs = by_cell(records, []).query("role == 'unlearned'").groupby("label")["cost"].median()
    complete = [label for label in table.columns if table[label].notna().all()]
    ranks = table[complete].rank(axis=1)
    blocks = ranks.groupby(list(QUESTION)).ngroups
    difference = critical_difference(len(complete), blocks if blocks > 1 else len(ranks))
    # Cells may be unevenly spread over questions; a question counts once.
    means = ranks.groupby(list(QUESTION)).mean().mean()
    rows = []
    for label in dict.fromkeys(r["label"] for r in records if r["role"] in ("unlearned", "refused", "failed")):
        mine = [r for r in records if r["label"] == label and r["role"] in ("unlearned", "refused", "failed")]
        known = table[label] if label in table else pandas.Series([math.nan] * len(table), dtype=float)
        row = {"method": label, "mean rank": means.get(label, math.nan)}
        row |= {"critical difference": difference if label in complete else math.nan}
        row |= {"median score": float(known.median()), "cost": float(costs.get(label, math.nan))}
        row |= {verdict: sum(r.get("verdict") == verdict for r in mine) for verdict in VERDICTS}
        row |= {role: sum(r["role"] == role for r in mine) for role in ("refused", "failed")}
        rows.append(row | {"cells": int(known.notna().sum()), "of": len(table)})
    names = ["method", "mean rank", "critical difference", "median score", "cost", *VERDICTS, "refused", "failed", "cells", "of"]
    return pandas.DataFrame(rows, columns=names).sort_values(["mean rank", "median score", "method"]).reset_index(drop=True)


def critical_difference(methods: int, blocks: int) -> float:
    """Nemenyi's critical difference of mean ranks at 5 %: ``q sqrt(k (k + 1) / (6 N))``, q from the studentised range.

    Args:
        methods: k.
        blocks: N.

    Example:
        >>> round(critical_difference(4, 14), 2)  # Demsar 2006, section 3.2.2, without its rounding
        1.25
    """
    if methods < 2 or blocks < 2:
        return math.nan
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(0.95, methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))


def rank_figure(ranks: pandas.DataFrame) -> Figure | None:
    """Mean ranks, best on top, with bars of half the critical difference to each side; None where fewer than two are ranked.

    Methods whose bars do not overlap differ.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise InputError("figures need matplotlib: pip install 'graphforget[plots]'.") from error
    shown = ranks[ranks["mean rank"].notna()]
    if len(shown) < 2:
        return None
    figure = Figure(figsize=(7.0, 1.3 + 0.32 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(shown))
    half = shown["critical difference"].iloc[0] / 2
    counts = [" / ".join(str(int(row[verdict])) for verdict in VERDICTS) for _, row in shown.iterrows()]
    reference = shown["method"].isin(["identity", "unlink", "retrain"])
    for place, value, control in zip(places, shown["mean rank"], reference, strict=True):
        colour = "#6b7280" if control else "#0072B2"
        if not math.isnan(half):
            axes.plot(
                [value - half, value + half], [place, place], color=colour, linewidth=2.4, alpha=0.45, solid_capstyle="butt"
            )
        axes.plot(value, place, "s" if control else "o", color=colour, markersize=6)
    axes.set_yticks(list(places), list(shown["method"]))
    for text, control in zip(axes.get_yticklabels(), reference, strict=True):
        text.set_fontstyle("italic" if control else "normal")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0.5, len(shown) + 0.5)  # a mean rank is between 1 and the number of methods, whatever a bar spans
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    cells = int(shown["of"].iloc[0])
    axes.set_xlabel(
        f"mean rank over {cells} cells (1 is nearest to gold)"
        + ("" if math.isnan(half) else f"\nbars that do not overlap differ (critical difference {2 * half:.2f})"),
        fontsize=9,
    )
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    right.set_title(" / ".join(VERDICTS), loc="right", fontsize=8, color="#4b5563")
    right.set_yticks(list(places), counts)
    right.tick_params(axis="y", length=0, labelsize=8, labelcolor="#4b5563")
    for side in ("top", "right", "left"):
        right.spines[side].set_visible(False)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure, the same bytes for the same figures; the ending of ``path`` says in which form."""
    from matplotlib import rc_context

    from graphforget.home import replacing

    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "graphforget"}), replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)
    return path
