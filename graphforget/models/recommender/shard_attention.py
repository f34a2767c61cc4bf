"""ShardAttention: vectors of several models combined by attention (RecEraser, Chen et al., WWW 2022, arXiv:2201.06820)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.exceptions import InputError


class ShardAttention(nn.Module):
    r"""One vector per user and item, put together from those that several models have for it.

    The aggregation of RecEraser (Chen et al., WWW 2022, arXiv:2201.06820). With the vector :math:`e_k` of model k for a user,

    .. math::

        t_k = W_k e_k + b_k, \qquad a_k = \operatorname{softmax}_k \bigl( h^\top \operatorname{relu}(V t_k + c) \bigr)

    bring it into a common space and weigh it there: the user's vector is :math:`\sum_k a_k t_k`. Items share W and b, and have
    their own V, c and h. A score is the dot product of both.

    The tables of vectors are buffers, filled by :meth:`fill`; training moves the rest. At the start W is the identity.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Length of the vectors.
        num_shards: Number of models.

    Raises:
        InputError: A size is not positive.

    Example:
        >>> model = ShardAttention(num_users=2, num_items=3, dim=4, num_shards=2)
        >>> model.fill(0, torch.ones(2, 4), torch.ones(3, 4))
        >>> model(torch.tensor([0, 1]), torch.tensor([2, 2])).tolist()  # model 1 is empty and has no say
        [4.0, 4.0]
    """

    def __init__(self, num_users: int, num_items: int, dim: int, num_shards: int) -> None:
        super().__init__()
        if min(num_users, num_items, dim, num_shards) < 1:
            raise InputError(
                f"num_users, num_items, dim and num_shards must be at least 1, got {num_users}, {num_items}, {dim} and "
                f"{num_shards}."
            )
        self.num_users, self.num_items, self.dim, self.num_shards = num_users, num_items, dim, num_shards
        self.register_buffer("users", torch.zeros(num_shards, num_users, dim))
        self.register_buffer("items", torch.zeros(num_shards, num_items, dim))
        self.register_buffer("filled", torch.zeros(num_shards, dtype=torch.bool))
        self.users: Tensor
        self.items: Tensor
        self.filled: Tensor
        self.transfer = nn.Parameter(torch.empty(num_shards, dim, dim))
        self.bias = nn.Parameter(torch.empty(num_shards, dim))
        hidden = max(dim // 2, 1)
        self.user_attention = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1, bias=False))
        self.item_attention = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1, bias=False))
        self.reset_parameters()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {name: getattr(self, name) for name in ("num_users", "num_items", "dim", "num_shards")}

    def layer_names(self) -> list[str]:
        """Both attentions."""
        return ["user_attention", "item_attention"]

    def reset_parameters(self) -> None:
        """Fresh weights of the aggregation from torch's generator; the vectors stay."""
        with torch.no_grad():
            self.transfer.copy_(torch.eye(self.dim))
            self.bias.zero_()
        for attention in (self.user_attention, self.item_attention):
            for layer in attention:
                if isinstance(layer, nn.Linear):
                    layer.reset_parameters()

    def fill(self, shard: int, users: Tensor | None, items: Tensor | None) -> None:
        """The vectors of one model, in place; None takes it out.

        Args:
            shard: Number of the model.
            users: [num_users, dim].
            items: [num_items, dim].
        """
        self.filled[shard] = users is not None and items is not None
        self.users[shard] = 0.0 if users is None else users.detach().to(self.users)
        self.items[shard] = 0.0 if items is None else items.detach().to(self.items)

    def _combine(self, tables: Tensor, attention: nn.Module, ids: Tensor | None) -> Tensor:
        if ids is not None:  # a batch names most users and items more than once
            ids, place = torch.unique(ids, return_inverse=True)
            return self._combine(tables[:, ids], attention, None)[place]
        rows = torch.baddbmm(self.bias.unsqueeze(1), tables, self.transfer)
        weight = attention(rows).masked_fill(~self.filled.view(-1, 1, 1), float("-inf")).softmax(0)
        return (weight * rows).sum(0)

    def forward(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        """Scores [n] of the pairs (``user_id`` [n], ``item_id`` [n])."""
        users = self._combine(self.users, self.user_attention, user_id)
        return torch.einsum("nd,nd->n", users, self._combine(self.items, self.item_attention, item_id))

    def score_all(self, user_id: Tensor) -> Tensor:
        """Scores [n, num_items] of every item for the users ``user_id`` [n]."""
        users = self._combine(self.users, self.user_attention, user_id)
        return users @ self._combine(self.items, self.item_attention, None).t()


def combine(vectors: Sequence[tuple[Tensor, Tensor] | None]) -> ShardAttention:
    """A fresh aggregation over the vectors of several models.

    Args:
        vectors: Per model its tables of users [U, d] and of items [I, d]; None for a model without any.
    """
    users, items = next(one for one in vectors if one is not None)
    model = ShardAttention(len(users), len(items), users.size(1), len(vectors)).to(users.device)
    for shard, one in enumerate(vectors):
        if one is not None:
            model.fill(shard, *one)
    return model
