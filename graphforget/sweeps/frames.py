"""From records to numbers: figures as one long table, and one table per question with intervals over seeds.

A question is data, a model and a request. Within a cell golds are averaged first; means, intervals and multiples of the floor are
then over the cells of a question, which differ by seed only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphforget.evaluation.verdict import EXACT
from graphforget.sweeps.records import Record

if TYPE_CHECKING:
    import pandas

QUESTION = ("data", "model", "request")
# Headings of the default columns; a figure that no model has is left out. The task's own utility stands before them.
COLUMNS = {
    "dp deleted": "mean_abs_dp/deleted",
    "dp retained": "mean_abs_dp/retained",
    "dp test": "mean_abs_dp/test",
    "signed": "signed_dp/deleted",
    "MIA AUC": "mia_auc/deleted",
    "gap, held out": "gap_same_item_auc/deleted",
    "gap, matched": "gap_same_item_auc_matched/deleted",
    "gap, held out (users)": "gap_same_user_auc/deleted",
    "gap, matched (users)": "gap_same_user_auc_matched/deleted",
}
CPU = "cpu_seconds/all"
RANK_BY = ("mean_abs_dp/deleted", "mean_abs_dp/retained", "mean_abs_dp/test")
VERDICTS = ("sufficient", "inconclusive", "insufficient")
_ROLES = ("original", "unlink", "unlearned", "gold", "floor")


def question(record: Record) -> tuple[str, str, str]:
    """The data, model and request of a record."""
    return record["cell"]["data"], record["cell"]["model"], record["cell"]["request"]


def questions(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by question, in the order in which questions appear."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(", ".join(question(record)), []).append(record)
    return found


def long_frame(records: Sequence[Record]) -> pandas.DataFrame:
    """A row per cell, model and figure: data, model, request, seed, role, label, model_seed, figure, value."""
    import pandas

    rows = [
        {**record["cell"], "role": record["role"], "label": record["label"], "model_seed": record.get("model_seed")}
        | {"figure": figure, "value": math.nan if value is None else value}
        for record in records
        for figure, value in record.get("figures", {}).items()
    ]
    return pandas.DataFrame(rows, columns=[*QUESTION, "seed", "role", "label", "model_seed", "figure", "value"])


def by_cell(records: Sequence[Record], figures: Sequence[str]) -> pandas.DataFrame:
    """Some figures as columns, a row per cell and line of the table (role, label); golds of a cell are averaged.

    Besides: ``cost``, processor seconds over those of a gold.
    """
    import pandas

    rows = []
    for record in records:
        known = record.get("figures", {})
        row = {**record["cell"], "role": record["role"], "label": record["label"]}
        row |= {figure: math.nan if known.get(figure) is None else known[figure] for figure in (*figures, CPU)}
        gold = record.get("gold_cpu_seconds")
        rows.append(row | {"cost": row[CPU] / gold if gold and record["role"] == "unlearned" else math.nan})
    frame = pandas.DataFrame(rows, columns=[*QUESTION, "seed", "role", "label", *dict.fromkeys((*figures, CPU)), "cost"])
    return frame.groupby([*QUESTION, "seed", "role", "label"], sort=False).mean().reset_index()


def multiples(cells: pandas.DataFrame, figures: Sequence[str]) -> pandas.DataFrame:
    """The figures as multiples of the floor of the same cell; NaN where golds agree exactly or the floor has no such figure."""
    floors = cells[cells.role == "floor"].set_index([*QUESTION, "seed"])[list(figures)]
    own = cells.set_index([*QUESTION, "seed"])[list(figures)]
    floor = floors.reindex(own.index)
    return (own / floor.where(floor > EXACT)).set_axis(cells.index)


def scores(records: Sequence[Record], rank_by: Sequence[str] | None = None) -> pandas.DataFrame:
    """What methods are ranked by: the largest of the figures' sizes, as multiples of the floor where it has them.

    Returns:
        A row per cell (data, model, request, seed), a column per method; NaN where a method has no record.
    """
    figures = list(rank_by or RANK_BY)
    cells = by_cell(records, figures)
    size = multiples(cells, figures).fillna(cells[figures]).abs()
    return cells.assign(score=size.max(axis=1))[cells.role == "unlearned"].pivot_table(
        index=[*QUESTION, "seed"], columns="label", values="score", sort=False
    )


def half_width(values: pandas.Series) -> float:
    """Half of the 95 % interval of a mean over seeds (Student's t); NaN for a single one."""
    from scipy import stats

    known = values.dropna()
    if len(known) < 2:
        return math.nan
    return float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))


