"""Tables as text: Markdown, LaTeX and CSV, one per question, and all of them on one page."""

from __future__ import annotations

import collections
import json
import math
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphforget.home import write_text
from graphforget.sweeps.config import SweepConfig
from graphforget.sweeps.frames import VERDICTS, question, question_tables, questions, scores
from graphforget.sweeps.ranks import mean_ranks, rank_figure, save_figure
from graphforget.sweeps.records import Record

if TYPE_CHECKING:
    import pandas

HOW_TO_READ = (
    "dp is the mean absolute difference in probability to gold; in brackets the multiple of the distance that golds have from "
    "each other (the floor). ± is half of the 95 % interval over seeds (Student's t). Cost is in processor seconds, as a share "
    "of those of one gold."
)
MATRIX = "what is ranked by; seeds that were sufficient/inconclusive/insufficient"


# ---- numbers to words -------------------------------------------------------------------------------------------------
def text_table(table: pandas.DataFrame) -> pandas.DataFrame:
    """A question's table as readers see it: ``mean ± half width (multiple of the floor)``, cost, verdicts."""
    import pandas

    stats = {"role", "label", "cost", "prepared", "seeds", *VERDICTS, "refused", "failed"}
    headings = [name for name in table if name not in stats and not str(name).endswith((" low", " high", " of floor"))]
    rows = []
    for _, row in table.iterrows():
        label = row["label"] if row["role"] == "unlearned" else f"*{row['label']}*"
        line = {"model": label} | {heading: _figure(row, str(heading)) for heading in headings}
        cost = percent(row["cost"]) + ("" if math.isnan(row["prepared"]) else f" (+{percent(row['prepared'])} once, before)")
        line |= {"cost": cost, "verdict": counts(row)}
        rows.append(line)
    return pandas.DataFrame(rows).fillna("")


def _figure(row: Any, heading: str) -> str:
    mean, half = row[heading], row[f"{heading} high"] - row[heading]
    if math.isnan(mean):
        return ""
    digits = 1 if heading.endswith(" s") else 4 if re.search("AUC|recall|ndcg|exposure|precision", heading) else 3
    sign = "+" if heading.startswith(("signed", "gap")) else ""
    text = format(round(mean, digits) + 0.0, f"{sign}.{digits}f")  # no minus before a zero
    if not math.isnan(half) and not heading.endswith(" s"):
        text += f" ± {half:.{digits}f}"
    times = row.get(f"{heading} of floor", math.nan)
    return text if math.isnan(times) else f"{text} ({times:.2f}x)"


def percent(share: float) -> str:
    """A share as text with two digits that count; nothing for NaN."""
    if math.isnan(share):
        return ""
    return "< 0.1 %" if share < 1e-3 else f"{100 * share:,.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def counts(row: Any) -> str:
    """Verdicts, refusals and failures, e.g. ``"2 sufficient, 1 insufficient"``."""
    return ", ".join(f"{int(row[what])} {what}" for what in (*VERDICTS, "refused", "failed") if row.get(what))


def notes(records: Sequence[Record]) -> list[str]:
    """What stands below a question's table: seeds, golds, why methods refused or failed."""
    seeds = {r["cell"]["seed"] for r in records}
    facts = [r for r in records if "gold_cpu_seconds" in r]
    found = []
    if facts:
        gold = sum(r["gold_cpu_seconds"] for r in facts) / len(facts)
        removed = sorted({r["removed"] for r in facts if "removed" in r})
        gone = f"{removed[0]:,}" + ("" if len(removed) < 2 else f" to {removed[-1]:,}") if removed else "no"
        found.append(
            f"{len(seeds)} seed{'s' * (len(seeds) > 1)}; {gone} training examples removed; a gold takes {gold:.1f} CPU s."
        )
    for role, verb in (("refused", "refuses"), ("failed", "failed")):
        reasons = {(r["label"], "; ".join(r["reasons"]) if "reasons" in r else r["error"]) for r in records if r["role"] == role}
        found += [f"`{label}` {verb}: {reason.rstrip('.')}." for label, reason in sorted(reasons)]
    return found


def rank_table(ranks: pandas.DataFrame, times: str = "x") -> pandas.DataFrame:
    """Mean ranks as readers see them; ``times`` stands after what methods were ranked by."""
    import pandas

    rows = [
        {
            "method": row["method"],
            "mean rank": "" if math.isnan(row["mean rank"]) else f"{row['mean rank']:.2f}",
            "median distance": "" if math.isnan(row["median score"]) else f"{row['median score']:.2f}{times}",
            "cost (median)": percent(row["cost"]),
            "verdicts": counts(row),
            "cells": f"{row['cells']} of {row['of']}",
        }
        for _, row in ranks.iterrows()
    ]
    return pandas.DataFrame(rows)


