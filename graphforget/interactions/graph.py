"""InteractionGraph: everything that recommenders derive from interactions and item features, owned by the data.

Nothing of it may be kept in a model, because all of it holds what a deletion must take away: the propagation
graph, the feature tables, the item-item graphs, popularity. A deletion makes new data, and new data make a new one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphforget.base.memo import Memo
from graphforget.exceptions import InputError
from graphforget.interactions.data import Interactions
from graphforget.interactions.knn import NearestItems, nearest_items, without_items
from graphforget.interactions.positives import Positives
from graphforget.kernels import SparseGraph


class InteractionGraph:
    """What is derived from interactions, made when first read and kept.

    Args:
        data: The interactions.
        device: Where graphs and features go; ``positives`` and ``live_items`` stay on the CPU.
        before: The graph of data from which ``data`` came by deletions: where the features of what is left are the same, nearest
            items that were found there are edited instead of searched anew, with the same result bit for bit.

    Attributes:
        num_users: Number of user slots.
        num_items: Number of item slots.
        positives: Training items per user.
        live_items: Ids of items that are not forgotten, ascending.

    Example:
        >>> graph = InteractionGraph(Interactions.create({"train": [[0, 0], [0, 1], [1, 1]]}))
        >>> graph.popularity.tolist(), graph.adjacency.shape
        ([1, 2], (4, 4))
    """

    def __init__(self, data: Interactions, device: torch.device | str = "cpu", *, before: InteractionGraph | None = None) -> None:
        self.num_users, self.num_items = data.num_users, data.num_items
        self.device = torch.device(device)
        self.positives: Positives = data.positives
        self.live_items = data.alive_items.nonzero().view(-1)
        self._pairs, self._alive_items, self._features = data.splits["train"], data.alive_items, data.features
        self._beside = {"user": data.user_data, "item": data.item_data}
        self._near: dict[tuple[str, int], NearestItems] = {}
        self._graphs: dict[tuple[str, int, bool], SparseGraph] = {}
        # Only what was found already is taken over; the rest of `before` may be freed.
        self._before = {} if before is None else {key: (near, before._features[key[0]]) for key, near in before._near.items()}
        self._kept = Memo()

    # ---- interactions -------------------------------------------------------------------------------------
    @property
    def pairs(self) -> Tensor:
        """Training interactions (user, item), [n, 2], sorted."""
        return self._pairs

    @cached_property
    def seen_items(self) -> Tensor:
        """Ids of items with a training interaction, ascending, on the CPU."""
        return torch.unique(self._pairs[:, 1])

    @cached_property
    def popularity(self) -> Tensor:
        """Training interactions per item, [num_items]."""
        return torch.bincount(self._pairs[:, 1], minlength=self.num_items).to(self.device)

    @cached_property
    def degrees(self) -> tuple[Tensor, Tensor]:
        """Training interactions per user and per item."""
        return self.positives.counts().to(self.device), self.popularity

    @cached_property
    def adjacency(self) -> SparseGraph:
        """``D^-1/2 A D^-1/2`` over users, then items (LightGCN, He et al., arXiv:2002.02126, eq. 8); symmetric."""
        return self.propagation(self._pairs)

    @cached_property
    def user_items(self) -> SparseGraph:
        """The block of :attr:`adjacency` that carries items to users, [num_users, num_items]."""
        user, item = self._pairs.to(self.device).unbind(1)
        users, items = (count.float().clamp(min=1).rsqrt() for count in self.degrees)
        rowptr = self.positives.rowptr.to(self.device)
        return SparseGraph(rowptr, item.contiguous(), users[user] * items[item], num_cols=self.num_items)

    def propagation(self, pairs: Tensor) -> SparseGraph:
        """The normalised graph of some interactions, [num_users + num_items] squared, with their own degrees.

        Args:
            pairs: [n, 2] rows (user, item) without repetitions.
        """
        pairs = pairs.to(self.device)
        user, item = pairs[:, 0], pairs[:, 1] + self.num_users
        total = self.num_users + self.num_items
        degree = torch.bincount(torch.cat([user, item]), minlength=total).float().clamp(min=1).rsqrt()
        edges = torch.stack([torch.cat([item, user]), torch.cat([user, item])])
        return SparseGraph.from_edge_index(edges, total, degree[edges[0]] * degree[edges[1]])

    # ---- content ------------------------------------------------------------------------------------------
    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the feature tables, sorted."""
        return tuple(sorted(self._features))

    @cached_property
    def features(self) -> Mapping[str, Tensor]:
        """Feature tables with zeros where an item has no content, forgotten items included."""
        return {
            name: table.masked_fill(~self.content(name).view(-1, 1), 0.0).to(self.device)
            for name, table in sorted(self._features.items())
        }

    @cached_property
    def user_data(self) -> Mapping[str, Tensor]:
        """The further tables with one row per user."""
        return {name: table.to(self.device) for name, table in self._beside["user"].items()}

    @cached_property
    def item_data(self) -> Mapping[str, Tensor]:
        """The further tables with one row per item."""
        return {name: table.to(self.device) for name, table in self._beside["item"].items()}

    def content(self, name: str) -> Tensor:
        """Which items have content in a modality, bool [num_items], on the CPU."""
        return self._alive_items & self._features[name].isfinite().all(1)

    def feature(self, name: str) -> Tensor:
        """One feature table, [num_items, F].

        Raises:
            InputError: The data has no such modality.
        """
        if name not in self.features:
            raise InputError(
                f"the model reads the item features '{name}', but the data has {', '.join(self.modalities) or 'none'}: "
                f"give Interactions.create(features={{'{name}': ...}}), or name the model's modalities."
            )
        return self.features[name]

    def nearest(self, name: str, k: int = 10) -> NearestItems:
        """The k nearest items by a modality, on the CPU; see :func:`~graphforget.interactions.knn.nearest_items`."""
        self.feature(name)
        if (name, k) not in self._near:
            table, (known, then) = self._features[name], self._before.get((name, k), (None, None))
            left = self.content(name)
            usable = known is not None and then is not None and torch.equal(table[left], then[left])
            self._near[name, k] = (
                without_items(known, table, self._alive_items)
                if known is not None and usable
                else nearest_items(table, k, alive=self._alive_items)
            )
        return self._near[name, k]

    def item_graph(self, name: str, k: int = 10, *, weighted: bool = True) -> SparseGraph:
        """The normalised item-item graph of a modality; see :meth:`NearestItems.graph`."""
        key = (name, k, weighted)
        if key not in self._graphs:
            self._graphs[key] = self.nearest(name, k).graph(weighted=weighted).to(self.device)
        return self._graphs[key]

    # ---- structures that follow a model's weights -----------------------------------------------------------
    def kept(self, model: Any, sources: Sequence[object], make: Callable[[], Any]) -> Any:
        """What a model derives from its weights and from this data, kept here and never in the model.

        Args:
            model: Whose it is.
            sources: What must stay the same, see :meth:`graphforget.base.memo.Memo.get`.
            make: Run where nothing is kept for these sources.
        """
        return self._kept.get(model, "derived", sources, make)

    def kept_value(self, model: Any) -> Any:
        """What :meth:`kept` holds for a model, or None."""
        return self._kept.peek(model, "derived")
