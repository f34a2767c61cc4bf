"""A recommendation dataset that needs no file: generated from planted tastes, and labelled as synthetic everywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.datasets.check import check_task
from graphforget.datasets.recommender.splits import split_per_user
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions


def tastes(
    *,
    task: str | None = None,
    seed: int = 0,
    num_users: int = 300,
    num_items: int = 400,
    num_tastes: int = 8,
    per_user: int = 20,
    noise: float = 0.5,
) -> Interactions:
    """Synthetic interactions: users with planted tastes choose among items of planted kinds; items have two modalities.

    Every user has a main and a second taste, every item one kind and a popularity that falls as 1 / sqrt(rank). A user takes
    about ``per_user`` different items, each with probability in proportion to popularity times taste. The features ``"image"``
    (32 numbers) and ``"text"`` (16) are noisy pictures of an item's kind and of its popularity-free quality; the attributes are
    ``"kind"`` and ``"owner"``, a rights holder of about twenty items. Split 80 / 10 / 10 per user.

    Args:
        task: ``"recommendation"``.
        seed: Seed of everything.
        num_users: Number of users.
        num_items: Number of items.
        num_tastes: Number of planted tastes.
        per_user: Interactions per user, on average.
        noise: Standard deviation of the noise in the features; the signal's is 1.

    Raises:
        InputError: A size is too small.
    """
    check_task("tastes", task, ("recommendation",))
    if min(num_users, num_items, num_tastes) < 2 or not 3 <= per_user <= num_items // 2 or noise < 0:
        raise InputError(
            f"tastes needs at least 2 users, items and tastes, 3 <= per_user <= num_items / 2 and noise >= 0; got "
            f"num_users={num_users}, num_items={num_items}, num_tastes={num_tastes}, per_user={per_user}, noise={noise}."
        )
    draw = seeds.generator(seeds.derive(seed, "tastes"))
    kind = torch.randint(num_tastes, (num_items,), generator=draw)
    popularity = (1.0 + torch.randperm(num_items, generator=draw)).pow(-0.5)
    main, second = torch.randint(num_tastes, (2, num_users), generator=draw)
    liking = torch.full((num_users, num_tastes), 0.15)
    liking[torch.arange(num_users), second] = 1.5
    liking[torch.arange(num_users), main] = 5.0
    count = (torch.rand(num_users, generator=draw) + 0.5).mul(per_user).round().long().clamp(3, num_items)
    pairs = _take(liking[:, kind] * popularity, count, draw)
    features = {}
    for name, width in (("image", 32), ("text", 16)):
        prototypes = torch.randn(num_tastes, width, generator=draw)
        features[name] = prototypes[kind] + noise * torch.randn(num_items, width, generator=draw)
    owner = torch.randint(max(num_items // 20, 2), (num_items,), generator=draw)
    return Interactions.create(
        split_per_user(pairs, seed=seed),
        num_users=num_users,
        num_items=num_items,
        name="tastes (synthetic)",
        features=features,
        attributes={"kind": [f"kind {k}" for k in kind.tolist()], "owner": [f"owner {k}" for k in owner.tolist()]},
    )


def _take(weight: Tensor, count: Tensor, draw: torch.Generator) -> Tensor:
    """For each user ``count`` different items, drawn without replacement in proportion to ``weight`` [users, items]."""
    # The largest log(weight) + Gumbel noise are a draw without replacement (Efraimidis and Spirakis, 2006).
    noise = -torch.rand(weight.shape, generator=draw).clamp_min(1e-30).log()
    order = (weight.log() - noise.log()).argsort(1, descending=True)
    rank = torch.arange(weight.size(1)).expand_as(order)
    user = torch.arange(len(weight)).view(-1, 1).expand_as(order)
    chosen = rank < count.view(-1, 1)
    return torch.stack([user[chosen], order[chosen]], 1)
