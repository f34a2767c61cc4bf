"""LATTICE (Zhang et al., ACM MM 2021, arXiv:2104.09036): item-item graphs that are learned along with the recommender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.interactions.graph import InteractionGraph
from graphforget.interactions.knn import nearest_items, normalised
from graphforget.kernels import spmm
from graphforget.models.recommender.base import (
    Encoded,
    GraphRecommender,
    check_layers,
    mean_of_layers,
    need_modalities,
    squared_norms,
    take,
)


@dataclass
class _Searched:
    """Neighbours by projected features: the how manieth search in training, None in evaluation, and how many passes read them."""

    pairs: dict[str, Tensor]
    turn: int | None
    passes: int = 0


class LATTICE(GraphRecommender):
    r"""Propagated id vectors, plus normalised item vectors from graphs of the k nearest items by raw and by projected features.

    LATTICE of Zhang et al. (ACM MM 2021, arXiv:2104.09036). The item graph is, over the modalities m,

    .. math::

        \sum_m w_m \bigl( \text{mix} \cdot \text{raw}_m + (1 - \text{mix}) \cdot \text{learned}_m \bigr)

    with w the softmax of trained weights. Who the neighbours by projected features are is searched anew every ``refresh``
    training passes (the authors: once per epoch) and on every new state of the weights in evaluation; their similarities are
    computed in every pass, with gradients. The regulariser is on final vectors.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        modalities: Width of every feature table, as in ``Interactions.modalities``.
        dim: Length of the vectors.
        num_layers: Steps along interactions.
        num_item_layers: Steps over the item-item graph.
        k: Neighbours of an item, itself included.
        mix: Share of the graphs by raw features, in [0, 1].
        refresh: Training passes between searches.
        train_features: Whether features get trained offsets, as in the authors' code.

    Raises:
        InputError: A size is not positive, a share out of range, or there is no modality.

    Example:
        >>> LATTICE(3, 5, {"image": 8, "audio": 6}, dim=4).modality_weight.tolist()
        [0.5, 0.5]
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
        mix: float = 0.9,
        refresh: int = 30,
        train_features: bool = True,
    ) -> None:
        need_modalities("LATTICE", modalities)
        super().__init__(num_users, num_items, dim, modalities, train_features=train_features)
        check_layers(num_layers=num_layers, num_item_layers=num_item_layers)
        if not 0 <= mix <= 1 or refresh < 1:
            raise InputError(f"mix must lie in [0, 1] and refresh be at least 1, got {mix} and {refresh}.")
        self.num_layers, self.num_item_layers, self.k = num_layers, num_item_layers, k
        self.mix, self.refresh, self.train_features = mix, refresh, train_features
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in self.modalities.items()})
        self.modality_weight = nn.Parameter(torch.empty(len(self.modalities)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        super().reset_parameters()
        for module in self.project.values():
            module.reset_parameters()  # type: ignore[operator]
        nn.init.constant_(self.modality_weight, 1 / len(self.modalities))

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """Behaviour vectors; items also with their neighbours'."""
        users, items = mean_of_layers(graph.adjacency, self.ids(), self.num_layers).split([self.num_users, self.num_items])
        learned = self._learned(graph) if self.mix < 1 else {}
        near: Tensor = self.item_embedding.weight
        weights = self.modality_weight.softmax(0)
        for _ in range(self.num_item_layers):
            steps = []
            for weight, name in zip(weights, self.modalities):
                step = self.mix * spmm(graph.item_graph(name, self.k), near) if self.mix else near.new_zeros(near.shape)
                if name in learned:
                    step = step + (1 - self.mix) * spmm(learned[name], near)
                steps.append(weight * step)
            near = torch.stack(steps).sum(0)
        return self.encoded(take(users, user_id), take(items + F.normalize(near), item_id))

    def _learned(self, graph: InteractionGraph) -> dict[str, Any]:
        """The item-item graphs by projected features; weights carry gradients."""
        unit = {name: F.normalize(self.project[name](self.content(graph, name))) for name in self.modalities}
        turn = self._turn(graph)
        state = ("weights", *self.parameters()) if turn is None else ("training", turn)
        found: _Searched = graph.kept(self, state, lambda: self._search(graph, unit, turn))
        found.passes += 1
        graphs = {}
        for name, pairs in found.pairs.items():
            value = (unit[name].index_select(0, pairs[:, 0]) * unit[name].index_select(0, pairs[:, 1])).sum(1)
            graphs[name] = normalised(pairs, value, self.num_items)
        return graphs

    def _turn(self, graph: InteractionGraph) -> int | None:
        """Which search of the training this pass reads; None in evaluation, which searches for every state of the weights."""
        if not self.training:
            return None
        known: _Searched | None = graph.kept_value(self)
        if known is None or known.turn is None:
            return 0
        return known.turn + (known.passes >= self.refresh)

    def _search(self, graph: InteractionGraph, unit: Mapping[str, Tensor], turn: int | None) -> _Searched:
        pairs = {}
        for name, rows in unit.items():
            left = graph.content(name)  # a bias gives even items without features a projection
            pairs[name] = nearest_items(rows.detach().cpu(), self.k, alive=left).edges()[0].to(rows.device)
        return _Searched(pairs, turn)

    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """The regulariser on final vectors."""
        return l2 / 2 * squared_norms(encoded.users, encoded.items, user, item, negative)
