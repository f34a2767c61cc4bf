"""What a recommender still shows of deleted interactions, and how far its lists are from a retrained model's.

Per element first: ranks of pairs, places among non-members, overlaps of lists. Elements of one user are not independent, so
intervals resample users.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from graphforget.exceptions import InputError

__all__ = [
    "RelativeGap",
    "entropies",
    "exposure_at_k",
    "jaccard_at_k",
    "js_of",
    "mean_over_users",
    "overlap_of_lists",
    "pair_ranks",
    "placements",
    "rank_biased_overlap",
    "rank_percentile",
    "relative_gap_over_users",
    "softmax_js",
    "two_sample_distance",
]

_DRAWS = 4_000_000  # bootstrap draws at once


# ---- ranks ----------------------------------------------------------------------------------------------------
def pair_ranks(scores: Tensor, pairs: Tensor, *, exclude: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Where items stand in their users' rankings: 1 is the first place, ties share their mean place.

    Args:
        scores: [u, num_items]; NaN and ``-inf`` are no candidates.
        pairs: [n, 2] pairs (row, item) to be placed.
        exclude: [m, 2] pairs (row, item) that are no candidates, such as what the user has; a placed pair always is one.

    Returns:
        Ranks [n] float64 and the number of candidates [n], the placed item among them.

    Raises:
        InputError: A placed pair has no score.

    Example:
        >>> rank, size = pair_ranks(torch.tensor([[0.9, 0.1, 0.5]]), torch.tensor([[0, 2], [0, 1]]))
        >>> rank.tolist(), size.tolist()
        ([2.0, 3.0], [3, 3])
    """
    own = scores[pairs[:, 0], pairs[:, 1]]
    if bool(own.isnan().any() | own.isinf().any()):
        raise InputError("a pair to be ranked has no score: its user or item is deleted in the data that the model reads.")
    if scores.dtype in (torch.float16, torch.bfloat16):
        scores = scores.float()
    table, values = scores.detach().cpu().numpy(), own.detach().to(scores.dtype).cpu().numpy()
    rows, items = pairs.cpu().unbind(1)
    order = torch.argsort(rows, stable=True)
    row_of, first = torch.unique_consecutive(rows[order], return_counts=True)
    out = torch.empty(0, 2, dtype=torch.long) if exclude is None else exclude.cpu()
    out = out[torch.argsort(out[:, 0], stable=True)]
    left, right = (torch.searchsorted(out[:, 0].contiguous(), row_of, right=side).tolist() for side in (False, True))
    dropped = out[:, 1].numpy()
    ranks, sizes = np.empty(len(pairs)), np.empty(len(pairs), dtype=np.int64)
    # One row at a time: it stays in the processor's cache, and no second table is made.
    for row, places, start, end in zip(row_of.tolist(), order.split(first.tolist()), left, right, strict=True):
        line = table[row].copy()
        line[dropped[start:end]] = -np.inf
        candidates = np.count_nonzero(line > -np.inf)
        for place in places.tolist():
            value, here = values[place], line[items[place]] > -np.inf  # else it was excluded, and is put back beside the others
            tied = np.count_nonzero(line == value) - int(here)
            ranks[place] = 1 + np.count_nonzero(line > value) + tied / 2
            sizes[place] = candidates + int(not here)
    return torch.from_numpy(ranks), torch.from_numpy(sizes)


def rank_percentile(rank: Tensor, size: Tensor) -> Tensor:
    """Ranks as a share of the candidates left behind: 1 for the first place, 0 for the last; 1/2 without a rival.

    Example:
        >>> rank_percentile(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3, 3, 3])).tolist()
        [1.0, 0.5, 0.0]
    """
    rivals = (size - 1).double()
    return torch.where(rivals > 0, 1 - (rank.double() - 1) / rivals.clamp_min(1), 0.5)


def exposure_at_k(ranked: Tensor, items: Tensor) -> Tensor:
    """Share of the places of every list that go to some items, [u]; 0 for an empty list.

    Args:
        ranked: [u, k] from :func:`~graphforget.metrics.utility.top_items`.
        items: [n] ids.
    """
    places = (ranked >= 0).sum(1).clamp_min(1)
    return (torch.isin(ranked, items) & (ranked >= 0)).sum(1).double() / places