def matrices(records: Sequence[Record], rank_by: Sequence[str] | None = None) -> dict[str, pandas.DataFrame]:
    """Per request that was made of several data or models: methods against them, nearest to gold on average first.

    A cell holds what methods are ranked by (mean over seeds) and how many seeds were sufficient, inconclusive and insufficient.
    """
    import pandas

    table, times = scores(records, rank_by), "" if rank_by else "x"
    verdicts = collections.Counter((*question(r), r["label"], r["verdict"]) for r in records if "verdict" in r)
    found = {}
    for request in dict.fromkeys(question(r)[2] for r in records):
        means = table.query("request == @request").groupby(["data", "model"], sort=False).mean().T.dropna(how="all")
        if means.shape[1] < 2:
            continue
        means = means.loc[means.mean(axis=1).sort_values().index]
        lines = []
        for label, values in means.iterrows():
            line = {"method": label}
            for (data, model), value in values.items():
                counted = "/".join(str(verdicts[data, model, request, label, verdict]) for verdict in VERDICTS)
                line[f"{data}, {model}"] = "" if math.isnan(value) else f"{value:.2f}{times}, {counted}"
            lines.append(line)
        found[request] = pandas.DataFrame(lines)
    return found


# ---- forms ------------------------------------------------------------------------------------------------------------
def markdown(table: pandas.DataFrame) -> str:
    """A table of text as Markdown."""
    lines = [[str(name) for name in table.columns], ["---"] * len(table.columns)]
    lines += [[str(value).replace("|", "\\|") for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def latex(table: pandas.DataFrame) -> str:
    """A table of text as LaTeX (booktabs), labels in italics where Markdown has them so."""
    shown = table.map(_tex).rename(columns=lambda name: _tex(str(name)))
    return str(shown.style.hide(axis="index").to_latex(hrules=True, column_format="l" + "r" * (len(table.columns) - 2) + "l"))


def _tex(text: Any) -> str:
    text = re.sub(r"([%&_#$])", r"\\\1", str(text)).replace("±", r"$\pm$")
    return re.sub(r"^\*(.*)\*$", r"\\emph{\1}", text)


def render(
    records: Sequence[Record],
    columns: dict[str, str] | None = None,
    rank_by: Sequence[str] | None = None,
    *,
    lost: Sequence[Record] = (),
) -> str:
    """Everything on one page of Markdown: ranks, a table per question, cells without records."""
    parts = [HOW_TO_READ]
    if len(tables := question_tables(records, columns, rank_by)) and any(r["role"] == "unlearned" for r in records):
        parts += ["## All cells", overview(records, rank_by)]
        for request, matrix in matrices(records, rank_by).items():
            parts += [f"**{request}** ({MATRIX})", markdown(matrix)]
    groups = questions(records)
    for title, table in tables.items():
        parts += [f"## {title}", markdown(text_table(table)), "\n".join(f"{note}\n" for note in notes(groups[title])).strip()]
    if lost:
        names = [", ".join(str(value) for value in one["cell"].values()) for one in lost]
        parts += ["## Cells without records"]
        parts += ["\n".join(f"- {name}: {one['reason']}" for name, one in zip(names, lost, strict=True))]
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(records: Sequence[Record], rank_by: Sequence[str] | None = None) -> str:
    """The table of ranks with what it rests on."""
    ranks = mean_ranks(records, rank_by)
    figures = ", ".join(f"`{figure}`" for figure in rank_by) if rank_by else "dp on deleted, retained and test elements"
    said = f"Ranked within every cell by the largest of {figures}, as a multiple of the floor where it has one."
    difference = ranks["critical difference"].dropna()
    if len(difference):
        said += f" Mean ranks that are at least {difference.iloc[0]:.2f} apart differ (Nemenyi, 5 %)."
    partial = ranks[ranks["mean rank"].isna()]["method"]
    if len(partial):
        said += f" Not in every cell and so not ranked: {', '.join(partial)}."
    return f"{markdown(rank_table(ranks, '' if rank_by else 'x'))}\n\n{said}"


def slug(title: str) -> str:
    """A title as a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", title.replace("%", "percent")).strip("-")


def write_tables(folder: Path, config: SweepConfig, records: Sequence[Record], lost: Sequence[Record] = ()) -> None:
    """Write ``records.jsonl``, ``tables.md``, ``tables/*.{md,csv,tex}``, ``ranks.csv`` and, with matplotlib, ``ranks.png``."""
    write_text(folder / "records.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    write_text(folder / "tables.md", f"# {config.name}\n\n" + render(records, config.columns, config.rank_by, lost=lost))
    for title, table in question_tables(records, config.columns, config.rank_by).items():
        path = folder / "tables" / slug(title)
        write_text(path.with_name(f"{path.name}.md"), markdown(text_table(table)) + "\n")
        write_text(path.with_name(f"{path.name}.csv"), table.to_csv(index=False))
        write_text(path.with_name(f"{path.name}.tex"), latex(text_table(table)))
    if not any(record["role"] == "unlearned" for record in records):
        return
    ranks = mean_ranks(records, config.rank_by)
    write_text(folder / "ranks.csv", ranks.to_csv(index=False))
    if find_spec("matplotlib") is not None and (figure := rank_figure(ranks)) is not None:
        save_figure(figure, folder / "ranks.png")
