"""BM3 (Zhou et al., WWW 2023, arXiv:2207.05969): bootstrapped alignment of users, items and modalities, without negatives."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.interactions.graph import InteractionGraph
from graphforget.models.recommender.base import Encoded, GraphRecommender, check_layers, mean_of_layers, need_modalities, take


class BM3(GraphRecommender):
    r"""Online vectors are a linear predictor of the propagated ones; targets are these with dropout, held fixed.

    BM3 of Zhou et al. (WWW 2023, arXiv:2207.05969). With online vectors :math:`\bar u, \bar i` and target vectors
    :math:`\dot u, \dot i`, the data term of an interaction is

    .. math::

        \bigl( 1 - \cos(\bar u, \dot i) \bigr) + \bigl( 1 - \cos(\bar i, \dot u) \bigr)

    It knows no other item, so a reversed preference pushes the two apart (4 minus the term). The penalty aligns the predicted
    features of items with the target item and with their own target, ``cl_weight`` times, and adds ``reg_weight`` times the
    mean norm of the propagated tables; the task's L2 is not used. Scores are dot products of online vectors.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        modalities: Width of every feature table, as in ``Interactions.modalities``.
        dim: Length of the vectors.
        num_layers: Steps along interactions.
        dropout: Of the targets, in [0, 1).
        cl_weight: Weight of the alignment of modalities.
        reg_weight: Weight of the norm of the tables.
        train_features: Whether features get trained offsets, as in the authors' code.

    Raises:
        InputError: A size is not positive, dropout out of range, or there is no modality.

    Example:
        >>> BM3(3, 5, {"image": 8}, dim=4).predictor
        Linear(in_features=4, out_features=4, bias=True)
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        modalities: Mapping[str, int],
        dim: int = 64,
        num_layers: int = 1,
        dropout: float = 0.5,
        cl_weight: float = 2.0,
        reg_weight: float = 0.1,
        train_features: bool = True,
    ) -> None:
        need_modalities("BM3", modalities)
        super().__init__(num_users, num_items, dim, modalities, train_features=train_features)
        check_layers(num_layers=num_layers)
        if not 0 <= dropout < 1 or min(cl_weight, reg_weight) < 0:
            raise InputError(
                f"dropout must lie in [0, 1) and the weights be 0 or more, got {dropout}, {cl_weight} and {reg_weight}."
            )
        self.num_layers, self.dropout, self.cl_weight, self.reg_weight = num_layers, dropout, cl_weight, reg_weight
        self.train_features = train_features
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in self.modalities.items()})
        self.predictor = nn.Linear(dim, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        super().reset_parameters()
        for module in (*self.project.values(), self.predictor):
            nn.init.xavier_normal_(module.weight)  # type: ignore[arg-type]
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """Online vectors, with the propagated ones and the projected features as parts."""
        users, items = mean_of_layers(graph.adjacency, self.ids(), self.num_layers).split([self.num_users, self.num_items])
        items = items + self.item_embedding.weight
        u, i = take(users, user_id), take(items, item_id)
        parts = {"propagated": i}
        if self.training:
            parts |= {name: self.project[name](take(self.content(graph, name), item_id)) for name in self.modalities}
            # Norms of whole tables, one number each, repeated so that parts are tables with one row per item.
            norm = users.norm() / self.num_items + items.norm() / self.num_items
            parts["norm"] = norm.expand(len(i))
        return self.encoded(self.predictor(u), self.predictor(i), {"propagated": u}, **parts)

    def _target(self, table: Tensor) -> Tensor:
        return F.dropout(table.detach(), self.dropout, self.training)

    def pair_losses(self, encoded: Encoded, user: Tensor, item: Tensor, y: Tensor) -> Tensor:
        """The data term of interactions (rows ``user`` [n], ``item`` [n]); reversed where ``y`` is negative."""
        to_item = F.cosine_similarity(encoded.users[user], self._target(encoded.item_parts["propagated"][item]))
        to_user = F.cosine_similarity(encoded.items[item], self._target(encoded.user_parts["propagated"][user]))
        loss = 2 - to_item - to_user
        return torch.where(y < 0, 4 - loss, loss)

    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """Alignment of modalities, and the norm of the tables; in training mode only."""
        total = encoded.table.new_zeros(())
        if "norm" not in encoded.item_parts:
            return total
        target = self._target(encoded.item_parts["propagated"][item])
        for name in self.modalities:
            raw = encoded.item_parts[name][item]
            online = self.predictor(raw)
            total = total + (2 - F.cosine_similarity(online, target) - F.cosine_similarity(online, self._target(raw))).mean()
        return self.cl_weight * total + self.reg_weight * encoded.item_parts["norm"][0]
