"""Balanced clustering of points: greedy under a cap (RecEraser) or by optimal transport (UltraRE)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def capped_assignment(cost: Tensor, cap: int) -> Tensor:
    """Every point to a centre, none of which takes more than ``cap``, cheapest pair first, [n].

    The greedy that goes through all pairs in the order of their cost and skips points that are placed and centres that are
    full. Found as the stable matching under that common order, which is the same: in every round each point asks the
    cheapest centre that has not refused it, and each centre refuses all but its ``cap`` cheapest. Ties go to the lower point.

    Args:
        cost: [n, k], finite.
        cap: At least n / k.
    """
    open_ = cost.clone()
    while True:
        value, choice = open_.min(1)
        order = value.argsort(stable=True)
        order = order[choice[order].argsort(stable=True)]  # by centre, then by cost
        count = torch.bincount(choice, minlength=cost.size(1))
        place = torch.arange(len(cost)) - (count.cumsum(0) - count)[choice[order]]
        refused = order[place >= cap]
        if not len(refused):
            return choice
        open_[refused, choice[refused]] = math.inf


def transport_plan(cost: Tensor, *, smoothing: float = 0.05, iterations: int = 100) -> Tensor:
    """Logarithm of the entropic optimal transport plan with uniform marginals, [n, k] (Cuturi, NeurIPS 2013, in log space).

    Args:
        cost: [n, k].
        smoothing: Weight of the entropy, as a share of the mean cost.
        iterations: Sinkhorn steps.
    """
    kernel = -cost / (smoothing * cost.mean().clamp_min(torch.finfo(cost.dtype).tiny))
    n, k = cost.shape
    rows, columns = kernel.new_zeros(n, 1), kernel.new_zeros(1, k)
    for _ in range(iterations):
        columns = -math.log(k) - (kernel + rows).logsumexp(0, keepdim=True)
        rows = -math.log(n) - (kernel + columns).logsumexp(1, keepdim=True)
    return kernel + rows + columns


def balanced_groups(
    points: Sequence[Tensor], count: int, *, slack: float, rounds: int, generator: torch.Generator, transport: bool = False
) -> Tensor:
    """Groups of near points, none larger than ``slack`` times the mean size, [n].

    Assignment and mean alternate, from ``count`` random points, until no point moves. The cost of a point and a centre is the
    squared distance, and for points of several parts (a user's vector and an item's) the product over the parts.

    Args:
        points: Parts of the points, each [n, d].
        count: Number of groups; fewer where there are fewer points.
        slack: At least 1.
        rounds: At most so many.
        generator: For the first centres.
        transport: Assign along the optimal transport plan between points and centres, instead of by distance.
    """
    n = len(points[0])
    count = min(count, n)
    cap = max(math.ceil(slack * n / count - 1e-9), math.ceil(n / count))
    first = torch.randperm(n, generator=generator)[:count]
    centres = [part[first] for part in points]
    groups = torch.full((n,), -1)
    for _ in range(rounds):
        cost = torch.ones(n, count, dtype=points[0].dtype)
        for part, centre in zip(points, centres, strict=True):
            cost *= torch.cdist(part, centre).square()
        moved = capped_assignment(-transport_plan(cost) if transport else cost, cap)
        if torch.equal(moved, groups):
            break
        groups = moved
        size = torch.bincount(groups, minlength=count).clamp(min=1).unsqueeze(1)
        centres = [torch.zeros(count, part.size(1), dtype=part.dtype).index_add_(0, groups, part) / size for part in points]
    return groups
