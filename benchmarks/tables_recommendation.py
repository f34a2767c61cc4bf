"""Tables of recommender experiments: backbones, every method beside the same golds, quartiles, MMRecUn's Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from markdown_table import latest, markdown

Record = dict[str, Any]
Axes = tuple[float, float, float, float]  # |gap| of membership, 1 - neighbourhood overlap, -retained recall, CPU seconds

_ORDER = {"original": 0, "unlink": 1, "unlearned": 2, "gold": 3, "floor": 4}
_CONTROLS = {"identity", "unlink", "mask", "retrain"}  # what the comparison with MMRecUn's grid leaves out
_COLUMNS: list[tuple[str, tuple[str, ...], str]] = [  # head, figures of which the first one there is shown, format
    ("recall@20", ("recall@20/test",), ".4f"),
    ("forget recall", ("forget_recall@20/deleted",), ".3f"),
    ("exposure", ("exposure@20/deleted",), ".4f"),
    ("AUC held out", ("same_item_auc/deleted", "same_user_auc/deleted"), ".3f"),
    ("AUC matched", ("same_item_auc_matched/deleted", "same_user_auc_matched/deleted"), ".3f"),
    ("AUC random", ("same_item_auc_random/deleted", "same_user_auc_random/deleted"), ".3f"),
    ("gap held out", ("gap_same_item_auc/deleted", "gap_same_user_auc/deleted"), "+.2f"),
    ("gap matched", ("gap_same_item_auc_matched/deleted", "gap_same_user_auc_matched/deleted"), "+.2f"),
    ("neighbours", ("neighbourhood_overlap/forgotten items", "neighbourhood_overlap/forgotten users"), ".3f"),
    ("lists", ("jaccard@20/lists",), ".3f"),
    ("CPU s", ("cpu_seconds/all",), ".1f"),
]
_SHORT = ("model", "gap held out", "gap matched", "neighbours", "recall@20", "CPU s", "faster than gold", "verdict")
_GAPS, _OVERLAP, _RECALL, _CPU = (_COLUMNS[6][1], _COLUMNS[7][1]), _COLUMNS[8][1], _COLUMNS[0][1], _COLUMNS[10][1]


def tables(records: list[Record]) -> dict[str, str]:
    """Markdown by part, those that have been run.

    ``main`` (the first request in short), ``backbones``, ``methods``, ``quartiles``, ``sequence`` and ``front``.
    """
    by_part: dict[str, list[Record]] = {}
    for record in current(records):
        by_part.setdefault(record["cell"]["part"], []).append(record)
    methods, grid = by_part.get("methods", []), by_part.get("grid", [])
    parts = {
        "main": markdown(summary_table(methods)) if methods else "",
        "backbones": backbones(by_part.get("quality", [])),
        "methods": _titled(methods, method_table),
        "quartiles": _titled(methods, quartile_table),
        "sequence": drift_table(by_part.get("sequence", [])),
        "front": "\n\n".join(_titled(mine, lambda one: front_table(one, methods), note) for note, mine in blocks(grid).items()),
    }
    return {name: text for name, text in parts.items() if text}


def current(records: list[Record]) -> list[Record]:
    """The records of the last configuration of every backbone, request and sequence, over all of its seeds.

    A changed model, method or dataset is run anew and its old records stay in the file: means over both would be of neither.
    """
    last = {_subject(record["cell"]): record["config"] for record in records}
    return [record for record in records if record["config"] == last[_subject(record["cell"])]]


def _subject(cell: Record) -> str:
    return repr([cell.get(key) for key in ("part", "dataset", "model", "target", "where", "size", "value", "method")])


def setting(cell: Record) -> str:
    """A request without its seed, as text."""
    what = f"{cell['size'] * 100:g} % of {cell['target']}s" if cell["where"] == "random" else f"{cell['where']} {cell['value']}"
    return f"{cell['dataset']}, {cell['model']}, {what}"


def _titled(records: list[Record], make: Callable[[list[Record]], list[list[str]]], note: str = "") -> str:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(setting(record["cell"]), []).append(record)
    made = [(title, make(group)) for title, group in groups.items()]
    return "\n\n".join(f"**{title}{note}**\n\n{markdown(lines)}" for title, lines in made if len(lines) > 1)


# ---- backbones ----------------------------------------------------------------------------------------------------
def backbones(records: list[Record]) -> str:
    """Test figures of the originals, mean and standard deviation over seeds; settings were chosen by validation."""
    if not records:
        return ""
    lines = [["data", "model", "recall@20", "ndcg@20", "recall@10", "validation", "epochs", "CPU s", "seeds"]]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in latest(records):
        groups.setdefault((record["cell"]["dataset"], record["cell"]["model"]), []).append(record)
    for (data, model), mine in groups.items():
        names = ("recall@20/test", "ndcg@20/test", "recall@10/test", "recall@20/val")
        figures = [_spread([r["figures"][name] for r in mine if name in r["figures"]], ".4f") for name in names]
        costs = [_spread([r[name] for r in mine], ".0f", spread=False) for name in ("epochs", "cpu_seconds")]
        lines.append([data, model, *figures, *costs, str(len(mine))])
    return markdown(lines)


# ---- methods ------------------------------------------------------------------------------------------------------
def method_table(group: list[Record]) -> list[list[str]]:
    """Every method's mean and standard deviation over seeds, golds and their floor below."""
    lines = [["model", *(head for head, _, _ in _COLUMNS), "faster than gold", "verdict"]]
    for role, label in _lines(group):
        mine = [r for r in group if r.get("role") == role and r["label"] == label]
        cells = [_spread(_values(mine, names), kind, spread=names is not _CPU) for _, names, kind in _COLUMNS]
        name = label if role == "unlearned" else f"*{label}*"
        lines.append([name, *cells, _speed(mine) if role == "unlearned" else "", _verdicts(mine)])
    facts = [r for r in group if "gold_cpu_seconds" in r]
    seeds = {r["cell"]["seed"] for r in group}
    gold = sum(r["gold_cpu_seconds"] for r in facts) / max(len(facts), 1)
    gone = sorted({r["removed"] for r in facts})
    refused = sorted({f"`{r['label']}` ({'; '.join(r['refused'])})" for r in group if "refused" in r})
    note = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}, {' or '.join(f'{n:,}' for n in gone)} training interactions deleted; "
    note += f"a gold takes {gold:.1f} CPU s on average" + (f"; refused: {', '.join(refused)}" if refused else "")
    return [*lines, ["", note]]


