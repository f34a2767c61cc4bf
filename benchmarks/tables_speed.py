"""Tables of seconds and bytes: kernels, regions, and training beside PyG and beside plain PyTorch.

A table is a form: heading and format of every column, filled with one line after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from figures import draw_kernels, draw_region, full_version, latest, region_bound
from speed import RATIOS
from tables import FIGURES, Record, fill, origin, pivot, rows

OPERATIONS = {
    "attention": "attention, {heads} heads x {width}",
    "spmm_max": "max of neighbours, d = {width}",
    "spmm_min": "min of neighbours, d = {width}",
    "bpr_loss": "BPR loss of {triples:,} triples, d = {width}",
}
OPERATION = {"operation, forward and backward": "{what}", "path": "{path}"}
PATH = {"ms": "{seconds:ms}", "speed-up": "{ratio:.1f}x", "extra MB": "{extra_mb:,.0f}"}
ORDER = {"ms": "{seconds:ms}", "speed-up": "{ratio:.2f}x", "s to find": "{once:.2f}"}
ROOFLINE = {
    "d": "{width}",
    "graphforget, ms": "{seconds:ms}",
    "copy, GB/s": "{copy:.1f}",
    "every entry read: GB": "{gather:.2f}",
    "every entry read: of copy": "{gathered:share}",
    "perfect reuse: GB": "{compulsory:.2f}",
    "perfect reuse: of copy": "{reused:share}",
}
WHOLE = {"ms": "{seconds:ms}", "of the whole product": "{of_whole:share}"}
EDIT = {
    "edges dropped": "{size:,}",
    "then": "{then}",
    "edit, ms": "{edit:ms}",
    "fresh build, ms": "{build:ms}",
    "ratio": "{ratio:,.1f}x",
}
FULL = {"graph": "{cell[graph]}", "method": "{cell[method]}", "edges": "{cell[size]:,}"}
FULL |= {"s": "{seconds:.2f}", "CPU s": "{cpu_seconds:.2f}", "extra MB": "{extra_mb:,.0f}"}
SUMMARY = {"graph": "{graph}", "method": "{method}", "cells": "{cells}", "time in bound": "{time}", "memory in bound": "{memory}"}
SUMMARY |= {"10 random edges: share of entries": "{ten}", "of full time": "{of_full:.2%}"}
FANOUT = {
    "method": "{cell[method]}",
    "fan-out": "{cell[fanout]}",
    "share of entries": "{share}",
    "s": "{seconds:.3f}",
    "of full time": "{of_full:.1%}",
    "all neighbours: of full time": "{whole:.1%}",
    "error of outputs": "{error[outputs]:.4f} ({error[outputs_relative]:.1%})",
    "error of probabilities": "{error[probability]:.4f}",
    "another seed": "{between_seeds[probability]:.4f}",
    "the deletion's own change": "{change[probability]:.4f}",
}
RECOMMENDER = {"data": "{cell[dataset]}", "model": "{cell[model]}", "threads": "{cell[threads]}"}
for _clock, _unit in (("cpu_seconds", "CPU s"), ("seconds", "s")):
    RECOMMENDER |= {f"{name}, {_unit}": f"{{median[{_clock}][{name}]:.3f}}" for name in ("graphforget", "plain")}
    RECOMMENDER[f"ratio, {_unit}"] = f"{{ratio[{_clock}]:.1f}}x"
TRAINING = {
    "epoch": "epoch as a PyG user writes it",
    "our_loop": "epoch, PyG's model in our loop",
    "encoder": "encoder alone, forward and backward",
    "accelerated_loop": "epoch, PyG's model under `accelerate`, both in our loop",
    "accelerated_encoder": "its encoder alone under `accelerate`",
    "node_epoch": "node classification epoch",
}


def parts(records: list[Record]) -> dict[str, str]:
    """Markdown by part, of whichever of the four benchmarks the records are; a part without records is left out."""
    records = latest(records)
    cell = records[-1]["cell"]
    make = _kernels if "op" in cell else _regions if "scope" in cell else _recommenders if "threads" in cell else _training
    return {name: text for name, text in make(records).items() if text}


def draw(records: list[Record], folder: Path) -> None:
    """The figures of kernels and regions."""
    if "op" in records[-1]["cell"]:
        draw_kernels(records, folder)
    elif "scope" in records[-1]["cell"]:
        draw_region(records, folder)


def _training(records: list[Record]) -> dict[str, str]:
    last, form = (
        records[-1],
        {"what": "{what}", "graphforget, ms": "{ours:ms}", "PyG, ms": "{theirs:ms}", "ratio": "{ratio:.1f}x"},
    )
    lines = [
        {"what": TRAINING[key], "ours": last["median_seconds"][RATIOS[key][0]], "theirs": last["median_seconds"][RATIOS[key][1]]}
        | {"ratio": ratio}
        for key, ratio in last["ratio"].items()
    ]
    return {"all": rows(fill(form, lines)), "origin": origin([last])}


def _recommenders(records: list[Record]) -> dict[str, str]:
    return {"all": rows(fill(RECOMMENDER, records)), "origin": origin(records)}


# ---- kernels ----------------------------------------------------------------------------------------------------------
def _kernels(records: list[Record]) -> dict[str, str]:
    of: dict[str, list[Record]] = {}
    for record in records:
        of.setdefault(record["cell"]["op"], []).append(record)
    compared = (line for op in OPERATIONS for r in of.get(op, []) for line in _paths(r))
    found = {"operations": rows(fill(OPERATION | PATH, compared))}
    if "spmm" in of:
        lines = [line for r in of["spmm"] for line in _paths(r)]
        found["spmm"] = pivot(fill({"path": "{path}", "d": "{width}"} | PATH, lines), ["path"], "d", [*PATH], "{1}, d = {0}")
        table = rows(fill(ROOFLINE, map(_moved, of["spmm"])))
        found["roofline"] = f"{table}\n\n![Seconds of a forward and backward against width]({FIGURES}/kernels_roofline.svg)"
    if "reorder" in of:
        form = {"graph": "{graph}", "d": "{width}", "as it came, ms": "{came:ms}", "path": "{path}"} | ORDER
        lines = [line for r in of["reorder"] for line in _paths(r) if line["once"] is not None]
        found["reorder"] = pivot(fill(form, lines), ["graph", "d", "as it came, ms"], "path", [*ORDER], "{0}, {1}")
    for op, form in (
        ("spmm_rows", {"share of rows": "{path}", "share of entries": "{entries:share}"}),
        ("masked_spmm", {"share of entries kept": "{path}"}),
    ):
        if op in of:
            whole, *shares = _paths(of[op][-1])
            below = "The whole product: {seconds:ms} ms, d = {width}."
            found[op] = f"{rows(fill(form | WHOLE, shares))}\n\n{next(fill({'': below}, [whole]))['']}"
    found["edit"] = rows(fill(EDIT, (line for r in of.get("edit", []) for line in _edits(r))))
    one = next((r for r in records if "graph" not in r["cell"]), records[0])
    size = f"{one['nodes']:,} nodes, {one['entries']:,} entries with self-loops; medians of {one['repeats']} interleaved repeats."
    return found | {"origin": f"{size} {origin(records)}"}


def _paths(r: Record) -> Iterator[Record]:
    """A line per path of a cell, the first of which the others are compared with."""
    cell, seconds = r["cell"], r["median_seconds"]
    first, *_ = seconds.values()
    what = OPERATIONS.get(cell["op"], "").format(**cell)
    line = {"what": what, "width": cell.get("width"), "graph": cell.get("graph", "power law").replace("_", " "), "came": first}
    for path, taken in seconds.items():
        name = f"{100 * float(path):g} %" if path[0].isdigit() else f"**{path}**" if (path, what) == ("graphforget", "") else path
        more = {"ratio": r.get("ratio", {}).get(path, first / taken), "extra_mb": r.get("extra_mb", {}).get(path)}
        more |= {"once": r.get("once_seconds", {}).get(path), "entries": r.get("entry_share", {}).get(path)}
        yield line | more | {"path": name, "seconds": taken, "of_whole": taken / first}


def _moved(r: Record) -> Record:
    seconds, copy = r["median_seconds"]["graphforget"], r["copy_gb_per_s"]
    moved = {bound: r["bytes"][bound] / 1e9 for bound in ("gather", "compulsory")}
    used = {name: moved[bound] / seconds / copy for name, bound in (("gathered", "gather"), ("reused", "compulsory"))}
    return {"width": r["cell"]["width"], "seconds": seconds, "copy": copy, **moved, **used}


def _edits(r: Record) -> Iterator[Record]:
    for what, then in (("rows of the ends read", "rows of their ends read"), ("normalised", "normalised and transposed")):
        taken = {how: r["median_seconds"][f"{how}, {what}"] for how in ("edit", "build")}
        yield {"size": r["cell"]["size"], "then": then, **taken, "ratio": taken["build"] / taken["edit"]}


# ---- regions ----------------------------------------------------------------------------------------------------------
def _regions(records: list[Record]) -> dict[str, str]:
    full = [r for r in records if r["cell"]["scope"] == "full"]
    every = [r | {"base": full_version(full, r["cell"]), "share": _share([r])} for r in records if r["cell"]["scope"] == "region"]
    judged = [r | {"of_full": r["seconds"] / r["base"]["seconds"]} for r in every if r["base"] is not None]
    exact = [r for r in judged if "fanout" not in r["cell"]]
    whole = {_request(r): r["of_full"] for r in exact}
    limited = [r | {"whole": whole[_request(r)]} for r in judged if "fanout" in r["cell"] and _request(r) in whole]
    found = {
        "full": rows(fill(FULL, full)),
        "fanout": rows(fill(FANOUT, limited)),
        "summary": rows(fill(SUMMARY, _summary(exact))),
    }
    for graph in dict.fromkeys(r["cell"]["graph"] for r in exact):
        mine = [r for r in exact if r["cell"]["graph"] == graph]
        for what, name, unit in (("seconds", "time", "seconds"), ("extra_mb", "memory", "extra MB")):
            table = pivot(_bounds(mine, what), ["edges", "region's share of entries"], "method", [what])
            found[f"{graph} {name}"] = f"**{graph}, {unit} (bound)**\n\n{table}"
        images = (("Time", "time"), ("Memory", "memory"))
        found["figures"] = "\n\n".join(
            f"![{what} against the region's share]({FIGURES}/region_{name}.svg)" for what, name in images
        )
    sizes = {r["cell"]["graph"]: f"{r['cell']['graph']}: {r['nodes']:,} nodes, {r['entries']:,} entries" for r in records}
    return found | {"origin": f"{'; '.join(sizes.values())}. {origin(records)}"}


def _request(r: Record, *, method: bool = True) -> tuple[Any, ...]:
    return tuple(r["cell"][key] for key in ("graph", "where", "size", *(["method"] if method else [])))


def _share(records: Iterable[Record]) -> str:
    """The share of a region, from the one that reads least to the one that reads most."""
    known = sorted(r["region_share"] for r in records if r["region_share"] is not None)
    return " to ".join(dict.fromkeys(f"{100 * share:.3g} %" for share in (known[:1] + known[-1:])))


def _summary(exact: list[Record]) -> Iterator[Record]:
    for graph, method in dict.fromkeys((r["cell"]["graph"], r["cell"]["method"]) for r in exact):
        mine = [r for r in exact if (r["cell"]["graph"], r["cell"]["method"]) == (graph, method)]
        time, memory = (sum(r[what] <= region_bound(r, r["base"], what) for r in mine) for what in ("seconds", "extra_mb"))
        ten = next(r for r in mine if (r["cell"]["where"], r["cell"]["size"]) == ("random", 10))
        line = {"graph": graph, "method": method, "cells": len(mine), "time": time, "memory": memory}
        yield line | {"ten": ten["share"], "of_full": ten["of_full"]}


def _bounds(mine: list[Record], what: str) -> Iterator[Record]:
    """A request's figure and its bound, in bold where it is above."""
    form = ",.3f" if what == "seconds" else ",.0f"
    for r in mine:
        limit = region_bound(r, r["base"], what)
        text = f"{r[what]:{form}} ({limit:{form}})"
        same = [one for one in mine if _request(one, method=False) == _request(r, method=False)]
        line = {"edges": f"{r['cell']['size']:,} {r['cell']['where']}", "region's share of entries": _share(same)}
        yield line | {"method": r["cell"]["method"], what: text if r[what] <= limit else f"**{text}**"}
