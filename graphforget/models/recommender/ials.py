"""Implicit ALS: matrix factorisation for implicit feedback, solved in alternation (Hu, Koren, Volinsky, ICDM 2008)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import RowBlock
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, Positives

_NUMBERS = 2**22  # entries of the dense blocks that are solved at once


class IALS(nn.Module):
    r"""Implicit ALS: weighted matrix factorisation over *all* pairs (Hu, Koren and Volinsky, ICDM 2008).

    Vectors of users and items minimise (their eq. 3)

    .. math::

        \sum_{u, i} c_{ui} \, (x_{ui} - p_u^\top q_i)^2 + \lambda \bigl( \lVert P \rVert^2 + \lVert Q \rVert^2 \bigr)

    with x 1 for a training interaction and 0 else, and the confidence c = 1 + alpha for an interaction and 1 else. Given Q, every
    :math:`p_u` solves (their eq. 4)

    .. math::

        (Q^\top C_u Q + \lambda I) \, p_u = Q^\top C_u x_u

    where :math:`Q^\top C_u Q` is :math:`Q^\top Q` plus alpha times the sum of :math:`q_i q_i^\top` over the items of u, so that
    a sweep never looks at pairs without interaction. Users are solved in batches of similar length by Cholesky factorisation.
    The tables are in double precision, so that the residual of these equations can certify a solution.

    Users and items without interactions have the vector zero.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Length of the vectors.
        alpha: Additional confidence of an interaction; the paper's 40 wants a larger lambda.
        regulariser: lambda.
        sweeps: Sweeps (all users, then all items) of ``fit_closed_form``.
        init_std: Standard deviation of the initial weights.

    Raises:
        InputError: A size, alpha, lambda or the number of sweeps is not positive.

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]]})
        >>> model = IALS(3, 2, dim=2, regulariser=0.1)
        >>> model.fit_closed_form(data)
        >>> bool(model(torch.tensor([2]), torch.tensor([1])) > 0)
        True
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        alpha: float = 1.0,
        regulariser: float = 10.0,
        sweeps: int = 15,
        init_std: float = 0.1,
    ) -> None:
        super().__init__()
        if min(num_users, num_items, dim, sweeps) < 1:
            raise InputError(
                f"num_users, num_items, dim and sweeps must be at least 1, got {num_users}, {num_items}, {dim} and {sweeps}."
            )
        if min(alpha, regulariser) <= 0:
            raise InputError(f"alpha and regulariser must be positive, got {alpha} and {regulariser}.")
        self.num_users, self.num_items, self.dim = num_users, num_items, dim
        self.alpha, self.regulariser, self.sweeps, self.init_std = float(alpha), float(regulariser), sweeps, float(init_std)
        self.user_embedding = nn.Embedding(num_users, dim, dtype=torch.double)
        self.item_embedding = nn.Embedding(num_items, dim, dtype=torch.double)
        self.reset_parameters()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = ("num_users", "num_items", "dim", "alpha", "regulariser", "sweeps", "init_std")
        return {name: getattr(self, name) for name in names}

    def layer_names(self) -> list[str]:
        """The two tables."""
        return ["user_embedding", "item_embedding"]

    def entity_rows(self) -> dict[str, list[RowBlock]]:
        """Which parameter rows belong to which user or item."""
        return {"user": [RowBlock("user_embedding.weight")], "item": [RowBlock("item_embedding.weight")]}

    def reset_parameters(self) -> None:
        """Fresh normal weights from torch's generator."""
        nn.init.normal_(self.user_embedding.weight, std=self.init_std)
        nn.init.normal_(self.item_embedding.weight, std=self.init_std)

    def forward(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        """Scores [n] of the pairs (``user_id`` [n], ``item_id`` [n])."""
        return torch.einsum("nd,nd->n", self.user_embedding(user_id), self.item_embedding(item_id))

    def score_all(self, user_id: Tensor) -> Tensor:
        """Scores [n, num_items] of every item for the users ``user_id`` [n]."""
        return self.user_embedding(user_id) @ self.item_embedding.weight.t()

    def fit_closed_form(self, data: Interactions) -> None:
        """``sweeps`` sweeps from the present item vectors, in place.

        Raises:
            InputError: The data has other users or items than the model.
        """
        by_user, by_item = self.sides(data)
        for _ in range(self.sweeps):
            self.solve_users(by_user)
            self.solve_items(by_item)

    def sides(self, data: Interactions) -> tuple[Positives, Positives]:
        """Training items by user, and training users by item.

        Raises:
            InputError: The data has other users or items than the model.
        """
        if (data.num_users, data.num_items) != (self.num_users, self.num_items):
            raise InputError(
                f"IALS was made for {self.num_users} users and {self.num_items} items, but the data has {data.num_users} and "
                f"{data.num_items}."
            )
        pairs = data.splits["train"]
        return (
            Positives.from_pairs(pairs, self.num_users, self.num_items),
            Positives.from_pairs(pairs.flip(1), self.num_items, self.num_users),
        )

    def solve_users(self, by_user: Positives, users: Tensor | None = None) -> None:
        """Solve the vectors of some users (by default all) given those of the items, in place."""
        self._solve(self.user_embedding.weight, self.item_embedding.weight, by_user, users)

    def solve_items(self, by_item: Positives, items: Tensor | None = None) -> None:
        """Solve the vectors of some items (by default all) given those of the users, in place."""
        self._solve(self.item_embedding.weight, self.user_embedding.weight, by_item, items)

    @torch.no_grad()
    def _solve(self, table: Tensor, other: Tensor, positives: Positives, rows: Tensor | None) -> None:
        everyone = torch.arange(len(table)) if rows is None else rows
        gram = other.t() @ other
        gram.diagonal().add_(self.regulariser)
        for part, taken, length in _blocks(positives, everyone, self.dim):
            place = torch.arange(len(taken)) - (positives.counts()[part].cumsum(0) - positives.counts()[part])[taken[:, 0]]
            q = other.new_zeros(len(part), length, self.dim)  # rows of zeros fill up shorter lists and add nothing
            q[taken[:, 0].to(q.device), place.to(q.device)] = other[taken[:, 1].to(q.device)]
            left = torch.baddbmm(gram.expand(len(part), -1, -1), q.transpose(1, 2), q, alpha=self.alpha)
            right = (1 + self.alpha) * q.sum(1).unsqueeze(2)
            table[part.to(table.device)] = torch.cholesky_solve(right, torch.linalg.cholesky(left)).squeeze(2)

    @torch.no_grad()
    def residual(self, data: Interactions, users: Tensor | None = None, items: Tensor | None = None) -> float:
        """Largest entry of ``(Q'C_u Q + lambda I) p_u - Q'C_u x_u`` over some users, or of its like over some items.

        Each as a share of the largest entry of the right sides ``Q'C_u x_u``, so that it has no unit; 0 is a solution.

        Args:
            data: Interactions.
            users: [n]; by default all.
            items: [m]; by default all.
        """
        by_user, by_item = self.sides(data)
        p, q = self.user_embedding.weight, self.item_embedding.weight
        return max(self._residual(p, q, by_user, users), self._residual(q, p, by_item, items))

    def _residual(self, table: Tensor, other: Tensor, positives: Positives, rows: Tensor | None) -> float:
        rows = torch.arange(len(table)) if rows is None else rows
        if not len(rows):
            return 0.0
        taken = positives.of(rows).to(table.device)
        own = table[rows.to(table.device)]
        left = own @ (other.t() @ other) + self.regulariser * own
        q = other[taken[:, 1]]
        left.index_add_(0, taken[:, 0], self.alpha * (own[taken[:, 0]] * q).sum(1, keepdim=True) * q)
        right = (1 + self.alpha) * torch.zeros_like(own).index_add_(0, taken[:, 0], q)
        return float((left - right).abs().max() / right.abs().max().clamp_min(torch.finfo(right.dtype).tiny))


def _blocks(positives: Positives, rows: Tensor, dim: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Rows in groups of similar length: (rows [n], their pairs (position, other side) [m, 2], the longest list)."""
    order = rows[positives.counts()[rows].argsort(descending=True, stable=True)]
    start = 0
    while start < len(order):
        length = int(positives.counts()[order[start]])
        part = order[start : start + max(_NUMBERS // (max(length, dim) * dim), 1)]
        yield part, positives.of(part), length
        start += len(part)
