"""``scope="region"``: the same method, run on the part of the graph that a deletion reaches."""

from __future__ import annotations

import dataclasses

from graphforget.base import RegionOptions, Run, Task
from graphforget.exceptions import InputError, Reason
from graphforget.unlearners._shared.checks import check_choice, check_count

SCOPES = ("full", "region")


def check_scope(scope: str, fanout: int | None, retain_sample: int = 0) -> None:
    """Refuse values that do not fit.

    Raises:
        InputError: An unknown scope, a number out of range, or a fan-out for the whole graph.
    """
    check_choice("scope", scope, SCOPES)
    check_count("fanout", fanout, low=1, none="no limit")
    check_count("retain_sample", retain_sample)
    if fanout is not None and scope != "region":
        raise InputError("fanout limits what a region reads: give it with scope='region', or leave it out.")


def scope_reasons(task: Task, scope: str) -> list[Reason]:
    """Why a scope cannot be served on a task: one that does not take regions out has none."""
    if scope == "region" and type(task).local_split is Task.local_split:
        return [Reason("scope", f"scope='region' needs an input graph, and task '{task.name}' has none: use scope='full'")]
    return []


def localised(run: Run, options: RegionOptions) -> tuple[Run, dict[str, float]]:
    """The run on the part of the graph that its deletion reaches, and facts for the result's ``info``.

    What can change lies within L hops of the deletion, L being the task's ``num_hops``; computing that exactly reads 2L hops.

    Args:
        run: The run on the whole graph; model, generator and curve are shared.
        options: What is read beside the region, or of it.

    Returns:
        (a run whose split names slots of the part; ``region_rows``, ``region_entries`` and ``region_share``).
    """
    split, facts = run.task.local_split(run.split, run.model, options, run.generator)
    return dataclasses.replace(run, split=split), facts
