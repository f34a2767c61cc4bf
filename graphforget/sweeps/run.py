"""sweep: every missing cell of a grid, then the tables."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from graphforget.datasets import DATASETS
from graphforget.exceptions import InputError
from graphforget.home import write_text
from graphforget.models import MODELS
from graphforget.sweeps.config import SweepConfig, load_grid
from graphforget.sweeps.frames import long_frame, question_tables
from graphforget.sweeps.plan import Cell, plan, select
from graphforget.sweeps.ranks import mean_ranks
from graphforget.sweeps.records import Record, missing, read_cells, read_lost, write_lost
from graphforget.sweeps.tables import render, write_tables
from graphforget.sweeps.workers import Outcome, run_here, run_in_workers
from graphforget.unlearners import METHODS

if TYPE_CHECKING:
    import pandas

Progress = Callable[[int, int, Outcome], None]


@dataclass(frozen=True, eq=False)
class Sweep:
    """A grid with its records.

    Attributes:
        folder: Where they are: ``cells/``, ``records.jsonl``, ``tables.md``, ``tables/``, ``ranks.csv``, ``ranks.png``.
        config: The grid.
        records: One per model measured, see :mod:`graphforget.sweeps.records`; also those of earlier calls.
        ran: Cells that this call worked on.
        skipped: Cells that had all of their records before.
        lost: Cells without records, and why; the next call tries them again.
    """

    folder: Path
    config: SweepConfig
    records: list[Record] = field(repr=False)
    ran: int
    skipped: int
    lost: list[Record]

    @cached_property
    def figures(self) -> pandas.DataFrame:
        """Every figure of every record as one long table."""
        return long_frame(self.records)

    def tables(self) -> dict[str, pandas.DataFrame]:
        """Per question (data, model and request) a table of all methods: means, intervals and multiples of the floor."""
        return question_tables(self.records, self.config.columns, self.config.rank_by)

    def ranks(self) -> pandas.DataFrame:
        """The mean rank of every method; see :func:`graphforget.sweeps.ranks.mean_ranks`."""
        return mean_ranks(self.records, self.config.rank_by)

    def to_markdown(self) -> str:
        """All tables as Markdown text."""
        return render(self.records, self.config.columns, self.config.rank_by, lost=self.lost)


def sweep(
    grid: str | Path | Mapping[str, Any] | SweepConfig,
    *,
    overrides: Sequence[str] = (),
    only: Mapping[str, Any] | None = None,
    folder: str | Path = "sweeps",
    workers: int | None = None,
    smoke: bool = False,
    retry: bool = False,
    run: bool = True,
    progress: Progress | None = None,
) -> Sweep:
    """Run the missing cells of a grid: the product of data, models, requests, methods and seeds.

    A cell is data, model, request and seed; its methods share an original and golds. A killed sweep continues where it stopped,
    and a changed grid runs what is new in it. What a method refuses or raises is its record, and the others go on.

    Args:
        grid: A YAML file, a mapping or a :class:`SweepConfig`.
        overrides: ``"evaluate.gold=5"`` and the like.
        only: Restrict the cells, e.g. ``{"seed": [0, 1], "method": "finetune"}``; a list holds alternatives.
        folder: Where sweeps go; this one to ``<folder>/<name>``.
        workers: Worker processes of one thread each; default: the grid's. 0 works in this process.
        smoke: Small sizes, which the grid names under ``smoke:``, and nothing kept: does it run from end to end?
        retry: Run methods again that failed.
        run: False only writes the tables of what is there.
        progress: ``progress(number, total, outcome)`` per cell.

    Raises:
        InputError: The grid is wrong, or no cell matches ``only``.

    Example:
        >>> import tempfile
        >>> grid = {"name": "small", "task": {"name": "node_classification", "recipe": {"epochs": 5}}, "data": ["karate"],
        ...         "models": {"gcn": {"hidden_channels": 4}}, "requests": [{"target": "node", "where": "random", "size": 2}],
        ...         "methods": ["finetune"], "seeds": [0], "evaluate": {"gold": 2}}
        >>> done = sweep(grid, folder=tempfile.mkdtemp())
        >>> done.ran, sorted({r["label"] for r in done.records if r["role"] == "unlearned"})
        (1, ['finetune', 'identity', 'retrain', 'unlink'])
    """
    config = load_grid(grid, overrides, smoke=smoke)
    alternatives = {key: list(v) if isinstance(v, (list, tuple)) else [v] for key, v in (only or {}).items()}
    cells = plan(config)
    asked = select(cells, alternatives)
    count = config.workers if workers is None else workers
    if count < 0:
        raise InputError(f"workers must be 0 or more, got {count}.")
    if count:
        _check_names(config)
    with tempfile.TemporaryDirectory() if smoke else contextlib.nullcontext(folder) as place:
        return _run(
            config, cells, asked, Path(place) / config.name, count, retry=retry, run=run, kept=not smoke, progress=progress
        )


def _check_names(config: SweepConfig) -> None:
    """Refuse, for workers, names that were added in this process alone.

    Raises:
        InputError: There is one; its path says the same in every process.
    """
    sections: list[tuple[str, Any, list[str | None]]] = [("methods", METHODS, [section.method for section in config.methods])]
    sections += [("data", DATASETS, [section.name for section in config.data.values()])]
    sections += [("models", MODELS, [one.name for settings in config.models.values() for one in settings])]
    for where, registry, names in sections:
        for entry in registry.entries():
            if entry.origin == "this process" and entry.key in names:
                raise InputError(
                    f"{where}: '{entry.key}' was added in this process, and workers do not know it: write '{entry.target}', "
                    f"or use workers=0."
                )


def _run(
    config: SweepConfig,
    cells: list[Cell],
    asked: list[Cell],
    folder: Path,
    workers: int,
    *,
    retry: bool,
    run: bool,
    kept: bool,
    progress: Progress | None,
) -> Sweep:
    jobs = [(cell, labels) for cell in asked if (labels := missing(folder, cell, retry=retry))] if run else []
    if kept and run:
        content = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        write_text(folder / "grid.yaml", yaml.safe_dump(content, sort_keys=False, width=120))
    number = 0

    def tell(outcome: Outcome) -> None:
        nonlocal number
        number += 1
        if outcome.lost is not None:
            write_lost(folder, outcome.cell, outcome.lost)
        if progress is not None:
            progress(number, len(jobs), outcome)

    if workers:
        run_in_workers(folder, jobs, workers, tell)
    else:
        run_here(folder, jobs, tell)
    done = Sweep(folder, config, read_cells(folder, cells), len(jobs), len(asked) - len(jobs), read_lost(folder, cells))
    if kept:
        write_tables(folder, config, done.records, done.lost)
    return done
