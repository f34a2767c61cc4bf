"""Tables of recommenders that no grid makes: backbones, quartiles, sequences of requests, MMRecUn's Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas
from figures import latest
from tables import pivot, rows

from graphforget.sweeps.frames import question, question_tables
from graphforget.sweeps.records import present
from graphforget.sweeps.tables import markdown, text_table

Record = dict[str, Any]
GAPS = {"gap held out": "gap_same_item_auc/deleted", "gap matched": "gap_same_item_auc_matched/deleted"}
OTHERS = {"neighbours": "neighbourhood_overlap/forgotten items", "recall@20": "recall@20/test", "CPU s": "cpu_seconds/all"}
MAIN = GAPS | OTHERS
QUARTILES = {
    f"{what} Q{q}": f"recall@20/test, {what} Q{q}" for what in ("users' activity", "items' popularity") for q in range(1, 5)
}
_BACKBONES = {
    "recall@20": "recall@20/test",
    "ndcg@20": "ndcg@20/test",
    "recall@10": "recall@10/test",
    "validation": "recall@20/val",
}
_CONTROLS = {"identity", "unlink", "mask", "retrain"}  # what the comparison with MMRecUn's grid leaves out


def parts(records: list[Record]) -> dict[str, str]:
    """``main`` (the first request in short), ``quartiles``, ``backbones``, ``sequence``, ``front``; those that have been run."""
    of: dict[str, list[Record]] = {}
    for record in records:
        of.setdefault(record["cell"].get("part", "methods"), []).append(record)
    methods, found = present(of.get("methods", [])), {}
    if any(GAPS["gap held out"] in record.get("figures", {}) for record in methods):
        found["main"] = markdown(text_table(next(iter(question_tables(methods, MAIN, [*GAPS.values()]).values()))))
        texts = {title: text_table(table) for title, table in question_tables(methods, QUARTILES, [*GAPS.values()]).items()}
        found["quartiles"] = "\n\n".join(f"**{t}**\n\n{markdown(table.iloc[:, :-2])}" for t, table in texts.items())
    if quality := latest(of.get("quality", [])):
        found["backbones"] = rows(backbones(quality))
    if chains := latest(of.get("sequence", [])):
        found["sequence"] = pivot(drifts(chains), ["data", "model", "figure", "method", "CPU s per request"], "after", ["value"])
    grid = [record for record in of.get("grid", []) if record["config"] == of["grid"][-1]["config"]]
    if grid:
        found["front"] = "\n\n".join(f"**{on}**\n\n{front(some, methods)}" for on, some in blocks(grid).items())
    return found


def _mean(values: list[float], form: str) -> str:
    known = [value for value in values if not math.isnan(value)]
    return format(sum(known) / len(known), form) if known else ""


def backbones(records: list[Record]) -> Iterator[Record]:
    """Test figures of the originals, means over seeds; settings were chosen by validation."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["cell"]["dataset"], record["cell"]["model"]), []).append(record)
    for (data, model), mine in groups.items():
        figures = {head: _mean([r["figures"].get(name, math.nan) for r in mine], ".4f") for head, name in _BACKBONES.items()}
        costs = {head: _mean([r[name] for r in mine], ".0f") for head, name in (("epochs", "epochs"), ("CPU s", "cpu_seconds"))}
        yield {"data": data, "model": model, **figures, **costs, "seeds": str(len(mine))}


def drifts(records: list[Record]) -> Iterator[Record]:
    """Figures after some of the requests; in brackets the golds' mean and whether the figure lies in their range."""
    ordered = sorted(
        ((p["metric"], r["cell"]["method"], p["request"], r, p) for r in records for p in r["points"]), key=lambda x: x[:3]
    )
    for metric, method, number, record, point in ordered:
        line = {"data": record["cell"]["dataset"], "model": record["cell"]["model"], "figure": metric, "method": method}
        value = f"{point['value']:.4f} ({point['gold']:.4f}, {'inside' if point['inside'] else 'outside'})"
        yield line | {"CPU s per request": _mean(record["cpu_seconds"], ".1f"), "after": f"after {number}", "value": value}


