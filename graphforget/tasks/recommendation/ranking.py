"""Full ranking: every live item scored for blocks of users, what they already took left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from graphforget.base import Ensemble, count_work, device_of, evaluating
from graphforget.base.capabilities import has_score_all, reads_graph
from graphforget.interactions import InteractionGraph, Interactions, Positives
from graphforget.metrics.utility import map_at_k, ndcg_at_k, precision_at_k, recall_at_k, top_items

SCORES = 2**21  # held at once: larger blocks are mapped anew every time, which costs more than the scores

Scorer = Callable[[Tensor], Tensor]
Context = Callable[[torch.device], InteractionGraph]


def scorer(model: nn.Module, data: Interactions, context: Context) -> Scorer:
    """A function from user ids [n] to scores [n, num_items] on the CPU, NaN for forgotten users and items.

    A model that reads the interaction graph encodes it once, here.
    """
    live = context(torch.device("cpu")).live_items
    if isinstance(model, Ensemble):
        return _ensemble_scorer([scorer(member, data, context) for member in model.members], live, data.num_items)
    device = device_of(model)
    here = live.to(device)
    if reads_graph(model):
        with evaluating(model):
            encoded = model(context(device))
        count_work(encodings=1)

    def among(scores: Tensor) -> Tensor:
        return scores if len(live) == data.num_items else scores[:, here]

    def score(user_id: Tensor) -> Tensor:
        with evaluating(model):
            if reads_graph(model):
                scores = among(encoded.scores(user_id.to(device)))
            elif has_score_all(model):
                scores = among(model.score_all(user_id.to(device)))
            else:
                pairs = torch.cartesian_prod(user_id, live).to(device)
                scores = model(pairs[:, 0], pairs[:, 1]).view(len(user_id), len(live))
        full = scores.cpu()
        if len(live) < data.num_items:
            full = full.new_full((len(user_id), data.num_items), float("nan")).index_copy(1, live, full)
        gone = ~data.alive_users[user_id]
        return full.masked_fill(gone.unsqueeze(1), float("nan")) if bool(gone.any()) else full

    return score


def _ensemble_scorer(members: Sequence[Scorer], live: Tensor, num_items: int) -> Scorer:
    def score(user_id: Tensor) -> Tensor:
        each = [member(user_id)[:, live].double() for member in members]
        mean = torch.stack([(scores - scores.mean(1, keepdim=True)).sigmoid() for scores in each]).mean(0)
        return torch.full((len(user_id), num_items), float("nan"), dtype=torch.double).index_copy(1, live, mean)

    return score


def blocks_of(users: Tensor, num_items: int) -> tuple[Tensor, ...]:
    """Users in blocks of which all scores fit the cache."""
    return users.split(max(1, SCORES // num_items))


def rank_users(
    score: Scorer, data: Interactions, positives: Positives, pairs: Tensor, length: int
) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Ranked lists of the users of ``pairs``, block by block, each with what they should hold; and these users.

    Users without a training item are left out, as nothing was learned of them.

    Args:
        score: From :func:`scorer`.
        data: What exists.
        positives: What is left out of the lists.
        pairs: [n, 2] held-out interactions.
        length: Length of the lists.
    """
    users = torch.unique(pairs[:, 0])
    users = users[positives.counts()[users] > 0]
    held_out = Positives.from_pairs(pairs, data.num_users, data.num_items)
    blocks = [
        (top_items(score(block), length, exclude=positives.of(block)), held_out.of(block))
        for block in blocks_of(users, data.num_items)
    ]
    return blocks, users


def summary(blocks: Sequence[tuple[Tensor, Tensor]], top_k: int, *, brief: bool = False) -> dict[str, float]:
    """Means over users of recall and NDCG (and precision and MAP unless ``brief``) at one cut-off; NaN without users."""
    metrics = {"recall": recall_at_k, "ndcg": ndcg_at_k}
    if not brief:
        metrics |= {"precision": precision_at_k, "map": map_at_k}
    nothing = torch.full((1,), float("nan"))
    return {
        f"{name}@{top_k}": float(torch.cat([metric(ranked[:, :top_k], held) for ranked, held in blocks] or [nothing]).mean())
        for name, metric in metrics.items()
    }
