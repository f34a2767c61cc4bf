"""Rows of forgotten users, items and modalities: found through ``entity_rows()``, put back to fresh weights, and counted."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Run, rows_by_parameter
from graphforget.base.capabilities import entity_rows
from graphforget.exceptions import InputError, Reason
from graphforget.interactions import Interactions
from graphforget.requests import DeletionRequest, ForgetSplit

SCOPES = ("requested", "touched")
# What takes interactions away: the kinds that a method serves which works on interactions that are gone.
REMOVING_KINDS = frozenset({"user", "item", "interaction"})

Manifest = dict[str, dict[str, int] | list[str]]


def entities(split: ForgetSplit, scope: str) -> dict[str, Tensor]:
    """Users and items whose rows are put back, and items that lose a modality, as :func:`rows_by_parameter` takes them.

    Args:
        split: The resolved request; examples are rows (user, item).
        scope: ``"requested"``: those that the request names. ``"touched"``: also both ends of every removed interaction.
    """
    named = {kind: split.request.ids(kind) for kind in ("user", "item")}
    if scope == "touched":
        named = {kind: torch.unique(torch.cat([ids, split.removed[:, side]])) for side, (kind, ids) in enumerate(named.items())}
    return named | {f"modality:{name}": ids for name, ids in split.request.modalities.items()}


def row_reasons(request: DeletionRequest, scope: str) -> list[Reason]:
    """Reason against a scope to which no row belongs."""
    if scope == "requested" and set(request.kinds) == {"interaction"}:
        text = (
            "an interaction has no row of its own: choose reset='touched', which resets its user and its item, or 'unlink', "
            "which takes it out of the graph"
        )
        return [Reason("reset", text)]
    return []


def fresh_tables(run: Run) -> dict[str, Tensor]:
    """The tables of ``entity_rows()`` as a fresh model of the run's seed has them, by parameter.

    Raises:
        InputError: The task makes models of other shapes than this one.
    """
    blocks = entity_rows(run.model)
    names = {block.parameter for kind in blocks.values() for block in kind}
    tables = dict(run.model.named_parameters())
    made = dict(run.task.new_model(run.split.retain_data, seed=seeds.derive(run.seed, "rows")).named_parameters())
    for name in sorted(names):
        if name not in made or made[name].shape != tables[name].shape:
            raise InputError(
                f"a fresh model of the task has no table '{name}' of shape {list(tables[name].shape)}: give the task the build "
                f"or template that the model was made with."
            )
    return {name: made[name].detach().to(tables[name]) for name in sorted(names)}


def reset_rows(model: nn.Module, ids: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, int]:
    """Give the rows of entities the values of ``fresh``, in place.

    Trained corrections that start at zero, such as feature offsets, are back at zero: features then are what the data say.

    Returns:
        Number of rows by parameter.
    """
    tables = dict(model.named_parameters())
    rows = rows_by_parameter(model, ids)
    with torch.no_grad():
        for name, which in rows.items():
            which = which.to(fresh[name].device)
            tables[name][which] = fresh[name][which]
    return {name: len(which) for name, which in rows.items()}


def manifest(run: Run, rows: Mapping[str, int]) -> Manifest:
    """What a deletion touched, JSON-safe: rows by parameter, interactions by part, feature rows, and graphs."""
    before: Interactions = run.split.data
    after: Interactions = run.split.retain_data
    features = {
        name: int((table.isfinite().all(1) & ~after.features[name].isfinite().all(1)).sum())
        for name, table in before.features.items()
    }
    lost = {part: len(pairs) - len(after.part(part)) for part, pairs in before.splits.items()}
    graphs = [*(["interactions"] if lost["train"] else []), *sorted(name for name, count in features.items() if count)]
    touched = graphs if run.task.reads_structure(run.model) else []
    return {"rows": dict(rows), "interactions": lost, "features": features, "graphs": touched}


def surgery(run: Run, scope: str) -> dict[str, Manifest]:
    """Reset rows in ``run.model`` and say what was touched: ``{"touched": manifest}``."""
    return {"touched": manifest(run, reset_rows(run.model, entities(run.split, scope), fresh_tables(run)))}