# ---- membership -----------------------------------------------------------------------------------------------
def placements(member: Tensor, group: Tensor, other: Tensor, other_group: Tensor) -> Tensor:
    """For each member, the share of the non-members of its group that score below it (ties count half).

    The mean over members is the AUC within groups: with items as groups, that of a same-item membership attack. Unlike an
    AUC over all pairs at once it does not reward a model for knowing which items are popular.

    Args:
        member: [n] scores.
        group: [n] ids.
        other: [m] scores of non-members.
        other_group: [m] ids.

    Returns:
        [n] in [0, 1]; NaN for members of a group without a non-member.

    Example:
        >>> placements(torch.tensor([2.0, 1.0]), torch.tensor([7, 8]), torch.tensor([1.0, 3.0]), torch.tensor([7, 7])).tolist()
        [0.5, nan]
    """
    if member.shape != group.shape or other.shape != other_group.shape:
        raise InputError("placements needs one group per score, on both sides.")
    # Scores become ranks over both samples; group * (number of ranks) + rank then sorts by group first.
    _, rank = torch.unique(torch.cat([member, other]).double(), return_inverse=True)
    width = int(rank.max()) + 2 if rank.numel() else 2
    mine, theirs = group * width + rank[: len(member)], (other_group * width + rank[len(member) :]).sort().values

    def below(key: Tensor, *, right: bool) -> Tensor:
        return torch.searchsorted(theirs, key, right=right).double()

    start, size = below(group * width, right=False), below((group + 1) * width, right=False)
    size = size - start
    share = ((below(mine, right=False) + below(mine, right=True)) / 2 - start) / size
    return share.masked_fill(size == 0, float("nan"))


# ---- lists and distributions ----------------------------------------------------------------------------------
def overlap_of_lists(a: Tensor, b: Tensor) -> Tensor:
    """Number of common items among the first d of two lists, for d = 1 .. k: [u, k].

    Args:
        a: [u, k] items without repetitions, -1 where there are no more.
        b: [u, k], the same.
    """
    if a.shape != b.shape or a.dim() != 2:
        raise InputError(f"lists must have one shape [users, k], got {list(a.shape)} and {list(b.shape)}.")
    same = (a.unsqueeze(2) == b.unsqueeze(1)) & (a >= 0).unsqueeze(2)
    # A common item at places i and j counts from max(i, j) on.
    place = torch.arange(a.size(1))
    later = torch.maximum(place.view(-1, 1), place.view(1, -1)).expand(len(a), -1, -1)
    first = torch.zeros(a.shape, dtype=torch.double).scatter_add(1, later.reshape(len(a), -1), same.double().flatten(1))
    return first.cumsum(1)


def jaccard_at_k(a: Tensor, b: Tensor) -> Tensor:
    """Common items over items in either list, per user [u]; 1 for two empty lists.

    Example:
        >>> jaccard_at_k(torch.tensor([[1, 2, 3]]), torch.tensor([[3, 2, 9]])).tolist()
        [0.5]
    """
    common = overlap_of_lists(a, b)[:, -1]
    either = (a >= 0).sum(1) + (b >= 0).sum(1) - common
    return torch.where(either > 0, common / either.clamp_min(1), 1.0)


def rank_biased_overlap(a: Tensor, b: Tensor, *, persistence: float = 0.9) -> Tensor:
    """Rank-biased overlap of lists cut at k (Webber et al., TOIS 2010, eq. 4), per user [u].

    The mean of the overlaps at depth d = 1 .. k with weights ``persistence ** d``, divided by the sum of the weights, so that
    equal lists have 1 at every length (the paper's infinite sum has its own maximum 1).

    Args:
        a: [u, k] items, -1 where there are no more.
        b: [u, k].
        persistence: Weight of a place over the one before it.

    Raises:
        InputError: Persistence outside (0, 1).
    """
    if not 0 < persistence < 1:
        raise InputError(f"persistence must lie between 0 and 1 (exclusive), got {persistence}.")
    depth = torch.maximum((a >= 0).cumsum(1), (b >= 0).cumsum(1)).clamp_min(1)
    weight = persistence ** torch.arange(a.size(1), dtype=torch.double)
    return (overlap_of_lists(a, b) / depth) @ weight / weight.sum()


def softmax_js(scores: Tensor, reference: Tensor) -> Tensor:
    """Jensen-Shannon divergence (base 2) of the softmax over items, per user [u].

    Args:
        scores: [u, n] scores of the same items by one model.
        reference: [u, n] by the other.
    """
    if scores.shape != reference.shape or bool(scores.isnan().any() | reference.isnan().any()):
        raise InputError("softmax_js needs two tables [users, items] of one shape without NaN: give live items only.")
    p, q = (s.double().softmax(1) for s in (scores, reference))
    return js_of(p, q, entropies(p), entropies(q))


def entropies(p: Tensor) -> Tensor:
    """Entropy in nats of each row of ``p`` [u, n], [u].

    Example:
        >>> round(float(entropies(torch.tensor([[0.5, 0.5]])).exp()), 6)
        2.0
    """
    return -torch.xlogy(p, p).sum(1)


def js_of(p: Tensor, q: Tensor, entropy_p: Tensor, entropy_q: Tensor) -> Tensor:
    """Jensen-Shannon divergence (base 2) of distributions, per row [u]: the entropy of their mean less their mean entropy.

    One logarithm per cell, where many models are compared with the same few. In float64 it is exact to about 1e-13.

    Args:
        p: [u, n] rows that sum to 1.
        q: [u, n], the same.
        entropy_p: [u] from :func:`entropies`.
        entropy_q: [u], the same.
    """
    value = entropies((p + q).mul_(0.5)) - (entropy_p + entropy_q) / 2
    return (value / math.log(2)).clamp(0, 1)


