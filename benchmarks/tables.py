"""Tables from result files: on the terminal, and in ``README.md`` between generated marks."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

Record = dict[str, Any]
_COLUMNS = {
    "link_prediction": [
        "roc_auc/test",
        "gnndelete_auc_f/deleted",
        "mean_abs_dp/deleted",
        "mean_abs_dp/retained",
        "mean_abs_dp/test",
        "signed_dp/deleted",
        "mia_auc/deleted",
        "cpu_seconds/all",
    ],
    "node_classification": [
        "accuracy/test",
        "mean_abs_dp/deleted",
        "mean_abs_dp/retained",
        "mean_abs_dp/hop1",
        "mean_abs_dp/test",
        "signed_dp/deleted",
        "mia_auc/deleted",
        "cpu_seconds/all",
    ],
}
_NAMES = {
    "roc_auc/test": "AUC_t",
    "gnndelete_auc_f/deleted": "AUC_f",
    "accuracy/test": "accuracy",
    "mean_abs_dp/deleted": "dp deleted",
    "mean_abs_dp/retained": "dp retained",
    "mean_abs_dp/test": "dp test",
    "mean_abs_dp/hop1": "dp 1-hop",
    "signed_dp/deleted": "signed",
    "mia_auc/deleted": "MIA AUC",
    "cpu_seconds/all": "CPU s",
}
_ORDER = {"original": 0, "unlink": 1, "unlearned": 2, "gold": 3, "floor": 4}


def setting(cell: Record) -> str:
    """A cell without its seed, as text."""
    what = (
        f"class {cell['label']}" if cell["target"] == "node_class" else f"{cell['target']} {cell['where']} {_share(cell['size'])}"
    )
    return f"{cell['dataset']}, {cell['model']}, {what}"


def _share(size: float) -> str:
    return f"{size * 100:g} %" if isinstance(size, float) and size < 1 else str(size)


def deletion_table(records: list[Record]) -> list[tuple[str, list[list[str]]]]:
    """(setting, lines): every method's mean and standard deviation over seeds; ratios to the floor within the same cells."""
    by_setting: dict[str, list[Record]] = {}
    for record in records:
        by_setting.setdefault(setting(record["cell"]), []).append(record)
    tables = []
    for name, group in by_setting.items():
        kind = "link_prediction" if any("roc_auc/test" in r.get("figures", {}) for r in group) else "node_classification"
        columns = _COLUMNS[kind]
        seeds = sorted({r["cell"]["seed"] for r in group})
        lines = [["model", *(_NAMES[c] for c in columns), "verdict"]]
        for role, label in sorted(
            {(r.get("role", "refused"), r["label"]) for r in group}, key=lambda k: (_ORDER.get(k[0], 9), k[1])
        ):
            mine = [r for r in group if r["label"] == label and r.get("role", "refused") == role]
            if role == "refused":
                continue
            lines.append(
                [label if role == "unlearned" else f"*{label}*", *(_cell(group, mine, c, role) for c in columns), _verdicts(mine)]
            )
        gold = [r["gold_cpu_seconds"] for r in group if "gold_cpu_seconds" in r]
        lines.append(["", f"{len(seeds)} seeds, gold takes {sum(gold) / len(gold):.1f} CPU s on average"])
        tables.append((name, lines))
    return tables


def _cell(group: list[Record], mine: list[Record], column: str, role: str) -> str:
    values = [
        (r["cell"]["seed"], r["figures"][column])
        for r in mine
        if column in r["figures"] and r["figures"][column] == r["figures"][column]
    ]
    if not values:
        return ""
    mean = sum(v for _, v in values) / len(values)
    text = (
        f"{mean:.1f}"
        if column.startswith("cpu_seconds")
        else f"{mean:+.3f}"
        if column.startswith("signed")
        else f"{mean:.4f}"
        if "auc" in column
        else f"{mean:.3f}"
    )
    prepared = [r["prepare_cpu_seconds"] for r in mine if column.startswith("cpu_seconds") and "prepare_cpu_seconds" in r]
    if prepared:
        text += f" (+{sum(prepared) / len(prepared):.1f} once, before)"
    if len(values) > 1 and not column.startswith("cpu_seconds"):
        sd = math.sqrt(sum((v - mean) ** 2 for _, v in values) / (len(values) - 1))
        text += f" ± {sd:.3f}"
    if column.startswith("mean_abs_dp") and role != "floor":
        floors = {r["cell"]["seed"]: r["figures"].get(column) for r in group if r.get("role") == "floor"}
        ratios = [v / floors[seed] for seed, v in values if floors.get(seed)]
        if ratios:
            text += f" ({sum(ratios) / len(ratios):.2f}x)"
    return text


def _verdicts(mine: list[Record]) -> str:
    labels = [r["verdict"] for r in mine if "verdict" in r]
    return ", ".join(f"{labels.count(v)} {v}" for v in ("sufficient", "inconclusive", "insufficient") if v in labels)


def markdown(table: list[list[str]]) -> str:
    """Lines as a Markdown table; a last line without a label becomes a note under it."""
    header, *body = table
    note = body.pop()[1] if body and not body[-1][0] else ""
    rows = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    rows += ["| " + " | ".join(line) + " |" for line in body]
    return "\n".join(rows) + (f"\n\n{note}." if note else "")


def tables_of(name: str, records: list[Record]) -> str:
    """The Markdown of a benchmark."""
    if records and "ratio" in records[0]:
        last = records[-1]
        lines = [["what", "graphforget, ms", "PyG, ms", "ratio"]]
        rows = (
            ("epoch", "epoch as a PyG user writes it", "graphforget", "pyg"),
            ("our_loop", "epoch, PyG's model in our loop", "graphforget", "pyg_in_our_loop"),
            ("encoder", "encoder alone, forward and backward", "graphforget_encoder", "pyg_encoder"),
        )
        for key, what, ours, theirs in rows:
            m = last["median_seconds"]
            lines.append([what, f"{m[ours] * 1e3:.1f}", f"{m[theirs] * 1e3:.1f}", f"{last['ratio'][key]:.1f}x"])
        return markdown(lines)
    return "\n\n".join(f"**{title}**\n\n{markdown(lines)}" for title, lines in deletion_table(records))


def print_table(name: str, records: list[Record]) -> None:
    """The tables on the terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    Console(width=160).print(Markdown(tables_of(name, records)))


def write_tables(folder: Path) -> None:
    """Rewrite what stands between ``<!-- NAME -->`` and ``<!-- end NAME -->`` in README.md."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8")
    for results in sorted((folder / "results").glob("*.jsonl")):
        records = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        name = results.stem
        block = f"<!-- {name} -->\n\n{tables_of(name, records)}\n\n<!-- end {name} -->"
        text = re.sub(f"<!-- {name} -->.*?<!-- end {name} -->", lambda _, b=block: b, text, flags=re.S)
    path.write_text(text, encoding="utf-8")
