"""Run one benchmark: ``python benchmarks/run.py NAME [--json] [--smoke] [--only KEY=VALUE ...] [--workers N]``.

Each benchmark is a small YAML file in ``configs/``. Products of data, models, requests, methods and seeds are grids, the same as
``graphforget sweep benchmarks/configs/NAME.yaml`` runs; their records go to ``runs/NAME/`` and, once they are to be published,
by hand to ``results/NAME.jsonl``. The others name an ``experiment``: a module here with ``cells(config)``,
``digest(config, cell)`` and ``run_cell(config, cell, say)``; their records are lines of ``results/NAME.jsonl``, and a cell whose
lines are there already is skipped. ``--smoke`` runs the small sizes that a configuration names, and keeps nothing. ``--tables``
rewrites the tables and figures of the documentation from the committed results.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from graphforget.cli.sweep import execute, only_values  # noqa: E402  (benchmarks are scripts beside each other, not a package)
from graphforget.exceptions import InputError  # noqa: E402
from graphforget.registry import nearest  # noqa: E402
from graphforget.sweeps.provenance import provenance  # noqa: E402

EXPERIMENTS = {name: name for name in ("recommendation", "recommendation_speed", "region_scaling", "speed")} | {
    "kernels": "kernel_speed"
}
Record = dict[str, Any]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.stem for path in (HERE / "configs").glob("*.yaml"))
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="print the result lines as one JSON document")
    parser.add_argument(
        "--only", action="append", default=[], metavar="KEY=VALUE", help="restrict cells, e.g. --only seed=0 --only size=0.05"
    )
    parser.add_argument("--smoke", action="store_true", help="small sizes, nothing kept: does it run from end to end?")
    parser.add_argument("--workers", type=int, help="of a grid: worker processes of one thread each")
    parser.add_argument("--tables", action="store_true", help="rewrite the tables and figures from the results")
    options = parser.parse_args()
    try:
        if options.tables:
            from tables import write_tables

            write_tables(HERE.parent)
            return 0
        if options.name not in names:
            raise InputError(f"unknown benchmark '{options.name}': {nearest(str(options.name), names)}")
        file = HERE / "configs" / f"{options.name}.yaml"
        if "experiment" not in yaml.safe_load(file.read_text(encoding="utf-8")):
            where = {"folder": HERE / "runs", "workers": options.workers, "smoke": options.smoke}
            return execute(file, options.only, None, **where, retry=False, tables=False, json=options.json)
        records = run(options.name, only=only_values(options.only), quiet=options.json, smoke=options.smoke)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(records, indent=1))
    else:
        from tables import print_tables

        print_tables(options.name, records)
    return 0


def run(name: str, *, only: dict[str, list[Any]], quiet: bool, smoke: bool = False) -> list[Record]:
    """Run the missing cells of an experiment and return all of its records."""
    config = yaml.safe_load((HERE / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    small = config.pop("smoke", None)
    if smoke:
        if small is None:
            raise InputError(f"{name}.yaml names no sizes for --smoke: restrict its cells with --only instead.")
        config |= {**small, "small": True}
    if config["experiment"] not in EXPERIMENTS:
        raise InputError(
            f"unknown experiment '{config['experiment']}' in {name}.yaml: {nearest(config['experiment'], [*EXPERIMENTS])}"
        )
    module = importlib.import_module(EXPERIMENTS[config["experiment"]])
    path = HERE / "results" / f"{name}.jsonl"
    records = [] if smoke else read(path)

    def say(text: str) -> None:
        print(text, file=sys.stderr if quiet else sys.stdout, flush=True)

    def add(made: list[Record]) -> None:
        # One write per cell: an interruption leaves whole cells only, or a last line that `read` drops.
        stamped = [{"benchmark": name, **record, "provenance": provenance()} for record in made]
        if not smoke:
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(record) + "\n" for record in stamped))
        records.extend(stamped)

    run_missing(module, config, only, records, add, say)
    return records


def run_missing(
    module: Any,
    config: Record,
    only: dict[str, list[Any]],
    records: list[Record],
    add: Callable[[list[Record]], None],
    say: Callable[[str], None],
) -> None:
    """Run every cell of an experiment that has no records with the same digest yet.

    Raises:
        InputError: There is no such cell at all.
    """
    cells = [cell for cell in module.cells(config) if all(cell.get(key) in wanted for key, wanted in only.items())]
    if not cells:
        raise InputError("no cell of this benchmark matches --only.")
    done = {(json.dumps(r["cell"], sort_keys=True), r.get("config")) for r in records}
    for number, cell in enumerate(cells, 1):
        digest = module.digest(config, cell)
        if (json.dumps(cell, sort_keys=True), digest) in done:
            continue
        started = time.perf_counter()
        say(f"[{number}/{len(cells)}] {cell}")
        add([{"cell": cell, "config": digest, **record} for record in module.run_cell(config, cell, say)])
        say(f"    {time.perf_counter() - started:.0f} s")


def read(path: Path) -> list[Record]:
    """The records of a results file; a last line cut off by an interruption is dropped."""
    records: list[Record] = []
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                if number != len(lines) - 1:
                    raise InputError(f"line {number + 1} of '{path}' is not JSON; repair or remove it.") from None
                path.write_text("".join(text + "\n" for text in lines[:-1]), encoding="utf-8")
    return records


if __name__ == "__main__":
    sys.exit(main())
