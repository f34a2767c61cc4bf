"""Interactions beside others that could have happened as well: how far ahead of them the model ranks a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphforget.base import Task, count_work, device_of
from graphforget.base.capabilities import reads_graph
from graphforget.interactions import Interactions

Score = Callable[[Tensor, Tensor], Tensor]
Known = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Contrast:
    """Pairs, each with K others that differ in one side: another user for the same item, or another item for the same user.

    Attributes:
        pairs: [n, 2] rows (user, item).
        others: [n, K] users (``side`` 0) or items (``side`` 1) in the place of the pair's own.
        usable: [n, K] bool: the others that exist, are not the pair's own and never took part in such a pair.
        side: Which side differs.
    """

    pairs: Tensor
    others: Tensor
    usable: Tensor
    side: int

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def kept(self) -> Tensor:
        """Ids on the side that does not differ, [n]."""
        return self.pairs[:, 1 - self.side]

    def margins(self, score: Score, column: int) -> Tensor:
        """Score of every pair minus that of its ``column``-th other, where that is usable, [m]."""
        rows = self.usable[:, column].nonzero().view(-1)
        pairs = self.pairs[rows]
        other = pairs.clone()
        other[:, self.side] = self.others[rows, column]
        both = torch.cat([pairs, other])
        own, against = score(both[:, 0], both[:, 1]).chunk(2)
        return own - against

    def advantages(self, score: Score) -> Tensor:
        """Share of its others that each pair outranks, [n] float64: 0.5 is chance, 1 is always.

        Example:
            >>> pairs = torch.tensor([[0, 0], [1, 0]])
            >>> one = Contrast(pairs, torch.tensor([[2], [0]]), torch.ones(2, 1, dtype=torch.bool), side=0)
            >>> one.advantages(lambda user, item: user.float()).tolist()
            [0.0, 1.0]
        """
        count = self.others.size(1)
        other = self.pairs.repeat_interleave(count, 0)
        other[:, self.side] = self.others.reshape(-1)
        with torch.no_grad():
            own = score(self.pairs[:, 0], self.pairs[:, 1]).cpu().view(-1, 1)
            against = score(other[:, 0], other[:, 1]).cpu().view(-1, count)
        ahead = (own > against).double() + 0.5 * (own == against).double()
        return (ahead * self.usable).sum(1) / self.usable.sum(1)


def stratified_difference(one: Tensor, one_by: Tensor, two: Tensor, two_by: Tensor) -> float:
    """Mean of ``one`` minus mean of ``two``, compared within strata, weighted by n m / (n + m); 0 without a common stratum.

    The weights are those of least variance when the spread is the same everywhere (as in van Elteren's test, 1960). What
    differs from stratum to stratum, such as how well an item's content foretells who takes it, cancels.

    Args:
        one: Values, [n].
        one_by: Their strata, [n] int64.
        two: Values, [m].
        two_by: Their strata, [m].

    Example:
        >>> stratified_difference(torch.tensor([1.0, 5.0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.5]), torch.tensor([0, 0]))
        0.5
    """
    size = int(torch.cat([one_by, two_by]).max()) + 1
    n, m = torch.bincount(one_by, minlength=size).double(), torch.bincount(two_by, minlength=size).double()
    means = [
        torch.zeros(size, dtype=torch.double).index_add(0, by, values.double()) / count.clamp(min=1)
        for values, by, count in ((one, one_by, n), (two, two_by, m))
    ]
    weight = n * m / (n + m).clamp(min=1)
    return float((weight * (means[0] - means[1])).sum() / weight.sum()) if bool(weight.any()) else 0.0


def pair_scorer(task: Task, model: nn.Module, data: Interactions) -> Score:
    """Scores of pairs (user [n], item [n]) on ``data``; a model that reads the graph encodes it once, here."""
    device = device_of(model)
    if not reads_graph(model):

        def by_model(user: Tensor, item: Tensor) -> Tensor:
            count_work(examples=len(user))
            return model(user.to(device), item.to(device))

        return by_model
    encoded = model(task.context(data, device))
    count_work(encodings=1)

    def by_encoding(user: Tensor, item: Tensor) -> Tensor:
        count_work(examples=len(user))
        return encoded.pair_scores(user.to(device), item.to(device))

    return by_encoding


def matched(
    pairs: Tensor, side: int, activity: Tensor, live: Tensor, known: Known, *, count: int, window: int, generator: torch.Generator
) -> Contrast:
    """A contrast with others of about the same activity; pairs for which none was found are left out.

    Args:
        pairs: [n, 2].
        side: 0 to replace users, 1 to replace items.
        activity: Interactions per user (or item), [N].
        live: Which of them exist, bool [N]; those of the pairs do.
        known: Says of pairs (user [m], item [m]) whether they are in the data: such others are not used.
        count: Others per pair.
        window: How far away, in the order of activity (ties in random order), the others lie at most.
        generator: Of every draw.
    """
    ids = live.nonzero().view(-1)
    ids = ids[torch.randperm(len(ids), generator=generator)]
    order = ids[torch.argsort(activity[ids], stable=True)]
    place = torch.zeros(len(live), dtype=torch.long).index_copy(0, order, torch.arange(len(order)))[pairs[:, side]]
    window = min(window, max(len(order) // 4, 1))
    step = torch.randint(-window, window + 1, (len(pairs), count), generator=generator)
    others = order[(place.view(-1, 1) + step).clamp(0, len(order) - 1)]
    grid = pairs.repeat_interleave(count, 0)
    grid[:, side] = others.reshape(-1)
    usable = (~known(grid[:, 0], grid[:, 1])).view(-1, count) & (others != pairs[:, side].view(-1, 1))
    keep = usable.any(1)
    return Contrast(pairs[keep], others[keep], usable[keep], side)
