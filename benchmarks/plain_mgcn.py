"""MGCN (Yu et al., ACM MM 2023, arXiv:2308.03588) as a user writes it: the same model as ours, without our kernels.

Sparse matrices are COO in single precision, every step computes the vectors of all users and items, autograd goes through
``torch.sparse.mm``, the feature tables are trained as embeddings, and the contrast compares each row of a batch with every other.
"""

from __future__ import annotations

import functools

import torch
from plain_training import adjacency, bpr, coo, half_squared, propagated, user_item_values
from torch import Tensor, nn

from graphforget.interactions import Interactions
from graphforget.models import MGCN


def nearest_graph(features: Tensor, k: int) -> Tensor:
    """The k nearest items by cosine, weighted by it, divided by the roots of both items' row sums; COO [items, items].

    Of equally near items any may be taken: there the graph may differ from ours, which takes the smaller id.
    """
    unit = nn.functional.normalize(features)
    weight, near = (unit @ unit.t()).topk(k)
    row = torch.arange(len(features)).repeat_interleave(k)
    scale = weight.sum(1).clamp_min(1e-12).rsqrt()
    column = near.flatten()
    return coo(row, column, weight.flatten() * scale[row] * scale[column], (len(features), len(features)))


def info_nce(one: Tensor, two: Tensor, temperature: float) -> Tensor:
    """The contrast of two views of the same rows [B, d], all rows of the batch being each other's negatives."""
    one, two = nn.functional.normalize(one), nn.functional.normalize(two)
    positive = torch.exp((one * two).sum(1) / temperature)
    total = torch.exp(one @ two.t() / temperature).sum(1)
    return -torch.log(positive / total).mean()


class PlainMGCN(nn.Module):
    """The model that :class:`graphforget.models.MGCN` is, with its weights.

    Args:
        ours: Gives sizes, settings and weights.
        data: Training interactions and item features; every item must have all features.
        l2: Coefficient of half the squared norms of the final vectors of a batch.
    """

    def __init__(self, ours: MGCN, data: Interactions, *, l2: float) -> None:
        super().__init__()
        self.l2, self.num_layers, self.num_item_layers = l2, ours.num_layers, ours.num_item_layers
        self.cl_weight, self.temperature = ours.cl_weight, ours.temperature
        self.cut, dim = [ours.num_users, ours.num_items], ours.dim
        self.user_embedding, self.item_embedding = nn.Embedding(ours.num_users, dim), nn.Embedding(ours.num_items, dim)
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in ours.modalities.items()})
        self.purify = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ours.modalities})
        self.prefer = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ours.modalities})
        self.attend, self.attention = nn.Linear(dim, dim), nn.Linear(dim, 1, bias=False)
        weights = ours.state_dict()
        self.load_state_dict({name: value for name, value in weights.items() if not name.startswith("offsets.")})
        tables = {name: data.features[name].float() for name in ours.modalities}
        self.features = nn.ModuleDict(
            {
                name: nn.Embedding.from_pretrained(
                    table + weights.get(f"offsets.{name}.weight", 0.0), freeze=not ours.train_features
                )
                for name, table in tables.items()
            }
        )
        pairs = data.splits["train"]
        self.matrix = adjacency(pairs, *self.cut)
        self.user_items = coo(pairs[:, 0], pairs[:, 1], user_item_values(pairs, *self.cut), self.cut)
        self.item_graphs = {name: nearest_graph(table, ours.k) for name, table in tables.items()}

    def forward(self) -> tuple[Tensor, Tensor]:
        """Side and content of all users, then all items, [U + I, d] each; final vectors are their sum."""
        ids = torch.cat([self.user_embedding.weight, self.item_embedding.weight])
        content = propagated(self.matrix, ids, self.num_layers)
        views = {name: self.view(name) for name in self.project}
        scores = torch.cat([self.attention(torch.tanh(self.attend(view))) for view in views.values()], dim=-1)
        weight = torch.softmax(scores, dim=-1)
        common = functools.reduce(torch.add, [weight[:, [i]] * view for i, view in enumerate(views.values())])
        special = [torch.sigmoid(self.prefer[name](content)) * (view - common) for name, view in views.items()]
        return functools.reduce(torch.add, special, common) / (len(views) + 1), content

    def view(self, name: str) -> Tensor:
        """A modality's view of all users and items."""
        gate = torch.sigmoid(self.purify[name](self.project[name](self.features[name].weight)))
        items = self.item_embedding.weight * gate
        for _ in range(self.num_item_layers):
            items = torch.sparse.mm(self.item_graphs[name], items)
        return torch.cat([torch.sparse.mm(self.user_items, items), items])

    def loss(self, user: Tensor, item: Tensor, other: Tensor) -> Tensor:
        """Ranking loss, regulariser and contrast of one batch."""
        side, content = self()
        users, items = (side + content).split(self.cut)
        rows = users[user], items[item], items[other]
        user_side, item_side = side.split(self.cut)
        user_content, item_content = content.split(self.cut)
        contrast = info_nce(item_side[item], item_content[item], self.temperature)
        contrast = contrast + info_nce(user_side[user], user_content[user], self.temperature)
        return bpr(*rows) + self.l2 * half_squared(*rows) + self.cl_weight * contrast
