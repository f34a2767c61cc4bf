"""Item-item graphs of nearest neighbours by cosine similarity, and their surgery when items go.

Neighbours are ordered by similarity and then by id, and a similarity is the same number in whatever company it is computed:
a graph after surgery is bit for bit the graph that a build without the items would have given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph

_CELLS = 4_000_000  # similarities held at once
_RESERVE = 10  # neighbours kept beyond k, so that most items that lose one need no new search
_BLOCK = 65_536  # pairs per exact comparison


@dataclass(frozen=True, eq=False)
class NearestItems:
    """The nearest items of every item, itself first.

    Attributes:
        items: [num_items, width] int64, nearest first; -1 where there are no more. Rows of items without content are all -1.
        similarity: [num_items, width] float32 cosine similarities; 0 where there is no neighbour.
        k: How many of them make the graph; the others are a reserve.
    """

    items: Tensor
    similarity: Tensor
    k: int

    def edges(self) -> tuple[Tensor, Tensor]:
        """Rows (item, neighbour), [E, 2], by item and rank, and their similarities, [E]."""
        near = self.items[:, : self.k]
        row, rank = (near >= 0).nonzero(as_tuple=True)
        return torch.stack([row, near[row, rank]], 1), self.similarity[row, rank]

    def graph(self, *, weighted: bool = True) -> SparseGraph:
        """``D^-1/2 A D^-1/2`` with D the row sums of A: the directed graph of the k nearest, each item its own first.

        LATTICE (Zhang et al., arXiv:2104.09036) and MGCN (Yu et al., arXiv:2308.03588) weigh the edges of A by similarity,
        FREEDOM (Zhou and Shen, arXiv:2211.06924) gives each the weight 1.

        Args:
            weighted: Edges weigh what their similarity is; else 1.
        """
        pairs, value = self.edges()
        return normalised(pairs, value if weighted else torch.ones_like(value), len(self.items))


def normalised(pairs: Tensor, weight: Tensor, num_items: int) -> SparseGraph:
    """The graph with entry (i, j) = weight / sqrt(sum of row i * sum of row j); entries of rows that sum to 0 or less are 0.

    Args:
        pairs: [E, 2] rows (i, j).
        weight: [E]; may require gradients.
        num_items: Number of rows and columns.
    """
    graph = SparseGraph.from_edge_index(pairs.flip(1).t().contiguous(), num_items, weight)
    assert graph.weight is not None
    total = graph.weight.new_zeros(num_items).index_add(0, graph.row.long(), graph.weight)
    scale = torch.where(total > 0, total.clamp_min(1e-12).rsqrt(), torch.zeros_like(total))
    return graph.with_weight(graph.weight * scale.index_select(0, graph.row) * scale.index_select(0, graph.col))


def nearest_items(features: Tensor, k: int = 10, *, alive: Tensor | None = None) -> NearestItems:
    """The k nearest items of every item by cosine similarity, itself among them; ties go to the smaller id.

    Args:
        features: [num_items, F]; rows of NaN or of zeros have no content and no neighbours.
        k: Number of neighbours, the item itself included, as in the published code of the models that use it.
        alive: [num_items] bool; by default all.

    Raises:
        InputError: ``k`` is no positive integer, or features are no matrix.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [float("nan")] * 2])
        >>> nearest_items(x, 2).edges()[0].tolist()
        [[0, 0], [0, 1], [1, 1], [1, 0], [2, 2], [2, 1]]
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k must be an integer of at least 1, got {k!r}.")
    if features.dim() != 2:
        raise InputError(f"features must be a matrix [num_items, F], got shape {list(features.shape)}.")
    rows, content = _unit_rows(features, alive)
    width = min(k + _RESERVE, len(rows))
    items = torch.full((len(rows), width), -1)
    similarity = torch.zeros(len(rows), width)
    _search(rows, content, content.nonzero().view(-1), items, similarity)
    return NearestItems(items, similarity, k)


def without_items(near: NearestItems, features: Tensor, alive: Tensor) -> NearestItems:
    """The same neighbours after items went: dropped from every list, and lists that became too short searched anew.

    Equal, in ``edges()`` and ``graph()``, to ``nearest_items(features, k, alive=alive)`` bit for bit.

    Args:
        near: Neighbours before.
        features: [num_items, F]; of the items that are left the same as before.
        alive: [num_items] bool; a subset of what was alive before.
    """
    rows, content = _unit_rows(features, alive)
    keep = (near.items >= 0) & content[near.items.clamp(min=0)] & content.view(-1, 1)
    # A stable sort brings what is kept to the front, in its order.
    order = torch.argsort((~keep).to(torch.int8), dim=1, stable=True)
    items = near.items.gather(1, order).masked_fill(~keep.gather(1, order), -1)
    similarity = near.similarity.gather(1, order).masked_fill(items < 0, 0.0)
    # A list that holds every item there is cannot be refilled.
    short = content & (keep.sum(1) < min(near.k, int(content.sum())))
    todo = short.nonzero().view(-1)
    _search(rows, content, todo, items, similarity)
    return NearestItems(items, similarity, near.k)


def _unit_rows(features: Tensor, alive: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows of length one in double precision (zeros where there is no content), and which have content."""
    content = features.isfinite().all(1) & (features != 0).any(1)
    if alive is not None:
        content = content & alive
    rows = features.double().masked_fill(~content.view(-1, 1), 0.0)
    return rows / rows.square().sum(1, keepdim=True).sqrt().clamp_min(1e-300), content


def _search(rows: Tensor, content: Tensor, todo: Tensor, items: Tensor, similarity: Tensor) -> None:
    """Fill ``items`` and ``similarity`` for the rows in ``todo``.

    A matrix product in single precision proposes, generously; the few proposals are compared by similarities that are
    computed pair by pair, so that they depend on the pair alone and not on the shape of the product it stood in.
    """
    width = items.size(1)
    live = content.nonzero().view(-1)
    if not len(live):
        return
    table = rows[live].float()
    # Unit vectors: the rounding error of a dot product of length d is below d * 2^-24.
    slack = 2 * (rows.size(1) + 2) * 2.0**-24
    for part in todo.split(max(_CELLS // max(len(live), 1), 1)):
        near = rows[part].float() @ table.t()
        count = min(width, len(live))
        bound = near.topk(count, dim=1, sorted=False).values.amin(1, keepdim=True) - slack
        row, column = (near >= bound).nonzero(as_tuple=True)
        item, other = part[row], live[column]
        value = torch.cat([(rows[a] * rows[b]).sum(1) for a, b in zip(item.split(_BLOCK), other.split(_BLOCK))]).float()
        # The item itself comes first even among copies of it; then by value, then by id (proposals stand in order of id).
        value = torch.where(item == other, torch.full_like(value, torch.inf), value)
        order = torch.argsort(value, descending=True, stable=True)
        order = order[torch.argsort(row[order], stable=True)]
        start = torch.bincount(row, minlength=len(part)).cumsum(0) - torch.bincount(row, minlength=len(part))
        rank = torch.arange(len(order)) - start[row[order]]
        best = order[rank < width]
        place = rank[rank < width]
        items[part], similarity[part] = -1, 0.0
        items[item[best], place] = other[best]
        similarity[item[best], place] = value[best].clamp(max=1.0)
