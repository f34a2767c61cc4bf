"""Full ranking: every live item scored for blocks of users, what they already took left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from graphforget.base import Ensemble, count_work, evaluating
from graphforget.interactions import InteractionGraph, Interactions, Positives
from graphforget.metrics.utility import ndcg_at_k, recall_at_k, top_items
from graphforget.tasks.trainable import device_of

USERS = 1024  # users ranked at once: bounds memory at USERS x num_items scores

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
    if getattr(model, "reads_graph", False):
        with evaluating(model):
            encoded = model(context(device))
        count_work(encodings=1)

    def score(user_id: Tensor) -> Tensor:
        with evaluating(model):
            if getattr(model, "reads_graph", False):
                scores = encoded.scores(user_id.to(device))[:, here]
            elif callable(offered := getattr(model, "score_all", None)):
                scores = offered(user_id.to(device))[:, here]
            else:
                pairs = torch.cartesian_prod(user_id, live).to(device)
                scores = model(pairs[:, 0], pairs[:, 1]).view(len(user_id), len(live))
        full = scores.new_full((len(user_id), data.num_items), float("nan"), device="cpu").index_copy(1, live, scores.cpu())
        full[~data.alive_users[user_id]] = float("nan")
        return full

    return score


def _ensemble_scorer(members: Sequence[Scorer], live: Tensor, num_items: int) -> Scorer:
    def score(user_id: Tensor) -> Tensor:
        each = [member(user_id)[:, live].double() for member in members]
        mean = torch.stack([(scores - scores.mean(1, keepdim=True)).sigmoid() for scores in each]).mean(0)
        return torch.full((len(user_id), num_items), float("nan"), dtype=torch.double).index_copy(1, live, mean)

    return score


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
    blocks = [(top_items(score(block), length, exclude=positives.of(block)), held_out.of(block)) for block in users.split(USERS)]
    return blocks, users


def map_at_k(ranked: Tensor, positives: Tensor) -> Tensor:
    """Mean of the precision at the place of every hit, over min(k, number of positives), per user [u]; NaN without positives.

    Args:
        ranked: [u, k] from :func:`~graphforget.metrics.utility.top_items`.
        positives: [m, 2] pairs (row, item) that should be found.

    Example:
        >>> map_at_k(torch.tensor([[3, 1, 2]]), torch.tensor([[0, 1], [0, 2]])).tolist()
        [0.5833333333333333]
    """
    # Recall at each place times the number of positives counts the hits so far; a column of one place is a list of its own.
    width = int(torch.cat([ranked.flatten(), positives[:, 1]]).max()) + 2
    row = torch.arange(len(ranked)).unsqueeze(1)
    hits = (torch.isin(row * width + ranked + 1, positives[:, 0] * width + positives[:, 1] + 1) & (ranked >= 0)).double()
    count = torch.bincount(positives[:, 0], minlength=len(ranked)).double()
    precision = hits.cumsum(1) / torch.arange(1, ranked.size(1) + 1)
    value = (precision * hits).sum(1) / count.clamp(1, ranked.size(1))
    return value.masked_fill(count == 0, float("nan"))


def summary(blocks: Sequence[tuple[Tensor, Tensor]], top_k: int, *, brief: bool = False) -> dict[str, float]:
    """Means over users of recall and NDCG (and precision and MAP unless ``brief``) at one cut-off; NaN without users."""
    from graphforget.metrics.utility import precision_at_k

    metrics = {"recall": recall_at_k, "ndcg": ndcg_at_k}
    if not brief:
        metrics |= {"precision": precision_at_k, "map": map_at_k}
    nothing = torch.full((1,), float("nan"))
    return {
        f"{name}@{top_k}": float(torch.cat([metric(ranked[:, :top_k], held) for ranked, held in blocks] or [nothing]).mean())
        for name, metric in metrics.items()
    }
