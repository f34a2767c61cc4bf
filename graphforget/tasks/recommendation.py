"""Recommendation from implicit feedback by pairwise ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Ensemble, Forward, Recipe, evaluating
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, Positives, remove_items, remove_pairs, remove_users
from graphforget.interactions.edit import check_entities
from graphforget.metrics.utility import ndcg_at_k, recall_at_k, top_items
from graphforget.requests import DeletionRequest, ForgetSplit, Lineage, View, show_ids
from graphforget.tasks.trainable import Memo, TrainableTask, chunks, device_of, reduce

_ROUNDS = 20  # rejection rounds before the free items of a user are listed one by one
_USERS = 1024  # users ranked at once: bounds memory at _USERS x num_items scores
_PRIME = 2_147_483_647  # 2^31 - 1: products of two residues fit in int64


@dataclass(frozen=True, eq=False)
class RankingContext:
    """What is derived from interactions: training items per user and the items that exist.

    Attributes:
        positives: Training items per user.
        live_items: Ids of items that are not forgotten, ascending.
    """

    positives: Positives
    live_items: Tensor


class Recommendation(TrainableTask):
    """Ranking margins per interaction; an example is a row (user_id, item_id).

    The output of an example (u, i) is the margin s(u, i) - s(u, j) over one other item j, which stands in
    ``batch.extra["negatives"]``: a live item that u has no training interaction with. The loss is Bayesian personalised
    ranking, ``softplus(-y * margin)`` with y = 1, or -1 where :meth:`relabel` reversed the preference (Rendle et al., UAI
    2009, section 4.1). Their regulariser is :meth:`penalty`: half the squared norm of the rows of u, i and j per example
    times ``l2``, for models that offer ``entity_rows()``.

    A margin needs its other item in every view. It is drawn from the generator that :meth:`batches` is given; without a
    generator (as in ``predict``) it is a fixed hash of the pair, the same in every batch, run and model.

    The model is any module with ``forward(user_id, item_id) -> [n]`` scores; ``score_all(user_id) -> [n, num_items]`` is
    used for ranking where it is offered.

    Args:
        top_k: Length of the ranked lists behind ``recall@k`` and ``ndcg@k``.
        l2: Coefficient of the regulariser.
        **kwargs: See :class:`~graphforget.base.Task`.

    Recipe: Adam (lr 0.005), batches of 2048 interactions, early stopping on validation recall.

    Example:
        >>> from graphforget.interactions import Interactions
        >>> from graphforget.models import BPRMF
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 2]], "test": [[1, 0]]}, num_items=4)
        >>> task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 4), top_k=2)
        >>> sorted(task.utility(task.new_model(data, seed=0), task.view(data, "test")))
        ['ndcg@2', 'recall@2']
    """

    name = "recommendation"
    output_kind = "ranking"
    kinds = frozenset({"user", "item", "interaction"})
    default_recipe = Recipe(epochs=100, lr=5e-3, batch_size=2048, patience=5)

    def __init__(self, *, top_k: int = 20, l2: float = 1e-2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if top_k < 1:
            raise InputError(f"top_k must be 1 or more, got {top_k}.")
        if l2 < 0:
            raise InputError(f"l2 must be 0 or more, got {l2}.")
        self.top_k, self.l2 = top_k, l2
        self.monitor = f"recall@{top_k}"
        self._memo = Memo()

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task."""
        return super().describe() | {"top_k": self.top_k, "l2": self.l2}

    def adopt(self, data: Any) -> Interactions:
        """Containers pass through; a tensor of pairs [n, 2] becomes one with every pair in ``train``.

        Raises:
            InputError: Neither.
        """
        if isinstance(data, Interactions):
            return data
        if isinstance(data, Tensor):
            return Interactions.create({"train": data})
        raise InputError(
            f"task '{self.name}' needs Interactions or a tensor of (user, item) pairs [n, 2], got "
            f"{type(data).__name__}; see Interactions.create."
        )

    def context(self, data: Interactions, device: torch.device | str = "cpu") -> RankingContext:
        """Training items per user and live items, memoised with ``data``; index tables stay on the CPU."""
        return self._memo.get(
            data,
            "context",
            (data.splits["train"], data.alive_users, data.alive_items),
            lambda: RankingContext(data.positives, data.alive_items.nonzero().view(-1)),
        )

    # ---- requests -----------------------------------------------------------------------------------------
    def split(self, data: Interactions, request: DeletionRequest) -> ForgetSplit:
        """Forgotten users and items take all of their interactions with them, in every part.

        ``removed`` are the training pairs that go. ``affected`` are the training pairs that stay and share their user or
        their item, and so a row of the model, with a removed one. Users who lose their last training item stay.

        Raises:
            InputError: Unknown or already forgotten ids, or nothing left to retain.
        """
        self.check_kinds(request)
        users, items = request.ids("user"), request.ids("item")
        check_entities(data, users, "user")
        check_entities(data, items, "item")
        pairs = self._check_pairs(data, request.ids("interaction"))
        dead_user, dead_item = ~data.alive_users, ~data.alive_items
        dead_user[users], dead_item[items] = True, True
        train = data.splits["train"]
        ended = dead_user[train[:, 0]] | dead_item[train[:, 1]]
        gone = ended | torch.isin(data.keys(train), data.keys(pairs))
        if bool(gone.all()):
            raise InputError("the request removes every training interaction: nothing would be left to retain.")
        removed, retain = train[gone], train[~gone]
        near = torch.isin(retain[:, 0], removed[:, 0]) | torch.isin(retain[:, 1], removed[:, 1])

        def forget(lineage: Lineage) -> Interactions:
            result = remove_pairs(data, pairs) if len(pairs) else data
            result = remove_users(result, users) if len(users) else result
            result = remove_items(result, items) if len(items) else result
            return result.with_lineage(lineage)

        deny = {kind: ids for kind, ids in (("user", users), ("item", items)) if len(ids)}
        return ForgetSplit(
            request=request,
            data=data,
            unlink="original",
            forget=forget,
            removed=removed,
            altered=train[:0],
            affected=retain[near],
            retain=retain,
            readable=~ended[gone],
            deny=deny,
            region=lambda: {
                "users": torch.isin(torch.arange(data.num_users), removed[:, 0]) & ~dead_user,
                "items": torch.isin(torch.arange(data.num_items), removed[:, 1]) & ~dead_item,
            },
        )

    def _check_pairs(self, data: Interactions, pairs: Tensor) -> Tensor:
        if not len(pairs):
            return pairs
        outside = (pairs[:, 0] >= data.num_users) | (pairs[:, 1] >= data.num_items)
        if bool(outside.any()):
            raise InputError(
                f"unknown interactions {show_ids(pairs[outside])}: the data has users 0 to {data.num_users - 1} "
                f"and items 0 to {data.num_items - 1}."
            )
        keys = data.keys(pairs)
        missing = ~torch.isin(keys, torch.cat([data.keys(p) for p in data.splits.values()]))
        if bool(missing.any()):
            before = data.lineage.request.ids("interaction") if data.lineage else pairs[:0]
            done = missing & (~data.alive(pairs) | torch.isin(keys, data.keys(before)))
            if bool(done.any()):
                raise InputError(f"interactions {show_ids(pairs[done])} are already forgotten.")
            raise InputError(f"unknown interactions {show_ids(pairs[missing])}: they are in no part of '{data.name}'.")
        return pairs

    def near(self, split: ForgetSplit) -> dict[str, Tensor]:
        """``hop1``: retained pairs that share a user or an item with a removed one; ``far``: the others."""
        keys = split.data.keys
        far = split.retain[~torch.isin(keys(split.retain), keys(split.affected))]
        return {name: ids for name, ids in (("hop1", split.affected), ("far", far)) if len(ids)}

    # ---- batches ------------------------------------------------------------------------------------------
    def view(
        self,
        data: Interactions,
        part: str,
        *,
        side: Literal["forget", "retain"] | None = None,
        request: DeletionRequest | None = None,
    ) -> View:
        """Pairs of a part; val and test carry one fixed other item per pair, [n]. ``side`` has no meaning for pairs."""
        pairs = data.part(part)
        return View(data, pairs, "draw" if part == "train" else self.fixed_negatives(data, pairs))

    def batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Pairs, y = 1, and one other item each in ``extra["negatives"]``.

        Raises:
            InputError: Fixed negatives of another length than the view, or a user who has taken every item.
        """
        pairs = view.index
        if isinstance(view.negatives, Tensor):
            negatives = view.negatives
            if negatives.shape != pairs.shape[:1]:
                raise InputError(
                    f"the view has {len(pairs)} interactions but fixed negatives of shape "
                    f'{list(negatives.shape)}: give one item per interaction, or negatives="none".'
                )
        elif generator is None:
            negatives = self.fixed_negatives(view.data, pairs)
        else:
            negatives = self.draw_negatives(view.data, pairs, generator)
        y = torch.ones(len(pairs))
        for piece in chunks(len(pairs), batch_size, shuffle, generator):
            yield Batch(view.data, pairs[piece], y[piece], extra={"negatives": negatives[piece]})

    def draw_negatives(self, data: Interactions, pairs: Tensor, generator: torch.Generator) -> Tensor:
        """For each pair a uniform live item that its user has no training interaction with, [n].

        Raises:
            InputError: A user has taken every item that exists.
        """
        return self._negatives(data, pairs, lambda live, rows, _round: torch.randint(live, (len(rows),), generator=generator))

    def fixed_negatives(self, data: Interactions, pairs: Tensor) -> Tensor:
        """Like :meth:`draw_negatives`, but a fixed function of the pair and the items that exist."""

        def pick(live: int, rows: Tensor, round_: int) -> Tensor:
            mixed = (rows[:, 0] * 1_000_003 + rows[:, 1] * 7_919 + round_ * 104_729 + 12_345) % _PRIME
            for factor in (48_271, 69_621):  # two multiplicative congruential steps with a shift between them
                mixed = (mixed * factor) % _PRIME
                mixed = (mixed ^ (mixed >> 15)) % _PRIME
            return mixed % live

        return self._negatives(data, pairs, pick)

    def _negatives(self, data: Interactions, pairs: Tensor, pick: Any) -> Tensor:
        ctx = self.context(data)
        live = ctx.live_items
        chosen = torch.full((len(pairs),), -1, dtype=torch.long)
        open_ = torch.arange(len(pairs))
        for round_ in range(_ROUNDS):
            if not len(open_):
                return chosen
            rows = pairs[open_]
            drawn = live[pick(len(live), rows, round_)]
            # The pair's own item may be free by now: a forgotten interaction read in the retained data.
            free = ~ctx.positives.contains(rows[:, 0], drawn) & (drawn != rows[:, 1])
            chosen[open_[free]] = drawn[free]
            open_ = open_[~free]
        for position in open_.tolist():
            user, item = pairs[position]
            taken = torch.cat([ctx.positives.of(user.view(1))[:, 1], item.view(1)])
            rest = live[~torch.isin(live, taken)]
            if not len(rest):
                raise InputError(
                    f"user {int(user)} has taken every item that exists, so no other item is left to rank below "
                    f"item {int(item)}: drop that user, or give the data more items."
                )
            chosen[position] = rest[pick(len(rest), pairs[position].view(1, 2), _ROUNDS)]
        return chosen

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The reversed preference: the other item ranks above."""
        return batch.replace(y=-batch.y)

    # ---- model --------------------------------------------------------------------------------------------
    def _forward(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        device, results = device_of(model), []
        for batch in batches:
            count, negative = len(batch), batch.extra["negatives"]
            user, item = batch.index[:, 0], batch.index[:, 1]
            # One call for both items, so that captured layers hold every row of the batch: first (u, i), then (u, j).
            scores = model(user.repeat(2).to(device), torch.cat([item, negative]).to(device))
            if not isinstance(scores, Tensor) or scores.shape != (2 * count,):
                got = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
                raise InputError(
                    f"forward(user_id, item_id) of {type(model).__name__} must return one score per pair, "
                    f"[{2 * count}]; got {got}."
                )
            margin = scores[:count] - scores[count:]
            alive = batch.data.alive(batch.index) & batch.data.alive_items[negative]
            if not bool(alive.all()):
                margin = torch.where(alive.to(device), margin, float("nan"))
            rows = torch.arange(2 * count, device=device).view(2, count).t()
            names = list(store)
            results.append(Forward(margin, store[names[-2]] if len(names) > 1 else None, dict(store), rows))
        return results

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Bayesian personalised ranking on margins."""
        y = batch.y.to(forward.outputs)
        return reduce(nn.functional.softplus(-y * forward.outputs), reduction)

    def penalty(self, model: nn.Module, forward: Forward, batch: Batch) -> Tensor:
        """``l2 / 2`` times the mean squared norm of the rows of u, i and j; 0 for a model without ``entity_rows()``."""
        total = forward.outputs.new_zeros(())
        entity_rows = getattr(model, "entity_rows", None)
        if not callable(entity_rows) or self.l2 == 0 or not len(batch):
            return total
        ids = {"user": [batch.index[:, 0]], "item": [batch.index[:, 1], batch.extra["negatives"]]}
        parameters = dict(model.named_parameters())
        for kind, blocks in entity_rows().items():
            for block in blocks:
                table = parameters[block.parameter]
                for one in ids.get(kind, ()):
                    total = total + table[(block.offset + block.stride * one).to(table.device)].square().sum()
        return self.l2 / 2 * total / len(batch)

    # ---- ranking ------------------------------------------------------------------------------------------
    def score_all(self, model: nn.Module, data: Interactions, user_id: Tensor) -> Tensor:
        """Scores of every item for some users, evaluation mode, without gradients.

        The members of an ensemble are combined in probability space: a member's score of an item becomes the probability
        that it beats the user's average item, so that the ensemble of a model with itself ranks as the model does.

        Args:
            model: The model, or an ensemble.
            data: Which users and items exist.
            user_id: [n].

        Returns:
            [n, num_items] on the CPU; NaN for forgotten users and items.
        """
        live = self.context(data).live_items
        if isinstance(model, Ensemble):
            each = [self.score_all(member, data, user_id)[:, live].double() for member in model.members]
            mean = torch.stack([(scores - scores.mean(1, keepdim=True)).sigmoid() for scores in each]).mean(0)
            return torch.full((len(user_id), data.num_items), float("nan"), dtype=torch.double).index_copy(1, live, mean)
        device = device_of(model)
        with evaluating(model):
            offered = getattr(model, "score_all", None)
            if callable(offered):
                scores = offered(user_id.to(device))[:, live.to(device)]
            else:
                pairs = torch.cartesian_prod(user_id, live).to(device)
                scores = model(pairs[:, 0], pairs[:, 1]).view(len(user_id), len(live))
        full = scores.new_full((len(user_id), data.num_items), float("nan"), device="cpu").index_copy(1, live, scores.cpu())
        full[~data.alive_users[user_id]] = float("nan")
        return full

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"recall@20": ..., "ndcg@20": ...}``: means over users, every live item ranked, training items left out.

        Users without a training item are left out, as nothing was learned of them; NaN where no user remains.
        """
        data, ctx = view.data, self.context(view.data)
        users = torch.unique(view.index[:, 0])
        users = users[ctx.positives.counts()[users] > 0]
        recall, ndcg = [], []
        held_out = Positives.from_pairs(view.index, data.num_users, data.num_items)
        for block in users.split(_USERS):
            ranked = top_items(self.score_all(model, data, block), self.top_k, exclude=ctx.positives.of(block))
            recall.append(recall_at_k(ranked, held_out.of(block)))
            ndcg.append(ndcg_at_k(ranked, held_out.of(block)))
        nothing = torch.full((1,), float("nan"))
        return {
            f"recall@{self.top_k}": float(torch.cat([*recall] or [nothing]).mean()),
            f"ndcg@{self.top_k}": float(torch.cat([*ndcg] or [nothing]).mean()),
        }