def utility_of(records: Sequence[Record]) -> dict[str, str]:
    """The task's first figure on test data, which originals report first: ``{heading: figure}``."""
    for record in records:
        for figure in record.get("figures", {}):
            metric, _, subset = figure.partition("/")
            if record["role"] == "original" and subset == "test":
                return {metric.replace("roc_auc", "AUC").replace("_", " "): figure}
    return {}


def question_tables(
    records: Sequence[Record], columns: dict[str, str] | None = None, rank_by: Sequence[str] | None = None
) -> dict[str, pandas.DataFrame]:
    """Per question a table with a row per model, methods nearest to gold first.

    Columns: ``role``, ``label``; per heading its mean, ``low`` and ``high`` (95 % interval over seeds) and, for distances,
    ``of floor``; ``cost`` (processor seconds over a gold's), ``prepared`` (the same for what is done once before any request),
    ``seeds``, the verdicts' counts, ``refused`` and ``failed``.
    """
    return {
        title: _table(group, columns or {**utility_of(group), **COLUMNS, "CPU s": CPU}, rank_by)
        for title, group in questions(records).items()
    }


def _table(group: list[Record], columns: dict[str, str], rank_by: Sequence[str] | None) -> pandas.DataFrame:
    import pandas

    cells = by_cell(group, list(columns.values()))
    columns = {heading: figure for heading, figure in columns.items() if cells[figure].notna().any()}
    times = multiples(cells, list(columns.values()))
    score = scores(group, rank_by).mean()
    labels = {r["label"] for r in group if r["role"] == "unlearned"}
    lines = dict.fromkeys((r["role"] if r["role"] in _ROLES else "unlearned", r["label"]) for r in group)
    hidden = {("original", "original"): "identity", ("unlink", "unlink"): "unlink"}  # the same model under a method's name
    order = sorted(
        (line for line in lines if hidden.get(line) not in labels),
        key=lambda line: (_ROLES.index(line[0]), score.get(line[1], math.inf) if line[0] == "unlearned" else 0, line[1]),
    )
    rows = []
    for role, label in order:
        mine = cells[(cells.role == role) & (cells.label == label)]
        row: dict[str, Any] = {"role": role, "label": label}
        for heading, figure in columns.items():
            mean, half = float(mine[figure].mean()), half_width(mine[figure])
            row |= {heading: mean, f"{heading} low": mean - half, f"{heading} high": mean + half}
            if figure.startswith("mean_abs_dp") and role != "floor":
                row[f"{heading} of floor"] = float(times.loc[mine.index, figure].mean())
        own = [r for r in group if r["label"] == label and (r["role"] == role or role == "unlearned")]
        prepared = [r["prepare_cpu_seconds"] / r["gold_cpu_seconds"] for r in own if r.get("prepare_cpu_seconds")]
        row |= {"cost": float(mine["cost"].mean()), "prepared": sum(prepared) / len(prepared) if prepared else math.nan}
        row |= {"seeds": len({r["cell"]["seed"] for r in own})}
        row |= {verdict: sum(r.get("verdict") == verdict for r in own) for verdict in VERDICTS}
        rows.append(row | {what: sum(r["role"] == what for r in own) for what in ("refused", "failed")})
    return pandas.DataFrame(rows)
