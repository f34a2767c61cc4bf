"""Run one benchmark: ``python benchmarks/run.py NAME [--json] [--smoke] [--only KEY=VALUE ...]``.

Each experiment is a small YAML file in ``configs/``; its results are lines of ``results/NAME.jsonl``, each with provenance.
A cell whose lines are there already is skipped, so an interrupted run continues; trained models are shared through the
cache under ``GRAPHFORGET_HOME``. ``--smoke`` runs the small sizes that a configuration names, and keeps nothing. ``--tables``
rewrites the tables and figures of ``README.md`` and of the documentation from the committed results.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from provenance import provenance  # noqa: E402  (benchmarks are scripts beside each other, not a package)

from graphforget.exceptions import InputError  # noqa: E402
from graphforget.registry import nearest  # noqa: E402

# experiment -> (module, function); imported when run.
EXPERIMENTS = {
    "deletion": ("deletion", "run_deletion"),
    "speed": ("speed", "run_speed"),
    "kernels": ("kernel_speed", "run_kernels"),
    "region_scaling": ("region_scaling", "run_region_scaling"),
    "recommendation": ("recommendation", "run_recommendation"),
    "recommendation_speed": ("recommendation_speed", "run_recommendation_speed"),
}


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
    parser.add_argument("--tables", action="store_true", help="rewrite the tables and figures from the results")
    options = parser.parse_args()
    try:
        if options.tables:
            from tables import write_tables

            write_tables(HERE.parent)
            return 0
        if options.name not in names:
            raise InputError(f"unknown benchmark '{options.name}': {nearest(str(options.name), names)}")
        records = run(options.name, only=_pairs(options.only), quiet=options.json, smoke=options.smoke)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(records, indent=1))
    else:
        from tables import print_tables

        print_tables(options.name, records)
    return 0


def _pairs(texts: list[str]) -> dict[str, Any]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--only expects KEY=VALUE, got '{text}'.")
        pairs[key] = yaml.safe_load(value)
    return pairs


def run(name: str, *, only: dict[str, Any], quiet: bool, smoke: bool = False) -> list[dict[str, Any]]:
    """Run the missing cells of a benchmark and return all of its records."""
    config = yaml.safe_load((HERE / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    small = config.pop("smoke", None)
    if smoke:
        if small is None:
            raise InputError(f"{name}.yaml names no sizes for --smoke: restrict its cells with --only instead.")
        config |= small
    path = HERE / "results" / f"{name}.jsonl"
    records = [] if smoke else read(path)

    def say(text: str) -> None:
        print(text, file=sys.stderr if quiet else sys.stdout, flush=True)

    def add(made: list[dict[str, Any]]) -> None:
        # One write per cell: an interruption leaves whole cells only, or a last line that `read` drops.
        stamped = [{"benchmark": name, **record, "provenance": provenance()} for record in made]
        if not smoke:
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(record) + "\n" for record in stamped))
        records.extend(stamped)

    module, function = EXPERIMENTS.get(config["experiment"], (None, None))
    if module is None or function is None:
        known = nearest(config["experiment"], [*EXPERIMENTS])
        raise InputError(f"unknown experiment '{config['experiment']}' in {name}.yaml: {known}")
    getattr(importlib.import_module(module), function)(config, records, add, say, only)
    return records


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a results file; a last line cut off by an interruption is dropped."""
    records: list[dict[str, Any]] = []
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
