"""Rows of a model's tables that belong to users, items or nodes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import entity_rows


def rows_by_parameter(model: nn.Module, ids: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rows of every parameter that belong to some entities, ascending.

    Args:
        model: Offers ``entity_rows()``.
        ids: Entities by kind, e.g. ``{"item": [n]}``; ``"modality:image"`` stands for items whose image alone is meant, and
            has the rows of blocks with that ``modality``.

    Returns:
        Row numbers by parameter; parameters without a row of the entities are left out.

    Raises:
        InputError: The model does not say which rows belong to whom.

    Example:
        >>> from graphforget.models import BPRMF
        >>> rows = rows_by_parameter(BPRMF(3, 4, 2), {"item": torch.tensor([2, 1])})
        >>> [found.tolist() for found in rows.values()]
        [[1, 2]]
    """
    found: dict[str, list[Tensor]] = {}
    for kind, blocks in entity_rows(model).items():
        for block in blocks:
            for key in (kind,) if block.modality is None else (kind, f"modality:{block.modality}"):
                if len(ids.get(key, ())):
                    found.setdefault(block.parameter, []).append(block.offset + block.stride * ids[key])
    return {name: torch.unique(torch.cat(rows)) for name, rows in found.items()}
