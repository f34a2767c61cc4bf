"""FREEDOM (Zhou and Shen, ACM MM 2023, arXiv:2211.06924): a frozen item-item graph and a denoised interaction graph."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.interactions.graph import InteractionGraph
from graphforget.kernels import SparseGraph, pair_scores, spmm
from graphforget.models.recommender.base import Encoded, GraphRecommender, check_layers, mean_of_layers, need_modalities, take


class FREEDOM(GraphRecommender):
    r"""Id vectors propagated along interactions, plus item vectors propagated over frozen graphs of the k nearest items.

    FREEDOM of Zhou and Shen (ACM MM 2023, arXiv:2211.06924).

    In training the interactions are thinned out: each step keeps a share of ``1 - edge_dropout`` of them, drawn without
    replacement in proportion to :math:`1 / \sqrt{d_u d_i}`, the degrees of user and item (the authors draw once per epoch). The
    penalty adds ``content_weight`` times BPR of the user's vector with projected features, per modality; the paper's objective
    has no L2 term, so the task's is not used.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        modalities: Width of every feature table, as in ``Interactions.modalities``.
        dim: Length of the vectors.
        num_layers: Steps along interactions.
        num_item_layers: Steps over the item-item graph.
        k: Neighbours of an item, itself included.
        edge_dropout: Share of interactions left out of each training step, in [0, 1).
        content_weight: Weight of BPR on projected features.
        modality_weights: Weight of every modality in the item-item graph; by default equal ones. The paper gives .1 to images
            and .9 to text.
        train_features: Whether features get trained offsets, as in the authors' code.

    Raises:
        InputError: A size is not positive, a share out of range, or there is no modality.

    Example:
        >>> FREEDOM(3, 5, {"image": 8, "text": 6}, modality_weights={"image": 0.1, "text": 0.9}).modality_weights["text"]
        0.9
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        modalities: Mapping[str, int],
        dim: int = 64,
        num_layers: int = 2,
        num_item_layers: int = 1,
        k: int = 10,
        edge_dropout: float = 0.8,
        content_weight: float = 1e-3,
        modality_weights: Mapping[str, float] | None = None,
        train_features: bool = True,
    ) -> None:
        need_modalities("FREEDOM", modalities)
        super().__init__(num_users, num_items, dim, modalities, train_features=train_features)
        check_layers(num_layers=num_layers, num_item_layers=num_item_layers)
        if not 0 <= edge_dropout < 1 or content_weight < 0:
            raise InputError(
                f"edge_dropout must lie in [0, 1) and content_weight be 0 or more, got {edge_dropout} and {content_weight}."
            )
        weights = dict(modality_weights or {name: 1 / len(self.modalities) for name in self.modalities})
        if set(weights) != set(self.modalities) or min(weights.values()) < 0:
            raise InputError(f"modality_weights must give a weight of at least 0 to each of {', '.join(self.modalities)}.")
        self.num_layers, self.num_item_layers, self.k = num_layers, num_item_layers, k
        self.edge_dropout, self.content_weight, self.train_features = edge_dropout, content_weight, train_features
        self.modality_weights = {name: float(weights[name]) for name in self.modalities}
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in self.modalities.items()})
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        super().reset_parameters()
        for module in self.project.values():
            module.reset_parameters()  # type: ignore[operator]

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """Behaviour vectors; items also with their neighbours'."""
        adjacency = self._thinned(graph) if self.training and self.edge_dropout else graph.adjacency
        users, items = mean_of_layers(adjacency, self.ids(), self.num_layers).split([self.num_users, self.num_items])
        near = self.item_embedding.weight
        for _ in range(self.num_item_layers):
            near = sum(  # type: ignore[assignment]
                weight * spmm(graph.item_graph(name, self.k, weighted=False), near)
                for name, weight in self.modality_weights.items()
            )
        projected = {
            name: self.project[name](take(self.content(graph, name), item_id)) for name in self.modalities if self.content_weight
        }
        return self.encoded(take(users, user_id), take(items + near, item_id), **projected)

    def _thinned(self, graph: InteractionGraph) -> SparseGraph:
        pairs, (by_user, by_item) = graph.pairs, (degree.cpu().float() for degree in graph.degrees)
        weight = (by_user[pairs[:, 0]] * by_item[pairs[:, 1]]).rsqrt()
        count = max(int(len(pairs) * (1 - self.edge_dropout)), 1)
        # The smallest exponential arrival times are a draw without replacement in proportion to the rates.
        arrival = torch.empty_like(weight).exponential_() / weight
        kept = arrival.topk(count, largest=False, sorted=False).indices
        return graph.propagation(pairs[kept])

    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """BPR of users with the projected features of items."""
        total = encoded.table.new_zeros(())
        for table in encoded.item_parts.values():
            both = torch.cat([encoded.users, table])
            first = len(encoded.users)
            margin = pair_scores(both, torch.stack([user, item + first], 1)) - pair_scores(
                both, torch.stack([user, negative + first], 1)
            )
            total = total + F.softplus(-margin).mean()
        return self.content_weight * total