def summary_table(methods: list[Record]) -> list[list[str]]:
    """The columns that decide, for the first request: gaps, neighbourhood, quality, cost, verdicts."""
    first = [r for r in methods if setting(r["cell"]) == setting(methods[0]["cell"])]
    whole = method_table(first)
    wanted = [whole[0].index(head) for head in _SHORT]
    return [[line[i] for i in wanted] for line in whole if len(line) == len(whole[0])]


def quartile_table(group: list[Record]) -> list[list[str]]:
    """Retained recall@20 by quartile of the users' activity and of the items' popularity, 1 being the least."""
    kinds = [("users' activity", "activity"), ("items' popularity", "popularity")]
    names = [(f"{short} Q{q}", f"recall@20/test, {kind} Q{q}") for kind, short in kinds for q in range(1, 5)]
    lines = [["model", *(head for head, _ in names)]]
    for role, label in _lines(group):
        mine = [r for r in group if r.get("role") == role and r["label"] == label]
        cells = [_spread(_values(mine, (name,)), ".4f", spread=False) for _, name in names]
        if any(cells):
            lines.append([label if role == "unlearned" else f"*{label}*", *cells])
    return lines


def _lines(group: list[Record]) -> list[tuple[str, str]]:
    found = {(r["role"], r["label"]) for r in group if "role" in r}
    return sorted(found, key=lambda key: (_ORDER.get(key[0], 9), key[1]))


def _values(mine: Iterable[Record], names: tuple[str, ...]) -> list[float]:
    """The first of the named figures that a record has, of every record that has one."""
    found = (next((r["figures"][name] for name in names if name in r["figures"]), math.nan) for r in mine)
    return [value for value in found if not math.isnan(value)]


def _spread(values: list[float], kind: str, *, spread: bool = True) -> str:
    if not values:
        return ""
    mean = sum(values) / len(values)
    text = format(mean, kind)
    if spread and len(values) > 1:
        text += f" ± {math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)):{kind.lstrip('+')}}"
    return text


def _speed(mine: list[Record]) -> str:
    ratios = [r["gold_cpu_seconds"] / cpu for r in mine if (cpu := r["figures"].get("cpu_seconds/all", 0.0)) > 0]
    ratio = sum(ratios) / len(ratios) if ratios else 0.0
    return "" if not ratios else f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def _verdicts(mine: list[Record]) -> str:
    labels = [r["verdict"] for r in mine if "verdict" in r]
    return ", ".join(f"{labels.count(v)} {v}" for v in ("sufficient", "inconclusive", "insufficient") if v in labels)


