"""What is asked of recommenders after a deletion: pairs, non-members, users and the context they are read in; drawn once.

**The re-ingest context.** After a deletion the items are dead in the retained data, and dead items have no score. A model is
therefore asked about them in the *re-ingest context* (:func:`reingested`): the retained interactions, with the forgotten users
and items there again and their content with them (features, item-item graphs), but without any interaction: as if they had
been added today. Nothing is masked in it.

Non-members of the membership attacks are the held-out *test* pairs of the same items (validation pairs may have been used to
tune or to stop a method), and users as active as the takers; random users are measured as well and never judged by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.attacks.recommendation import matched_strangers
from graphforget.interactions import Interactions, Positives, remove_pairs
from graphforget.requests import ForgetSplit, as_positions
from graphforget.requests.keys import unique_rows

AUDIENCE = 5000  # users whose lists are compared between models; of more, these are drawn
PAIRS = 4000  # deleted pairs, and non-members of each sort, that are asked about; of more, these are drawn
_LEAST_HELD = 30  # held-out pairs from which on the held-out attack is the one to judge by


def reingested(split: ForgetSplit) -> Interactions:
    """The re-ingest context of a split: forgotten users and items are there with their content and without an interaction.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> case = tiny_case("recommendation")
        >>> split = case.task.split(case.data, case.requests["items"])
        >>> data = reingested(split)
        >>> bool(data.alive_items[2]), int((data.splits["train"][:, 1] == 2).sum())
        (True, 0)
    """
    if split.unlinked_data is not split.data or not len(split.removed):
        return split.unlinked_data
    return remove_pairs(split.data, as_positions(split.removed))


@dataclass(frozen=True, eq=False)
class Side:
    """Deleted pairs of one kind of request and the pairs that they are compared with; groups are items, or users."""

    kind: str  # "item" or "user": what members and non-members share
    members: Tensor
    others: Mapping[str, Tensor]  # held, matched, random

    @property
    def column(self) -> int:
        return 1 if self.kind == "item" else 0

    @property
    def judged_by(self) -> tuple[str, ...]:
        """Membership figures to judge by: against matched strangers and, where there are enough, held-out pairs."""
        matched = f"same_{self.kind}_auc_matched"
        return (f"same_{self.kind}_auc", matched) if len(self.others["held"]) >= _LEAST_HELD else (matched,)


@dataclass(frozen=True, eq=False)
class Questions:
    """What is asked of every model; drawn once.

    Attributes:
        split: The cumulative split, from the first data.
        cold: The re-ingest context.
        top_k: Length of the lists.
        positives: Retained training items.
        forgotten: [n, 2] deleted training pairs; a random :data:`PAIRS` of them where there are more.
        sides: Membership attacks.
        pairs: [P, 2] every pair to be scored in the re-ingest context, by user.
        audience: Users whose lists are compared.
        test: [t, 2] retained test pairs of users who have a training item.
        groups: Rows of ``test`` by subset: ``test``, quartiles of the users' activity and of the items' popularity.
        sampled: What was drawn instead of asked in full: ``{what: (number asked, of how many)}``; empty for small data.
    """

    split: ForgetSplit
    cold: Interactions
    top_k: int
    positives: Positives
    forgotten: Tensor
    sides: tuple[Side, ...]
    pairs: Tensor
    audience: Tensor
    test: Tensor
    groups: Mapping[str, Tensor]
    sampled: Mapping[str, tuple[int, int]]

    def gone(self, kind: str) -> Tensor:
        """Forgotten users or items that had a training interaction."""
        data = self.split.retain_data
        column, alive = (1, data.alive_items) if kind == "item" else (0, data.alive_users)
        ids = torch.unique(self.split.removed[:, column])
        return ids[~alive[ids]]

    @property
    def bare(self) -> Tensor:
        """Items that stay and lost a modality, ascending."""
        named = torch.cat([self.forgotten[:0, 1], *self.split.request.modalities.values()])
        return torch.unique(named[self.split.retain_data.alive_items[named]])


def make_questions(task: Any, split: ForgetSplit) -> Questions:
    """Draw what will be asked, the same for all models."""
    data, positives = split.retain_data, task.context(split.retain_data).positives
    activity, popularity = positives.counts(), task.context(split.retain_data).popularity.cpu()
    drawn: dict[str, tuple[int, int]] = {}

    def some(what: str, rows: Tensor, limit: int) -> Tensor:
        """At most ``limit`` rows, drawn without replacement, in their order."""
        if len(rows) <= limit:
            return rows
        drawn[what] = limit, len(rows)
        return rows[torch.randperm(len(rows), generator=seeds.generator(0))[:limit].sort().values]

    forgotten = some("deleted pairs", split.removed, PAIRS)
    first = split.data
    known = torch.cat(list(first.splits.values()))
    by_user = ~data.alive_users[forgotten[:, 0]] & data.alive_items[forgotten[:, 1]]
    sides = []
    for kind, members in (("item", forgotten[~by_user]), ("user", forgotten[by_user])):
        if not len(members):
            continue
        column, other, counts = (1, "user", activity) if kind == "item" else (0, "item", popularity)
        held = first.part("test") if len(first.part("test")) else first.part("val")
        strange = data.alive_users if kind == "item" else data.alive_items
        held = held[torch.isin(held[:, column], members[:, column]) & strange[held[:, 1 - column]]]
        held = some(f"held-out pairs of the same {kind}s", held, PAIRS)
        draw = {
            name: matched_strangers(members, known, counts, first.num_items, side=other, window=window, seed=number)
            for number, (name, window) in enumerate((("matched", 20), ("random", None)))
        }
        sides.append(Side(kind, members, {"held": held, **draw}))
    pairs = torch.cat([forgotten, *(p for side in sides for p in side.others.values())])
    having = (activity > 0).nonzero().view(-1)
    audience = some("users whose lists are compared", having, AUDIENCE)
    test = data.part("test")
    test = test[activity[test[:, 0]] > 0]
    return Questions(
        split,
        reingested(split),
        task.top_k,
        positives,
        forgotten,
        tuple(sides),
        unique_rows(pairs),
        audience,
        test,
        _groups(test, activity, popularity, data.alive_items),
        drawn,
    )


def _groups(test: Tensor, activity: Tensor, popularity: Tensor, alive: Tensor) -> dict[str, Tensor]:
    """Rows of the test pairs by quartile of their users' activity and of their items' popularity, 1 being the least.

    A quartile holds a quarter of the users with test pairs, or of the live items.
    """
    groups = {"test": torch.arange(len(test))}
    if not len(test):
        return {}
    quartiles = {
        "test, users' activity": (torch.unique(test[:, 0]), activity, 0),
        "test, items' popularity": (alive.nonzero().view(-1), popularity, 1),
    }
    for name, (ids, counts, column) in quartiles.items():
        order = ids[torch.argsort(counts[ids], stable=True)]
        for number, part in enumerate(torch.tensor_split(order, 4), 1):
            rows = torch.isin(test[:, column], part).nonzero().view(-1)
            if len(rows):
                groups[f"{name} Q{number}"] = rows
    return groups
