"""MGCN (Yu et al., ACM MM 2023, arXiv:2308.03588): modality views purified by behaviour, fused by attention and preference."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.interactions.graph import InteractionGraph
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


class MGCN(GraphRecommender):
    r"""Multi-view graph convolution (Yu et al., ACM MM 2023, arXiv:2308.03588).

    - Purifier: item view of a modality :math:`q_i \odot \sigma(W_2 (W_1 f_i))`, :math:`f_i` the features with trained offsets.
    - Item view: ``num_item_layers`` steps over the modality's item-item graph of the k nearest items; user view: these, carried
      to users along their interactions.
    - Behaviour view ``content``: the mean of ``num_layers`` steps of id vectors along interactions.
    - Fuser: attention over modalities makes what they have in common; what is special to each is gated by the behaviour view;
      ``side`` is their mean and the final vectors are ``content + side``.
    - Penalty: the regulariser on final vectors, and ``cl_weight`` times the contrast (InfoNCE) of side and content, for the
      items and for the users of the batch.

    Everything past the graph steps is computed for the users and items that were asked for only.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        modalities: Width of every feature table, as in ``Interactions.modalities``.
        dim: Length of the vectors.
        num_layers: Steps along interactions.
        num_item_layers: Steps over the item-item graphs.
        k: Neighbours of an item, itself included.
        cl_weight: Weight of the contrast.
        temperature: Of the contrast.
        train_features: Whether features get trained offsets, as in the authors' code.

    Raises:
        InputError: A size is not positive, or there is no modality.

    Example:
        >>> sorted(MGCN(3, 5, {"image": 8, "audio": 6}, dim=4).offsets)
        ['audio', 'image']
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
        cl_weight: float = 0.01,
        temperature: float = 0.2,
        train_features: bool = True,
    ) -> None:
        need_modalities("MGCN", modalities)
        super().__init__(num_users, num_items, dim, modalities, train_features=train_features)
        check_layers(num_layers=num_layers, num_item_layers=num_item_layers)
        if cl_weight < 0 or temperature <= 0:
            raise InputError(f"cl_weight must be 0 or more and temperature positive, got {cl_weight} and {temperature}.")
        self.num_layers, self.num_item_layers, self.k = num_layers, num_item_layers, k
        self.cl_weight, self.temperature, self.train_features = cl_weight, temperature, train_features
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in self.modalities.items()})
        self.purify = nn.ModuleDict({name: nn.Linear(dim, dim) for name in self.modalities})
        self.prefer = nn.ModuleDict({name: nn.Linear(dim, dim) for name in self.modalities})
        self.attend = nn.Linear(dim, dim)
        self.attention = nn.Linear(dim, 1, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        super().reset_parameters()
        for module in (*self.project.values(), *self.purify.values(), *self.prefer.values(), self.attend, self.attention):
            module.reset_parameters()  # type: ignore[operator]

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """Behaviour view plus fused modality views."""
        users, items = mean_of_layers(graph.adjacency, self.ids(), self.num_layers).split([self.num_users, self.num_items])
        content = torch.cat([take(users, user_id), take(items, item_id)])
        views = {name: self._view(graph, name, user_id, item_id) for name in self.modalities}
        side = self._fuse(views, content)
        num_users = self.num_users if user_id is None else len(user_id)
        cut = (num_users, len(content) - num_users)
        user_side, item_side = side.split(cut)
        user_content, item_content = content.split(cut)
        return self.encoded(
            user_content + user_side,
            item_content + item_side,
            {"side": user_side, "content": user_content},
            side=item_side,
            content=item_content,
        )

    def _view(self, graph: InteractionGraph, name: str, user_id: Tensor | None, item_id: Tensor | None) -> Tensor:
        gate = self.purify[name](self.project[name](self.content(graph, name))).sigmoid()
        items = self.item_embedding.weight * gate
        for _ in range(self.num_item_layers):
            items = spmm(graph.item_graph(name, self.k), items)
        users = spmm(graph.user_items, items)
        return torch.cat([take(users, user_id), take(items, item_id)])

    def _fuse(self, views: Mapping[str, Tensor], content: Tensor) -> Tensor:
        """Side vectors of the rows asked for."""
        weight = torch.cat([self.attention(self.attend(view).tanh()) for view in views.values()], 1).softmax(1)
        common = sum(weight[:, i : i + 1] * view for i, view in enumerate(views.values()))
        special = sum(self.prefer[name](content).sigmoid() * (view - common) for name, view in views.items())
        return (special + common) / (len(views) + 1)

    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """The regulariser on final vectors, and the contrast of side and content."""
        total = l2 / 2 * squared_norms(encoded.users, encoded.items, user, item, negative)
        if self.cl_weight == 0:
            return total
        parts = ((encoded.item_parts, item), (encoded.user_parts, user))
        return total + self.cl_weight * sum(
            contrast(part["side"], part["content"], rows, self.temperature) for part, rows in parts
        )


def contrast(one: Tensor, two: Tensor, rows: Tensor, temperature: float) -> Tensor:
    """InfoNCE of two views (van den Oord et al., arXiv:1807.03748), the rows of a batch being each other's negatives.

    A row that stands in the batch several times is computed once and counted as often as it stands there.

    Args:
        one: [R, d].
        two: [R, d].
        rows: The batch's rows, [n], with repetitions.
        temperature: Divides the cosines.
    """
    unique, count = torch.unique(rows, return_counts=True)
    # The temperature divides [R, d] rather than [R, R], and the exponential reuses the product's memory.
    a, b = F.normalize(one[unique]) / temperature, F.normalize(two[unique])
    times = count.to(a)
    positive = (a * b).sum(1)
    # Cosines over a temperature of .2 are at most 5: no shift is needed before the exponential, unless it is very small.
    shift = 0.0 if temperature >= 0.02 else 1 / temperature
    logits = a @ b.t()
    total = (logits - shift if shift else logits).exp_() @ times
    return (times * (total.log() + shift - positive)).sum() / len(rows)
