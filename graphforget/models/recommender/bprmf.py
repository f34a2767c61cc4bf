"""Matrix factorisation for implicit feedback (Rendle et al., BPR, arXiv:1205.2618)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import RowBlock
from graphforget.exceptions import InputError


class BPRMF(nn.Module):
    """One vector per user and item; the score of a pair is their dot product.

    Matrix factorisation for BPR (Rendle et al., UAI 2009, arXiv:1205.2618, section 4.3.1).

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Length of the vectors.
        init_std: Standard deviation of the initial weights.

    Raises:
        InputError: A size is not positive.

    Example:
        >>> model = BPRMF(num_users=3, num_items=5, dim=4)
        >>> model(torch.tensor([0, 2]), torch.tensor([1, 4])).shape
        torch.Size([2])
    """

    def __init__(self, num_users: int, num_items: int, dim: int = 64, init_std: float = 0.1) -> None:
        super().__init__()
        if min(num_users, num_items, dim) < 1:
            raise InputError(f"num_users, num_items and dim must be at least 1, got {num_users}, {num_items} and {dim}.")
        self.num_users, self.num_items, self.dim, self.init_std = num_users, num_items, dim, init_std
        self.user_embedding = nn.Embedding(num_users, dim)
        self.item_embedding = nn.Embedding(num_items, dim)
        self.reset_parameters()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"num_users": self.num_users, "num_items": self.num_items, "dim": self.dim, "init_std": self.init_std}

    def layer_names(self) -> list[str]:
        """The two tables."""
        return ["user_embedding", "item_embedding"]

    def entity_rows(self) -> dict[str, list[RowBlock]]:
        """Which parameter rows belong to which user or item."""
        return {"user": [RowBlock("user_embedding.weight", 0, 1)], "item": [RowBlock("item_embedding.weight", 0, 1)]}

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