# ---- MMRecUn's grid -----------------------------------------------------------------------------------------------
def blocks(grid: list[Record]) -> dict[str, list[Record]]:
    """The grid by the seeds that its settings were measured on: a front compares like with like.

    A block of fewer seeds holds the other settings too, on those seeds.
    """
    seeds: dict[str, set[int]] = {}
    for record in grid:
        seeds.setdefault(str(record["point"]), set()).add(record["cell"]["seed"])
    found = {}
    for some in sorted({tuple(sorted(one)) for one in seeds.values()}, key=lambda one: (-len(one), one)):
        name = f"seed{'s' * (len(some) > 1)} {', '.join(map(str, some))}"
        found[name] = [r for r in grid if r["cell"]["seed"] in some and seeds[str(r["point"])] >= set(some)]
    return found


def axes(records: list[Record], by: list[str]) -> pandas.DataFrame:
    """What is compared, the less the better: the larger |gap|, 1 - neighbours, -recall@20, CPU s; means over seeds."""
    lines = [{**r.get("point", {}), "label": r["label"], **{h: r["figures"].get(f) for h, f in MAIN.items()}} for r in records]
    frame = pandas.DataFrame(lines, columns=[*by, *MAIN]).astype(dict.fromkeys(MAIN, float))
    frame[[*GAPS]] = frame[[*GAPS]].abs()
    means = frame.groupby(by, sort=False).mean().dropna()
    far, recall = 1 - means["neighbours"], -means["recall@20"]
    return pandas.DataFrame({"gap": means[[*GAPS]].max(axis=1), "far": far, "recall": recall, "cpu": means["CPU s"]})


def beaten(one: Any, by: pandas.DataFrame) -> list[Any]:
    """Who dominates: is at least as good on every axis and better on one."""
    return list(by.index[(by <= one).all(axis=1) & (by < one).any(axis=1)])


def front(grid: list[Record], methods: list[Record]) -> str:
    """Settings of MMRecUn that no other one dominates, by gap, and the methods (on its request and seeds) that dominate each."""
    seeds = {record["cell"]["seed"] for record in grid}
    asked = question(present([grid[0] | {"cell": grid[0]["cell"] | {"part": "methods"}}])[0])
    same = [r for r in methods if question(r) == asked and r["cell"]["seed"] in seeds and r["role"] == "unlearned"]
    rivals = axes([r for r in same if r["label"] not in _CONTROLS], ["label"]).sort_index()
    heads = ["graph", "alpha", "lr", "epochs"]
    placed = axes(grid, heads)
    best = placed.loc[[at for at, one in placed.iterrows() if not beaten(one, placed)]].sort_values([*placed])
    lines = []
    for at, one in best.iterrows():
        lines.append(dict(zip(heads, map(str, at), strict=True)) | _shown(one) | {"dominated by": ", ".join(beaten(one, rivals))})
    for label, one in rivals.iterrows():
        under, worse = len(beaten(one, placed)), beaten(one, rivals)
        over = sum(label in beaten(other, rivals) for _, other in placed.iterrows())
        note = f"dominates {over} of {len(placed)} settings, is dominated by {under}" + (
            f" and {', '.join(worse)}" if worse else ""
        )
        lines.append(dict.fromkeys(heads, "") | {"graph": f"`{label}`"} | _shown(one) | {"dominated by": note})
    return f"{rows(lines)}\n\n{len(best)} of {len(placed)} settings are on the front."


def _shown(one: Any) -> Record:
    return {
        "larger gap": f"{one.gap:.2f}",
        "neighbours": f"{1 - one.far:.3f}",
        "recall@20": f"{-one.recall:.4f}",
        "CPU s": f"{one.cpu:.1f}",
    }
