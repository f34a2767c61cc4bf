"""What the tables and vectors of recommenders hold of forgotten users and items."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Ensemble, device_of, evaluating, rows_by_parameter
from graphforget.base.capabilities import encoded_table, entity_rows, has_entity_rows, reads_graph
from graphforget.interactions import Interactions

Fresh = Mapping[str, Tensor]


def fresh_parameters(task: Any, data: Interactions) -> Fresh:
    """Parameters of a fresh model of the task, the same for all models of a report: what new ids would get."""
    return dict(task.new_model(data, seed=seeds.derive(0, "reingest")).named_parameters())


def with_fresh_rows(model: nn.Module, fresh: Fresh, items: Tensor) -> nn.Module:
    """A copy in which items have fresh rows: what a new id would get.

    A new id has a new row and the content of the item; the copy gives the same scores without growing every table.

    Args:
        model: Offers ``entity_rows()``.
        fresh: From :func:`fresh_parameters`.
        items: [n] ids.
    """
    rows = rows_by_parameter(model, {"item": items})
    again = copy.deepcopy(model)
    with torch.no_grad():
        for name, table in again.named_parameters():
            if name in rows:
                table[rows[name].to(table.device)] = fresh[name].cpu()[rows[name]].to(table)
    return again


def row_norms(model: nn.Module, fresh: Fresh, kind: str, ids: Tensor) -> Tensor | None:
    """Length of the rows of users or items, all of their tables together, over the mean length of these rows when fresh.

    An id that was never trained on, a cold one, has fresh rows: about 1.

    Args:
        model: Offers ``entity_rows()``.
        fresh: From :func:`fresh_parameters`.
        kind: ``"user"`` or ``"item"``.
        ids: [n].

    Returns:
        [n] float64; None where there is no such row, or fresh rows are zero.
    """
    blocks = entity_rows(model).get(kind, [])

    def lengths(tables: Mapping[str, Tensor]) -> Tensor:
        rows = [tables[b.parameter].detach().cpu()[b.offset + b.stride * ids].double().view(len(ids), -1) for b in blocks]
        return torch.cat(rows, 1).norm(dim=1)

    if not blocks or not len(ids):
        return None
    cold = float(lengths(fresh).mean())
    return lengths(dict(model.named_parameters())) / cold if cold > 0 else None


def final_vectors(task: Any, model: nn.Module, data: Interactions, kind: str) -> Tensor | None:
    """Vectors whose dot product is the score, [number of users or items, d]; None where a model has none."""
    if isinstance(model, Ensemble):
        return None
    if reads_graph(model):
        with evaluating(model):
            encoded = model(task.context(data, device_of(model)))
        vectors = encoded_table(encoded, "users" if kind == "user" else "items")
        return None if vectors is None else vectors.detach().cpu()
    blocks = model.entity_rows().get(kind, []) if has_entity_rows(model) else []
    if not blocks:
        return None
    table = dict(model.named_parameters())[blocks[0].parameter].detach().cpu()
    size = data.num_users if kind == "user" else data.num_items
    return table[blocks[0].offset + blocks[0].stride * torch.arange(size)]
