"""How a recommender is trained without any library for it: a COO matrix, negatives drawn one by one in Python, plain Adam."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Draws = tuple[Tensor, Tensor, Tensor]  # users, items, other items


class PlainModel(Protocol):
    """A model that :class:`PlainTraining` trains."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Everything that is trained."""

    def loss(self, user: Tensor, item: Tensor, other: Tensor) -> Tensor:
        """The objective of one batch, a scalar."""


def coo(row: Tensor, column: Tensor, value: Tensor, shape: Sequence[int]) -> Tensor:
    """A sparse matrix, coalesced once."""
    return torch.sparse_coo_tensor(torch.stack([row, column]), value.float(), tuple(shape), check_invariants=True).coalesce()


def user_item_values(pairs: Tensor, num_users: int, num_items: int) -> Tensor:
    """``1 / sqrt(degree of the user * degree of the item)`` for each pair, [n]."""
    user, item = pairs.t()
    users, items = torch.bincount(user, minlength=num_users), torch.bincount(item, minlength=num_items)
    return (users[user] * items[item]).float().rsqrt()


def adjacency(pairs: Tensor, num_users: int, num_items: int) -> Tensor:
    """``D^-1/2 A D^-1/2`` over users, then items."""
    user, item = pairs[:, 0], pairs[:, 1] + num_users
    value = user_item_values(pairs, num_users, num_items)
    size = num_users + num_items
    return coo(torch.cat([user, item]), torch.cat([item, user]), torch.cat([value, value]), (size, size))


def propagated(matrix: Tensor, ids: Tensor, num_layers: int) -> Tensor:
    """The mean of the layers ``matrix^l ids``, l = 0 .. num_layers."""
    layers = [ids]
    for _ in range(num_layers):
        layers.append(torch.sparse.mm(matrix, layers[-1]))
    return torch.stack(layers).mean(0)


def bpr(user: Tensor, item: Tensor, other: Tensor) -> Tensor:
    """The mean of ``-ln sigmoid(y(u, i) - y(u, j))`` over rows of vectors [B, d]."""
    return -nn.functional.logsigmoid((user * item).sum(1) - (user * other).sum(1)).mean()


def half_squared(*rows: Tensor) -> Tensor:
    """Half the squared norms of rows [B, d], added up and divided by B."""
    return 0.5 * (torch.cat(rows) ** 2).sum() / len(rows[0])


class PlainTraining:
    """Epochs of shuffled batches, one other item per interaction.

    Args:
        model: Trained in place.
        pairs: Training interactions (user, item), [n, 2]; other items are drawn uniformly from the items that stand in them.
        lr: Learning rate of Adam.
        batch_size: Interactions per step.
        seed: Seed of order and negatives.
    """

    def __init__(self, model: PlainModel, pairs: Tensor, *, lr: float, batch_size: int, seed: int) -> None:
        self.model, self.batch_size = model, batch_size
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.pairs: list[tuple[int, int]] = [(user, item) for user, item in pairs.tolist()]
        self.items = sorted({item for _, item in self.pairs})
        self.taken: dict[int, set[int]] = {}
        for user, item in self.pairs:
            self.taken.setdefault(user, set()).add(item)
        self.random = random.Random(seed)

    def other(self, user: int) -> int:
        """A random item that the user has not taken."""
        taken = self.taken[user]
        item = self.random.choice(self.items)
        while item in taken:
            item = self.random.choice(self.items)
        return item

    def batches(self) -> Iterator[Draws]:
        """One epoch."""
        self.random.shuffle(self.pairs)
        for start in range(0, len(self.pairs), self.batch_size):
            rows = [(user, item, self.other(user)) for user, item in self.pairs[start : start + self.batch_size]]
            user, item, other = torch.tensor(rows).t()
            yield user, item, other

    def epoch(self) -> float:
        """Train for one epoch; the last batch's loss."""
        value: Any = None
        for user, item, other in self.batches():
            self.optimizer.zero_grad()
            value = self.model.loss(user, item, other)
            value.backward()
            self.optimizer.step()
        return float(value.detach())
