"""EASE with item content: a linear item-item model with a closed form (Steck, WWW 2019, arXiv:1905.03375)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions, Positives
from graphforget.kernels import SparseGraph, spmm

_BLOCK = 512  # users, or items, whose rows or columns are made dense at once


@dataclass(frozen=True, eq=False)
class ItemScores:
    """Scores ``X B`` of users from the items they took; the interface of ``Encoded``."""

    precision: Tensor
    positives: Positives
    user_id: Tensor
    item_id: Tensor | None

    def scores(self, user: Tensor) -> Tensor:
        """Scores [n, I] of every item asked for, for the rows ``user`` [n] of the users asked for."""
        return torch.cat([self._block(part) for part in self.user_id[user].split(_BLOCK)]) if len(user) else self._block(user)

    def _block(self, users: Tensor) -> Tensor:
        place = self.precision.device
        taken = self.positives.of(users.cpu()).to(place)
        counts = torch.bincount(taken[:, 0], minlength=len(users))
        rowptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        table = SparseGraph(rowptr, taken[:, 1].contiguous(), num_cols=len(self.precision))
        diagonal = self.precision.diagonal()
        # B = -P / diag(P) column by column, with a zero diagonal: an item says nothing of itself.
        scores = spmm(table, self.precision).neg_()
        scores[taken[:, 0], taken[:, 1]] += diagonal[taken[:, 1]]
        scores = torch.where(diagonal > 0, scores / diagonal.clamp_min(1e-300), 0.0)
        return scores if self.item_id is None else scores[:, self.item_id]

    def pair_scores(self, user: Tensor, item: Tensor) -> Tensor:
        """Scores [n] of pairs of rows, block of users by block of users."""
        result = self.precision.new_zeros(len(user))
        order = torch.argsort(user, stable=True)
        rows, count = torch.unique_consecutive(user[order], return_counts=True)
        ends = torch.cat([count.new_zeros(1), count.cumsum(0)])
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            where = order[int(ends[start]) : int(ends[min(start + _BLOCK, len(rows))])]
            result[where] = self.scores(part)[torch.searchsorted(part, user[where]), item[where]]
        return result


class EASE(nn.Module):
    r"""A linear item-item model with a closed form (Steck, WWW 2019, arXiv:1905.03375), with item content.

    Scores are :math:`X B` with the B of zero diagonal that minimises

    .. math::

        \lVert X - X B \rVert^2 + \beta \, \lVert F^\top - F^\top B \rVert^2 + \lambda \lVert B \rVert^2

    X are the training interactions of the data it is asked about, F [items, features] the items' unit-length features. Off the
    diagonal B is (Steck, eq. 8)

    .. math::

        B_{ij} = -\frac{P_{ij}}{P_{jj}}, \qquad P = G^{-1}, \qquad G = X^\top X + \beta F F^\top + \lambda I

    P, in double precision, is all the model keeps: items, users and pairs can be taken out of it exactly. It is symmetric, and
    rows and columns of forgotten items are zero.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        regulariser: lambda.
        content_weight: beta; 0 ignores features.

    Raises:
        InputError: A size or lambda is not positive, or beta is negative.

    Example:
        >>> from graphforget.interactions import Interactions
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]]})
        >>> model = EASE(3, 2, regulariser=1.0)
        >>> model.fit_closed_form(data)
        >>> bool(model(InteractionGraph(data)).scores(torch.tensor([2]))[0, 1] > 0)
        True
    """

    reads_graph = True  # the users' items are read from the data, so a forgotten interaction is not read any more

    def __init__(self, num_users: int, num_items: int, regulariser: float = 100.0, content_weight: float = 0.0) -> None:
        super().__init__()
        if min(num_users, num_items) < 1:
            raise InputError(f"num_users and num_items must be at least 1, got {num_users} and {num_items}.")
        if regulariser <= 0 or content_weight < 0:
            raise InputError(
                f"regulariser must be positive and content_weight 0 or more, got {regulariser} and {content_weight}."
            )
        self.num_users, self.num_items = num_users, num_items
        self.regulariser, self.content_weight = float(regulariser), float(content_weight)
        self.register_buffer("precision", torch.empty(num_items, num_items, dtype=torch.double))
        self.precision: Tensor
        self.reset_parameters()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "num_users": self.num_users,
            "num_items": self.num_items,
            "regulariser": self.regulariser,
            "content_weight": self.content_weight,
        }

    def layer_names(self) -> list[str]:
        """None: there are no layers."""
        return []

    def reset_parameters(self) -> None:
        """A model that has seen nothing: P = I / lambda, and B = 0."""
        with torch.no_grad():
            self.precision.zero_().fill_diagonal_(1 / self.regulariser)

    def gram(self, data: Interactions) -> Tensor:
        """G over all item slots, [num_items, num_items] float64; the identity for forgotten items.

        Args:
            data: Interactions, with features where ``content_weight`` is positive.

        Raises:
            InputError: Content is asked for and the data has none.
        """
        live, positives = data.alive_items, data.positives
        by_item = SparseGraph(positives.rowptr, positives.items, num_cols=self.num_items).transpose()
        gram = torch.empty(self.num_items, self.num_items, dtype=torch.double)
        user, item = data.splits["train"].unbind(1)
        for start in range(0, self.num_items, _BLOCK):
            end = min(start + _BLOCK, self.num_items)
            here = (item >= start) & (item < end)
            x = torch.zeros(self.num_users, end - start, dtype=torch.double)
            x[user[here], item[here] - start] = 1
            gram[:, start:end] = spmm(by_item, x)
        if self.content_weight:
            features = self.features(data)
            gram.addmm_(features, features.t(), alpha=self.content_weight)
        diagonal = gram.diagonal()
        diagonal += torch.where(live, self.regulariser, 1.0)
        return gram

    def features(self, data: Interactions) -> Tensor:
        """F: all modalities side by side, each row of each of unit length, over the square root of their number; float64.

        Raises:
            InputError: The data has no features.
        """
        graph = InteractionGraph(data)
        if not graph.modalities:
            raise InputError("content_weight is positive, but the data has no item features: set it to 0, or give features.")
        tables = [nn.functional.normalize(graph.feature(name).double()) for name in graph.modalities]
        return torch.cat(tables, 1) / len(tables) ** 0.5

    def fit_closed_form(self, data: Interactions) -> None:
        """Solve for P in place.

        Raises:
            InputError: The data has other items than the model.
        """
        if (data.num_users, data.num_items) != (self.num_users, self.num_items):
            raise InputError(
                f"EASE was made for {self.num_users} users and {self.num_items} items, but the data has {data.num_users} "
                f"and {data.num_items}."
            )
        precision = torch.cholesky_inverse(torch.linalg.cholesky(self.gram(data)))
        dead = ~data.alive_items
        precision[dead], precision[:, dead] = 0.0, 0.0
        with torch.no_grad():
            self.precision.copy_(precision)

    def forward(self, graph: InteractionGraph, user_id: Tensor | None = None, item_id: Tensor | None = None) -> ItemScores:
        """Scores of users and items, read from the interactions of ``graph``.

        Args:
            graph: What is derived from the interactions.
            user_id: [U] ids; by default all users.
            item_id: [I] ids; by default all items.
        """
        users = torch.arange(self.num_users, device=self.precision.device) if user_id is None else user_id
        return ItemScores(self.precision, graph.positives, users, item_id)

    def penalty(self, encoded: ItemScores, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """0: the objective is solved, not descended."""
        return self.precision.new_zeros(())
