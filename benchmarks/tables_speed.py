"""The table of training speed."""

from __future__ import annotations

from typing import Any

from markdown_table import markdown

_ROWS = (
    ("epoch", "epoch as a PyG user writes it", "graphforget", "pyg"),
    ("our_loop", "epoch, PyG's model in our loop", "graphforget", "pyg_in_our_loop"),
    ("encoder", "encoder alone, forward and backward", "graphforget_encoder", "pyg_encoder"),
    ("accelerated_loop", "epoch, PyG's model under `accelerate`, both in our loop", "accelerated", "pyg_in_our_loop"),
    ("accelerated_encoder", "its encoder alone under `accelerate`", "accelerated_encoder", "pyg_encoder"),
    ("node_epoch", "node classification epoch", "graphforget_nodes", "pyg_nodes"),
)


def tables(records: list[dict[str, Any]]) -> dict[str, str]:
    """Markdown by part; there is one, of the last run."""
    last = records[-1]
    seconds = last["median_seconds"]
    lines = [["what", "graphforget, ms", "PyG, ms", "ratio"]]
    for key, what, ours, theirs in _ROWS:
        if key not in last["ratio"]:  # a run from before this row was added
            continue
        lines.append([what, f"{seconds[ours] * 1e3:.1f}", f"{seconds[theirs] * 1e3:.1f}", f"{last['ratio'][key]:.1f}x"])
    return {"all": markdown(lines)}