# ---- sequences ----------------------------------------------------------------------------------------------------
def drift_table(records: list[Record]) -> str:
    """Figures after some of the requests, means over seeds; in brackets the golds' mean and in how many seeds it is inside."""
    if not records:
        return ""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in latest(records):
        cell = record["cell"]
        for metric in dict.fromkeys(point["metric"] for point in record["points"]):
            groups.setdefault((cell["dataset"], cell["model"], metric, cell["method"]), []).append(record)
    numbers = sorted({point["request"] for record in records for point in record["points"]})
    lines = [["data", "model", "figure", "method", *(f"after {number}" for number in numbers), "CPU s per request"]]
    for key, mine in sorted(groups.items()):
        cells = []
        for number in numbers:
            points = [p for r in mine for p in r["points"] if (p["request"], p["metric"]) == (number, key[2])]
            value, gold = (sum(p[name] for p in points) / len(points) for name in ("value", "gold"))
            cells.append(f"{value:.4f} ({gold:.4f}, {sum(p['inside'] for p in points)}/{len(points)})")
        cost = [sum(r["cpu_seconds"]) / len(r["cpu_seconds"]) for r in mine]
        lines.append([*key, *cells, f"{sum(cost) / len(cost):.1f}"])
    return markdown(lines)


# ---- MMRecUn's grid -----------------------------------------------------------------------------------------------
def blocks(grid: list[Record]) -> dict[str, list[Record]]:
    """The grid by the seeds that its settings were measured on, e.g. ``", seeds 1, 2, 3"``: a front compares like with like.

    A block of fewer seeds holds the other settings too, on those seeds.
    """
    seeds: dict[str, set[int]] = {}
    for record in grid:
        seeds.setdefault(_place(record), set()).add(record["cell"]["seed"])
    found = {}
    for some in sorted({tuple(sorted(one)) for one in seeds.values()}, key=lambda one: (-len(one), one)):
        name = f", seed{'s' * (len(some) > 1)} {', '.join(map(str, some))}"
        found[name] = [r for r in grid if r["cell"]["seed"] in some and seeds[_place(r)] >= set(some)]
    return found


def _place(record: Record) -> str:
    return repr((setting(record["cell"]), sorted(record["point"].items())))


def _same_request(methods: list[Record], grid: list[Record]) -> list[Record]:
    """What other methods reached on the grid's request and seeds."""
    seeds = {r["cell"]["seed"] for r in grid}
    mine = [r for r in methods if setting(r["cell"]) == setting(grid[0]["cell"]) and r["cell"]["seed"] in seeds]
    return [r for r in mine if r.get("role") == "unlearned"]


def axes(mine: list[Record]) -> Axes | None:
    """What is compared, the less the better on every axis: means over seeds; None where a figure is missing.

    The gap is the larger of the two that are judged: against held-out pairs and against matched users.
    """
    gaps = [[abs(v) for v in _values(mine, names)] for names in _GAPS]
    others = [_values(mine, names) for names in (_OVERLAP, _RECALL, _CPU)]
    if not all((*gaps, *others)):
        return None
    overlap, recall, cpu = (sum(values) / len(values) for values in others)
    return max(sum(values) / len(values) for values in gaps), 1 - overlap, -recall, cpu


def dominates(one: Axes, other: Axes) -> bool:
    """At least as good on every axis and better on one."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def front_table(grid: list[Record], methods: list[Record]) -> list[list[str]]:
    """Settings of MMRecUn that no other one dominates, by gap, and the methods (on its request and seeds) that dominate each."""
    methods = _same_request(methods, grid)
    points: dict[tuple[Any, ...], list[Record]] = {}
    for record in grid:
        points.setdefault(tuple(record["point"].items()), []).append(record)
    placed = {point: found for point, mine in points.items() if (found := axes(mine)) is not None}
    named = {label: axes([r for r in methods if r["label"] == label]) for label in {r["label"] for r in methods} - _CONTROLS}
    rivals = {label: found for label, found in sorted(named.items()) if found is not None}
    front = [point for point, one in placed.items() if not any(dominates(other, one) for other in placed.values())]
    lines = [["graph", "alpha", "lr", "epochs", "larger gap", "neighbours", "recall@20", "CPU s", "dominated by"]]
    for point in sorted(front, key=lambda point: placed[point]):
        by = [label for label, found in rivals.items() if dominates(found, placed[point])]
        where = dict(point)
        lines.append([*(str(where[key]) for key in ("graph", "alpha", "lr", "epochs")), *_axes(placed[point]), ", ".join(by)])
    for label, found in rivals.items():
        under = sum(dominates(one, found) for one in placed.values())
        over = sum(dominates(found, one) for one in placed.values())
        note = f"dominates {over} of {len(placed)} settings, is dominated by {under}"
        worse = [other for other, at in rivals.items() if dominates(at, found)]
        lines.append([f"`{label}`", "", "", "", *_axes(found), note + (f" and {', '.join(worse)}" if worse else "")])
    return [*lines, ["", f"{len(front)} of {len(placed)} settings are on the front"]]


def _axes(one: Axes) -> list[str]:
    return [f"{one[0]:.2f}", f"{1 - one[1]:.3f}", f"{-one[2]:.4f}", f"{one[3]:.1f}"]
