"""Tables of training speed: graphs beside PyG, recommenders beside the same models written plainly."""

from __future__ import annotations

from typing import Any

from speed import RATIOS
from tables import latest, origin, rows

_WHAT = {
    "epoch": "epoch as a PyG user writes it",
    "our_loop": "epoch, PyG's model in our loop",
    "encoder": "encoder alone, forward and backward",
    "accelerated_loop": "epoch, PyG's model under `accelerate`, both in our loop",
    "accelerated_encoder": "its encoder alone under `accelerate`",
    "node_epoch": "node classification epoch",
}


def parts(records: list[dict[str, Any]]) -> dict[str, str]:
    """The last run; of recommenders the last run of every cell."""
    if "median" in records[-1]:
        return {"all": rows(map(_recommender, latest(records))), "origin": origin(latest(records))}
    last = records[-1]
    lines = []
    for key, ratio in last["ratio"].items():
        ours, theirs = (f"{last['median_seconds'][name] * 1e3:.1f}" for name in RATIOS[key])
        lines.append({"what": _WHAT[key], "graphforget, ms": ours, "PyG, ms": theirs, "ratio": f"{ratio:.1f}x"})
    return {"all": rows(lines), "origin": origin([last])}


def _recommender(record: dict[str, Any]) -> dict[str, str]:
    cell = record["cell"]
    line = {"data": cell["dataset"], "model": cell["model"], "threads": str(cell["threads"])}
    for clock, unit in (("cpu_seconds", "CPU s"), ("seconds", "s")):
        line |= {f"{name}, {unit}": f"{record['median'][clock][name]:.3f}" for name in ("graphforget", "plain")}
        line[f"ratio, {unit}"] = f"{record['ratio'][clock]:.1f}x"
    return line
