"""LightGCN (He et al., SIGIR 2020, arXiv:2002.02126): propagation of id vectors along interactions, and nothing else."""

from __future__ import annotations

from torch import Tensor

from graphforget.interactions.graph import InteractionGraph
from graphforget.models.recommender.base import Encoded, GraphRecommender, check_layers, mean_of_layers, take


class LightGCN(GraphRecommender):
    r"""Propagation of id vectors along interactions, and nothing else (He et al., SIGIR 2020, arXiv:2002.02126).

    The final vectors are the mean over layers l = 0 .. ``num_layers`` (their eq. 4 and 9)

    .. math::

        \frac{1}{L + 1} \sum_{l=0}^{L} (D^{-1/2} A D^{-1/2})^l \, E

    of the id vectors E. The regulariser is on layer 0 (their eq. 12).

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Length of the vectors.
        num_layers: Number of propagation steps.

    Raises:
        InputError: A size is not positive.

    Example:
        >>> import torch
        >>> from graphforget.interactions import InteractionGraph, Interactions
        >>> graph = InteractionGraph(Interactions.create({"train": [[0, 0], [0, 1], [1, 2]]}))
        >>> LightGCN(2, 3, dim=4)(graph).scores(torch.tensor([0, 1])).shape
        torch.Size([2, 3])
    """

    def __init__(self, num_users: int, num_items: int, dim: int = 64, num_layers: int = 2) -> None:
        super().__init__(num_users, num_items, dim)
        check_layers(num_layers=num_layers)
        self.num_layers = num_layers
        self.reset_parameters()

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """Propagated vectors."""
        users, items = mean_of_layers(graph.adjacency, self.ids(), self.num_layers).split([self.num_users, self.num_items])
        return self.encoded(
            take(users, user_id),
            take(items, item_id),
            {"ids": take(self.user_embedding.weight, user_id)},
            ids=take(self.item_embedding.weight, item_id),
        )
