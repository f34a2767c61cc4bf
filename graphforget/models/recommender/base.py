"""What recommenders that read the interaction graph share: tables, propagation, trainable features, what a task gets."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import RowBlock
from graphforget.exceptions import InputError
from graphforget.interactions.graph import InteractionGraph
from graphforget.kernels import SparseGraph, pair_scores, spmm


@dataclass(frozen=True, eq=False)
class Encoded:
    """Vectors of the users and items that were asked for; the score of a pair is their dot product.

    Attributes:
        table: [U + I, d]: users, then items.
        num_users: U.
        user_parts: Further tables [U, ...] that the penalty reads.
        item_parts: Further tables [I, ...] that the penalty reads.
    """

    table: Tensor
    num_users: int
    user_parts: Mapping[str, Tensor] = field(default_factory=dict)
    item_parts: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def users(self) -> Tensor:
        """[U, d]."""
        return self.table[: self.num_users]

    @property
    def items(self) -> Tensor:
        """[I, d]."""
        return self.table[self.num_users :]

    def pair_scores(self, user: Tensor, item: Tensor) -> Tensor:
        """Scores [n] of pairs of rows (user [n] of U, item [n] of I)."""
        return pair_scores(self.table, torch.stack([user, item + self.num_users], 1))

    def scores(self, user: Tensor) -> Tensor:
        """Scores [n, I] of every encoded item for the rows ``user`` [n]."""
        return self.users[user] @ self.items.t()


class GraphRecommender(nn.Module):
    """A recommender that encodes users and items from an :class:`~graphforget.interactions.graph.InteractionGraph`.

    The graph is handed in on every call and nothing of it is kept, so that a model reads whatever data it is served on.
    ``user_embedding`` and ``item_embedding`` are the tables of ids; ``offsets`` holds, for models that train the feature
    tables themselves, what training added to the raw features of the data. Resetting a forgotten item's row of an offset to
    zero puts its features back to what the data say.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Length of the vectors.
        modalities: Width of every feature table that is read, by name, as in ``Interactions.modalities``.
        user_dim: Length of the users' vectors, where it differs.
        train_features: Whether features get trainable offsets.

    Raises:
        InputError: A size is not positive.
    """

    reads_graph = True  # tasks then hand over an InteractionGraph

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int,
        modalities: Mapping[str, int] | None = None,
        *,
        user_dim: int | None = None,
        train_features: bool = False,
    ) -> None:
        super().__init__()
        if min(num_users, num_items, dim) < 1:
            raise InputError(f"num_users, num_items and dim must be at least 1, got {num_users}, {num_items} and {dim}.")
        self.num_users, self.num_items, self.dim = num_users, num_items, dim
        self.modalities = dict(sorted((modalities or {}).items()))
        for name, width in self.modalities.items():
            if width < 1:
                raise InputError(f"modality '{name}' must have at least one feature, got {width}.")
        self.user_embedding = nn.Embedding(num_users, user_dim or dim)
        self.item_embedding = nn.Embedding(num_items, dim)
        tables = {name: nn.Embedding(num_items, width) for name, width in self.modalities.items()} if train_features else {}
        self.offsets = nn.ModuleDict(tables)
        self.output = nn.Identity()  # a named layer whose rows are the vectors that scores are made of

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments; a model keeps each in an attribute of its name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def layer_names(self) -> list[str]:
        """The layer of final vectors."""
        return ["output"]

    def entity_rows(self) -> dict[str, list[RowBlock]]:
        """Which parameter rows belong to which user or item; rows of an offset also belong to the item's modality."""
        offsets = [RowBlock(f"offsets.{name}.weight", modality=name) for name in self.offsets]
        return {"user": [RowBlock("user_embedding.weight")], "item": [RowBlock("item_embedding.weight"), *offsets]}

    def reset_parameters(self) -> None:
        """Glorot-uniform id tables, zero offsets; from torch's generator."""
        nn.init.xavier_uniform_(self.user_embedding.weight)
        nn.init.xavier_uniform_(self.item_embedding.weight)
        for table in self.offsets.values():
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]

    # ---- encoding -----------------------------------------------------------------------------------------
    def forward(self, graph: InteractionGraph, user_id: Tensor | None = None, item_id: Tensor | None = None) -> Encoded:
        """Vectors of users and items.

        Args:
            graph: What is derived from the interactions.
            user_id: [U] ids; by default all users.
            item_id: [I] ids; by default all items.

        Raises:
            InputError: The graph has other users, items or features than the model.
        """
        if (graph.num_users, graph.num_items) != (self.num_users, self.num_items):
            raise InputError(
                f"{type(self).__name__} was made for {self.num_users} users and {self.num_items} items, but the data has "
                f"{graph.num_users} and {graph.num_items}."
            )
        return self.encode(graph, user_id, item_id)

    def encode(self, graph: InteractionGraph, user_id: Tensor | None, item_id: Tensor | None) -> Encoded:
        """What :meth:`forward` returns; one per model."""
        raise NotImplementedError

    def encoded(
        self, users: Tensor, items: Tensor, user_parts: Mapping[str, Tensor] | None = None, **item_parts: Tensor
    ) -> Encoded:
        """The result, through the layer ``output``."""
        return Encoded(self.output(torch.cat([users, items])), len(users), user_parts or {}, item_parts)

    def ids(self) -> Tensor:
        """Both id tables, users first, [num_users + num_items, dim]."""
        return torch.cat([self.user_embedding.weight, self.item_embedding.weight])

    def content(self, graph: InteractionGraph, name: str) -> Tensor:
        """Features of a modality with their trained offsets, [num_items, F].

        Raises:
            InputError: The data's features have another width.
        """
        raw = graph.feature(name)
        if raw.size(1) != self.modalities[name]:
            raise InputError(
                f"{type(self).__name__} was made for {self.modalities[name]} features '{name}', but the data has {raw.size(1)}."
            )
        if name not in self.offsets:
            return raw
        offset: Any = self.offsets[name]
        return raw + offset.weight

    # ---- training -----------------------------------------------------------------------------------------
    def penalty(self, encoded: Encoded, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """Everything in the training objective but the data term.

        Args:
            encoded: From :meth:`forward`.
            user: Rows of the batch's users, [n].
            item: Rows of the batch's items.
            negative: Rows of the items they are compared with.
            l2: The task's coefficient: ``l2 / 2`` times the mean squared norm of the layer-0 rows of the three.
        """
        return l2 / 2 * squared_norms(encoded.user_parts["ids"], encoded.item_parts["ids"], user, item, negative)


def squared_norms(users: Tensor, items: Tensor, user: Tensor, item: Tensor, negative: Tensor) -> Tensor:
    """Mean over examples of the squared norms of the three rows of each."""
    by_user, by_item = users.square().sum(1), items.square().sum(1)
    return (by_user[user] + by_item[item] + by_item[negative]).mean()


def take(table: Tensor, ids: Tensor | None) -> Tensor:
    """The rows ``ids``, or the table itself."""
    return table if ids is None else table.index_select(0, ids)


def mean_of_layers(adjacency: SparseGraph, x: Tensor, num_layers: int) -> Tensor:
    """The mean of x, A x, A^2 x, ... up to ``num_layers`` (He et al., LightGCN, arXiv:2002.02126, eq. 4 and 9)."""
    total, layer = x, x
    for _ in range(num_layers):
        layer = spmm(adjacency, layer)
        total = total + layer
    return total / (num_layers + 1)


def check_layers(**layers: int) -> None:
    """Refuse negative numbers of layers.

    Raises:
        InputError: Naming the one.
    """
    for name, number in layers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise InputError(f"{name} must be a whole number of at least 0, got {number!r}.")


def need_modalities(model: str, modalities: Mapping[str, int]) -> None:
    """Refuse to make a content model without content.

    Raises:
        InputError: No modality was named.
    """
    if not modalities:
        raise InputError(
            f"{model} reads item features: name them, for example {model}(data.num_users, data.num_items, data.modalities); "
            f"without features use LightGCN."
        )
