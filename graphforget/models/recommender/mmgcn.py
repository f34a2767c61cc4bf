"""MMGCN (Wei et al., ACM MM 2019, doi:10.1145/3343031.3351034): one graph network per modality, joined by shared id vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.interactions.graph import InteractionGraph
from graphforget.kernels import SparseGraph, spmm
from graphforget.models.recommender.base import Encoded, GraphRecommender, check_layers, need_modalities, take


class _Branch(nn.Module):
    """One modality: users start from trained preferences, items from projected features."""

    def __init__(self, num_users: int, width: int, dim: int, num_layers: int) -> None:
        super().__init__()
        self.preference = nn.Embedding(num_users, dim)
        self.project = nn.Linear(width, dim)
        self.mix = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(num_layers))
        self.stay = nn.ModuleList(nn.Linear(dim, dim) for _ in range(num_layers))
        self.join = nn.ModuleList(nn.Linear(dim, dim) for _ in range(num_layers))

    def reset_parameters(self) -> None:
        nn.init.xavier_normal_(self.preference.weight)
        for linear in (self.project, *self.mix, *self.stay, *self.join):
            nn.init.xavier_normal_(linear.weight)  # type: ignore[arg-type]
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, ids: Tensor, pattern: SparseGraph) -> Tensor:
        x = F.normalize(torch.cat([self.preference.weight, self.project(features)]))
        for mix, stay, join in zip(self.mix, self.stay, self.join):
            around = F.leaky_relu(spmm(pattern, mix(x), "mean"))
            own = F.leaky_relu(stay(x)) + ids
            x = F.leaky_relu(join(around) + own)
        return x


class MMGCN(GraphRecommender):
    """The mean over modalities of graph networks with mean aggregation and id vectors added in every layer.

    MMGCN of Wei et al. (ACM MM 2019, doi:10.1145/3343031.3351034).

    The regulariser is on the id vectors of the batch and on the whole table of preferences, as in the authors' code.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        modalities: Width of every feature table, as in ``Interactions.modalities``.
        dim: Length of the vectors.
        num_layers: Layers per modality.

    Raises:
        InputError: A size is not positive, or there is no modality.

    Example:
        >>> [block.parameter for block in MMGCN(3, 5, {"image": 8}, dim=4).entity_rows()["user"]]
        ['user_embedding.weight', 'branches.image.preference.weight']
    """

    def __init__(self, num_users: int, num_items: int, modalities: Mapping[str, int], dim: int = 64, num_layers: int = 2) -> None:
        need_modalities("MMGCN", modalities)
        super().__init__(num_users, num_items, dim, modalities)
        check_layers(num_layers=num_layers)
        self.num_layers = num_layers
        self.branches = nn.ModuleDict(
            {name: _Branch(num_users, width, dim, num_layers) for name, width in self.modalities.items()}
        )
        self.reset_parameters()

    def entity_rows(self) -> dict[str, list[Any]]:
        """Ids, and every modality's preferences of users."""
        rows = super().entity_rows()
        block = type(rows["user"][0])
        return rows | {"user": rows["user"] + [block(f"branches.{name}.preference.weight") for name in self.modalities]}

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        super().reset_parameters()
        for branch in self.branches.values():
            branch.reset_parameters()  # type: ignore[operator]

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """The mean of the modalities' vectors."""
        pattern, ids = graph.adjacency.pattern, self.ids()
        tables = [self.branches[name](self.content(graph, name), ids, pattern) for name in self.modalities]
        users, items = torch.stack(tables).mean(0).split([self.num_users, self.num_items])
        branches: list[Any] = list(self.branches.values())
        preferences = torch.cat([branch.preference.weight for branch in branches], 1)
        users_parts = {"ids": take(self.user_embedding.weight, user_id)}
        size = preferences.square().mean().expand(self.num_items)
        return self.encoded(
            take(users, user_id),
            take(items, item_id),
            users_parts,
            ids=take(self.item_embedding.weight, item_id),
            preferences=take(size, item_id),
        )

    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """See the class."""
        return super().penalty(encoded, user, item, negative, l2=l2) + l2 * encoded.item_parts["preferences"][0]
