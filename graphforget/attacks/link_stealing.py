"""Link stealing: can a deleted edge be read off its end points' outputs? (He et al. 2021)

Deleted edges are compared with non-edges of *matched degree*: against uniform random pairs any model looks leaky, because
hubs have many edges and similar outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.base.attack import AttackRecord
from graphforget.exceptions import InputError
from graphforget.metrics.ranks import auc
from graphforget.requests.keys import first_of_each, row_keys, smaller_first

__all__ = ["DISTANCES", "link_stealing_attack", "matched_non_edges", "pair_distances"]

DISTANCES = ("cosine", "euclidean", "correlation", "chebyshev", "braycurtis", "canberra", "cityblock", "sqeuclidean")


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    norm = a.norm(dim=1) * b.norm(dim=1)
    return 1 - (a * b).sum(1) / norm.clamp_min(torch.finfo(a.dtype).tiny)


def pair_distances(embeddings: Tensor, pairs: Tensor) -> dict[str, Tensor]:
    """The eight distances of He et al. (2021, attack 0) between the end points of each pair.

    Args:
        embeddings: ``[num_nodes, d]`` embeddings or posteriors.
        pairs: ``[n, 2]`` node ids.

    Returns:
        ``{distance: [n]}`` float64, in the order of :data:`DISTANCES`.
    """
    if embeddings.dim() != 2 or pairs.dim() != 2 or pairs.shape[1] != 2:
        raise InputError(f"Need embeddings [nodes, d] and pairs [n, 2], got {tuple(embeddings.shape)} and {tuple(pairs.shape)}.")
    a, b = embeddings[pairs[:, 0]].detach().double(), embeddings[pairs[:, 1]].detach().double()
    if bool(a.isnan().any()) or bool(b.isnan().any()):
        raise InputError("Embeddings of these pairs contain NaN: an end point was deleted; leave such pairs out.")
    difference, total = (a - b).abs(), (a + b).abs()
    size = a.abs() + b.abs()
    return {
        "cosine": _cosine(a, b),
        "euclidean": difference.norm(dim=1),
        "correlation": _cosine(a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)),
        "chebyshev": difference.amax(1),
        "braycurtis": difference.sum(1) / total.sum(1).clamp_min(1e-300),
        "canberra": torch.where(size > 0, difference / size.clamp_min(1e-300), torch.zeros_like(size)).sum(1),
        "cityblock": difference.sum(1),
        "sqeuclidean": difference.square().sum(1),
    }


def matched_non_edges(pairs: Tensor, edges: Tensor, degrees: Tensor, *, seed: int = 0, max_rounds: int = 30) -> Tensor:
    """For each pair, a non-edge whose end points have nearly the same degrees.

    Nodes are sorted by degree (ties in random order); each end point is replaced by one at most ``window`` places away,
    and the window doubles for pairs that hit an edge, a loop or an earlier draw. No adjacency matrix is formed.

    Args:
        pairs: ``[n, 2]`` edges to be matched (the deleted ones).
        edges: ``[m, 2]`` every edge of the *original* graph, deleted ones included, in either direction.
        degrees: ``[num_nodes]`` degrees in the original graph; nodes of degree 0 are never drawn.
        seed: Seed of the draw.
        max_rounds: Rounds before giving up.

    Returns:
        ``[n, 2]`` int64, row i matched to pair i, smaller id first, no row twice.

    Raises:
        InputError: When the graph is too dense or too small for n distinct non-edges.

    Example:
        >>> edges = torch.tensor([[0, 1], [1, 2], [2, 3]])
        >>> matched_non_edges(edges[:1], edges, torch.tensor([1, 2, 2, 1])).shape
        torch.Size([1, 2])
    """
    for name, value in (("pairs", pairs), ("edges", edges)):
        if value.dim() != 2 or value.shape[1] != 2:
            raise InputError(f"{name} must be [n, 2], one edge per row, got {tuple(value.shape)}; transpose an edge_index.")
    num_nodes = degrees.numel()
    generator = torch.Generator().manual_seed(seed)

    def key(both: Tensor) -> Tensor:
        return row_keys(smaller_first(both), (num_nodes, num_nodes))

    taken = key(edges).unique()
    jitter = torch.randperm(num_nodes, generator=generator)
    order = jitter[degrees[jitter].argsort(stable=True)]
    order = order[degrees[order] > 0]
    place = torch.full((num_nodes,), -1, dtype=torch.long)
    place[order] = torch.arange(order.numel())
    if bool((place[pairs] < 0).any()):
        raise InputError("A pair has an end point of degree 0; give the degrees of the graph before deletion.")

    result = torch.empty_like(pairs)
    open_rows = torch.arange(pairs.shape[0])
    window = max(4, order.numel() // 100)
    for _ in range(max_rounds):
        offset = torch.randint(-window, window + 1, (open_rows.numel(), 2), generator=generator)
        draw = order[(place[pairs[open_rows]] + offset).clamp(0, order.numel() - 1)]
        keys = key(draw)
        # The first row that draws a pair keeps it; later rows draw again.
        good = (draw[:, 0] != draw[:, 1]) & ~torch.isin(keys, taken) & first_of_each(keys)
        result[open_rows[good]] = draw[good].sort(1).values
        taken = torch.cat([taken, keys[good]])
        open_rows = open_rows[~good]
        if open_rows.numel() == 0:
            return result
        window = min(window * 2, order.numel())
    raise InputError(
        f"No matched non-edge was found for {open_rows.numel()} of {pairs.shape[0]} pairs: "
        "the graph is too dense or too small; ask for fewer pairs."
    )


def link_stealing_attack(embeddings: Tensor, deleted: Tensor, non_edges: Tensor) -> dict[str, float]:
    """AUC of deleted edges over matched non-edges, one attack per distance: close end points mean "was linked".

    Args:
        embeddings: ``[num_nodes, d]`` outputs or embeddings of the attacked model.
        deleted: ``[n, 2]`` deleted edges.
        non_edges: ``[m, 2]`` from :func:`matched_non_edges`.

    Returns:
        ``{"link_auc_cosine": ..., ...}``; the aim is gold's value: linked nodes are alike in any model.
    """
    near, far = pair_distances(embeddings, deleted), pair_distances(embeddings, non_edges)
    return {f"link_auc_{name}": auc(-near[name], -far[name]) for name in DISTANCES}


RECORDS = (
    AttackRecord(
        "link_stealing",
        ("node embeddings or posteriors", "deleted edges", "degree-matched non-edges"),
        "He et al. 2021",
        "A deleted edge is recognised by the closeness of its end points' outputs.",
        "Homophily alone gives values above 0.5, on gold too.",
    ),
)
