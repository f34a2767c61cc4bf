"""VBPR (He and McAuley, AAAI 2016, arXiv:1510.01784): item vectors half learned, half projected from features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from graphforget.interactions.graph import InteractionGraph
from graphforget.models.recommender.base import Encoded, GraphRecommender, need_modalities, squared_norms, take


class VBPR(GraphRecommender):
    """Item vectors :math:`[q_i ; W f_i]` with :math:`f_i` the raw features of all modalities, user vectors of twice the length.

    VBPR of He and McAuley (AAAI 2016, arXiv:1510.01784).

    The regulariser is on the whole vectors. The paper's bias terms are left out, as in the public toolbox.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        modalities: Width of every feature table, as in ``Interactions.modalities``.
        dim: Length of each half of an item's vector.

    Raises:
        InputError: A size is not positive, or there is no modality.

    Example:
        >>> VBPR(3, 5, {"image": 8}, dim=4).user_embedding.weight.shape
        torch.Size([3, 8])
    """

    def __init__(self, num_users: int, num_items: int, modalities: Mapping[str, int], dim: int = 64) -> None:
        need_modalities("VBPR", modalities)
        super().__init__(num_users, num_items, dim, modalities, user_dim=2 * dim)
        self.project = nn.Linear(sum(self.modalities.values()), dim)
        self.reset_parameters()

    def layer_names(self) -> list[str]:
        """The projection of features, and the final vectors."""
        return ["project", "output"]

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        super().reset_parameters()
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """Ids and projected features."""
        features = torch.cat([take(self.content(graph, name), item_id) for name in self.modalities], 1)
        items = torch.cat([take(self.item_embedding.weight, item_id), self.project(features)], 1)
        return self.encoded(take(self.user_embedding.weight, user_id), items)

    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """The regulariser on whole vectors."""
        return l2 / 2 * squared_norms(encoded.users, encoded.items, user, item, negative)
