"""Serving: the lists that people see, with everything left out that must not be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions
from graphforget.metrics.utility import top_items
from graphforget.tasks.recommendation.ranking import Scorer, blocks_of, scorer


def denied(score: Scorer, deny: Mapping[str, Tensor]) -> Scorer:
    """The same scores with NaN for what must not be served: in the columns of denied items, in the rows of denied users.

    Args:
        score: A function from user ids [n] to scores [n, num_items].
        deny: Ids by kind, as in ``Serving.deny``, e.g. ``{"item": [2, 9]}``.
    """
    users, items = deny.get("user"), deny.get("item")
    if users is None and items is None:
        return score

    def masked(user_id: Tensor) -> Tensor:
        scores = score(user_id).clone()  # a model may offer a table that it keeps
        if items is not None:
            scores[:, items] = float("nan")
        if users is not None:
            scores[torch.isin(user_id, users)] = float("nan")
        return scores

    return masked


def recommend(
    task: Any, model: nn.Module, data: Interactions, user_id: Any, *, top_k: int = 20, deny: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Ranked lists as they are served: no item that the user has, none that is forgotten, none that is denied.

    Args:
        task: The recommendation task.
        model: The model.
        data: The data that it is served on.
        user_id: [n] users, in the order of the lists; ``data.user_ids(names)`` finds those that have names.
        top_k: Length of the lists.
        deny: What must not be served, by kind; ``result.serving.deny`` for a result.

    Returns:
        [n, top_k] items, best first; -1 where there is no candidate left, as for forgotten and denied users.

    Raises:
        InputError: Unknown users, or no place in the list.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> result = tiny_case("recommendation").unlearn("mask", "items")
        >>> lists = recommend(result.task, result.model, result.data, [0, 3], top_k=18, deny=result.serving.deny)
        >>> lists.shape, bool(torch.isin(lists, result.serving.deny["item"]).any())
        (torch.Size([2, 18]), False)
    """
    users = data.own_names("user").listed(user_id)
    if top_k < 1:
        raise InputError(f"top_k must be at least 1, got {top_k}.")
    score = denied(scorer(model, data, lambda device: task.context(data, device)), deny or {})
    positives = task.context(data).positives
    lists = [top_items(score(block), top_k, exclude=positives.of(block)) for block in blocks_of(users, data.num_items)]
    found = torch.cat(lists) if lists else torch.empty(0, top_k, dtype=torch.long)
    short = top_k - found.size(1)  # fewer items than places
    return torch.nn.functional.pad(found, (0, short), value=-1) if short > 0 else found