def two_sample_distance(a: Tensor, b: Tensor) -> float:
    """Largest gap between two empirical distribution functions (Kolmogorov and Smirnov), in [0, 1].

    Example:
        >>> two_sample_distance(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
        0.5
    """
    if not a.numel() or not b.numel():
        raise InputError("two_sample_distance needs at least one value on each side.")
    a, b = a.double().sort().values, b.double().sort().values
    at = torch.cat([a, b])
    gap = torch.searchsorted(a, at, right=True) / len(a) - torch.searchsorted(b, at, right=True) / len(b)
    return float(gap.abs().max())


# ---- intervals over users -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class RelativeGap:
    """Distance to gold in units of what there was to forget.

    Attributes:
        value: ``(s(U) - mean s(G)) / (s(O) - mean s(G))``: 0 = gold, 1 = nothing forgotten, negative = over-forgotten; NaN
            where the original does not differ from gold.
        low: Lower end of the 95 % interval over users.
        high: Upper end.
        over_forgotten: Whether the value lies below ``-2 sd s(G) / |s(O) - mean s(G)|``, beyond what golds differ by.
    """

    value: float
    low: float
    high: float
    over_forgotten: bool


def _sums(values: Tensor, users: Tensor) -> tuple[Tensor, Tensor]:
    """Per user the sum of every row of ``values`` [models, n] and the number of elements; NaN elements are left out."""
    known = ~values.isnan().any(0)
    _, user = torch.unique(users[known], return_inverse=True)
    size = int(user.max()) + 1 if user.numel() else 0
    sums = torch.zeros(len(values), size, dtype=torch.double).index_add(1, user, values[:, known].double())
    return sums, torch.bincount(user, minlength=size).double()


def _resampled(values: Tensor, users: Tensor, resamples: int, seed: int) -> Tensor:
    """Means of every row over resampled users, [models, resamples]; the same users for all rows."""
    sums, count = _sums(values, users)
    size, generator, means = len(count), torch.Generator().manual_seed(seed), []
    for start in range(0, resamples, step := max(1, _DRAWS // max(1, size))):
        rows = min(step, resamples - start)
        drawn = torch.randint(size, (rows, size), generator=generator)
        weight = torch.zeros(rows, size, dtype=torch.double).scatter_add(1, drawn, torch.ones(rows, size, dtype=torch.double))
        means.append(sums @ weight.t() / (weight @ count))
    return torch.cat(means, 1)


def _interval(draws: Tensor) -> tuple[float, float]:
    low, high = draws.nanquantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return low, high


def mean_over_users(values: Tensor, users: Tensor, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of elements and its 95 % percentile bootstrap interval, users resampled with all of their elements.

    Args:
        values: [n]; NaN elements are left out.
        users: [n] the user of every element.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Raises:
        InputError: No element is left.
    """
    if not bool((~values.isnan()).any()):
        raise InputError("there is no element to average: all are NaN, or there are none.")
    low, high = _interval(_resampled(values.view(1, -1), users, resamples, seed)[0])
    return float(values.double().nanmean()), low, high


def relative_gap_over_users(
    value: Tensor, original: Tensor, golds: Tensor, users: Tensor, *, resamples: int = 1000, seed: int = 0
) -> RelativeGap:
    """Relative gap of a mean over elements, with an interval over users and a flag of over-forgetting.

    Every resample draws users once for all models, conditional on the golds at hand.

    Args:
        value: [n] per element, of the unlearned model.
        original: [n] of the original.
        golds: [K, n] of the golds.
        users: [n] the user of every element.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Example:
        >>> one, users = torch.ones(4), torch.tensor([0, 0, 1, 2])
        >>> relative_gap_over_users(0.5 * one, one, torch.zeros(3, 4), users).value
        0.5
    """
    table = torch.cat([value.view(1, -1), original.view(1, -1), golds]).double()
    known = ~table.isnan().any(0)
    if not bool(known.any()):
        raise InputError("there is no element that all models have a value for.")
    mean = table[:, known].mean(1)
    gold, there_was = mean[2:].mean(), mean[1] - mean[2:].mean()
    if abs(float(there_was)) < 1e-12:
        return RelativeGap(math.nan, math.nan, math.nan, False)
    draws = _resampled(table, users, resamples, seed)
    middle = draws[2:].mean(0)
    low, high = _interval((draws[0] - middle) / (draws[1] - middle))
    ratio = float((mean[0] - gold) / there_was)
    spread = float(mean[2:].std()) if len(golds) > 1 else math.inf
    return RelativeGap(ratio, low, high, ratio < -2 * spread / abs(float(there_was)))
