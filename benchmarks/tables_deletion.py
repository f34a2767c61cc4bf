"""Tables of deletion experiments: every method beside the same golds."""

from __future__ import annotations

import math
from typing import Any

from markdown_table import markdown

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


def tables(records: list[Record]) -> dict[str, str]:
    """Markdown by part; there is one."""
    return {"all": "\n\n".join(f"**{title}**\n\n{markdown(lines)}" for title, lines in deletion_table(records))}
