"""LightGCN (He et al., SIGIR 2020, arXiv:2002.02126) as a user writes it: ``torch.sparse.mm`` on a COO matrix."""

from __future__ import annotations

import torch
from plain_training import adjacency, bpr, half_squared, propagated
from torch import Tensor, nn

from graphforget.interactions import Interactions
from graphforget.models import LightGCN


class PlainLightGCN(nn.Module):
    """The model that :class:`graphforget.models.LightGCN` is, with its weights.

    Args:
        ours: Gives sizes, settings and weights.
        data: Training interactions.
        l2: Coefficient of half the squared norms of the id vectors of a batch.
    """

    def __init__(self, ours: LightGCN, data: Interactions, *, l2: float) -> None:
        super().__init__()
        self.l2, self.num_layers = l2, ours.num_layers
        self.cut = [ours.num_users, ours.num_items]
        self.user_embedding = nn.Embedding(ours.num_users, ours.dim)
        self.item_embedding = nn.Embedding(ours.num_items, ours.dim)
        self.load_state_dict(ours.state_dict())
        self.matrix = adjacency(data.splits["train"], *self.cut)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Final vectors of all users and of all items."""
        ids = torch.cat([self.user_embedding.weight, self.item_embedding.weight])
        users, items = propagated(self.matrix, ids, self.num_layers).split(self.cut)
        return users, items

    def loss(self, user: Tensor, item: Tensor, other: Tensor) -> Tensor:
        """Ranking loss and regulariser of one batch."""
        users, items = self()
        rows = self.user_embedding(user), self.item_embedding(item), self.item_embedding(other)
        return bpr(users[user], items[item], items[other]) + self.l2 * half_squared(*rows)
