"""Recommendation from implicit feedback by pairwise ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Ensemble, FitLog, FitOptions, Forward, Recipe, count_work, device_of
from graphforget.base.capabilities import (
    ReadsGraph,
    encoded_table,
    has_closed_form,
    has_entity_rows,
    has_pair_losses,
    reads_graph,
)
from graphforget.base.memo import Memo
from graphforget.base.residue import Content, Gone, only_there
from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions, from_hetero
from graphforget.interactions.convert import is_hetero
from graphforget.requests import DeletionRequest, ForgetSplit, View
from graphforget.tasks.recommendation.draws import drawn, fixed, other_items
from graphforget.tasks.recommendation.fit import fit_closed_form
from graphforget.tasks.recommendation.ranking import rank_users, scorer, summary
from graphforget.tasks.recommendation.split import split_interactions
from graphforget.tasks.trainable import TrainableTask, chunks, reduce


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
    used for ranking where it is offered. A model with ``reads_graph`` (see
    :class:`~graphforget.models.recommender.base.GraphRecommender`) is given the :meth:`context` of the data instead, has
    a ``penalty`` of its own and may have ``pair_losses``; :meth:`reads_structure` then says so. One with
    ``fit_closed_form`` is solved instead of trained. :mod:`graphforget.base.capabilities` says what each must look like.

    Args:
        top_k: Length of the ranked lists behind ``recall@k`` and ``ndcg@k``.
        l2: Coefficient of the regulariser.
        negatives: Which items training draws the other item from: ``"live"``, all that exist, or ``"seen"``, those with a
            training interaction, as MMRec does. Items without any are then not pushed down, which matters where they can be
            recommended by their content.
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
    kinds = frozenset({"user", "item", "interaction", "modality"})
    default_recipe = Recipe(epochs=100, lr=5e-3, batch_size=2048, patience=5)

    def __init__(self, *, top_k: int = 20, l2: float = 1e-2, negatives: Literal["live", "seen"] = "live", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if top_k < 1:
            raise InputError(f"top_k must be 1 or more, got {top_k}.")
        if l2 < 0:
            raise InputError(f"l2 must be 0 or more, got {l2}.")
        if negatives not in ("live", "seen"):
            raise InputError(f"negatives must be 'live' or 'seen', got '{negatives}'.")
        self.top_k, self.l2, self.negatives = top_k, l2, negatives
        self.monitor = f"recall@{top_k}"
        self._memo = Memo()
        # Whether the task's models propagate along interactions: said by what makes them, or by the first that was made.
        made = getattr(self.build, "model_class", self.template)
        self._propagates = None if made is None else reads_graph(made)

    @property
    def has_input_graph(self) -> bool:  # type: ignore[override]
        """Whether the task's models read interactions as their input.

        Raises:
            InputError: Nothing says so before a model was made; :meth:`reads_structure` answers for a given one.
        """
        if self._propagates is None:
            raise InputError(
                f"task '{self.name}' has made no model yet, so whether its models read interactions as input is not known: "
                f"ask task.reads_structure(model), or give it template=model or build=ModelMaker('lightgcn')."
            )
        return self._propagates

    def reads_structure(self, model: nn.Module | None = None) -> bool | None:
        """See :meth:`Task.reads_structure`: models with ``reads_graph`` do, and ensembles of them."""
        if model is None:
            return self._propagates
        return any(reads_graph(one) for one in (model.members if isinstance(model, Ensemble) else [model]))

    def new_model(self, data: Interactions, *, seed: int) -> nn.Module:
        """See :meth:`TrainableTask.new_model`."""
        model = super().new_model(data, seed=seed)
        self._propagates = reads_graph(model)
        return model

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task."""
        return super().describe() | {"top_k": self.top_k, "l2": self.l2, "negatives": self.negatives}

    def adopt(self, data: Any) -> Interactions:
        """Containers pass through; PyG's ``HeteroData`` and a tensor of pairs [n, 2], all for training, become one.

        Raises:
            InputError: Neither.
        """
        if isinstance(data, Interactions):
            return data
        if is_hetero(data):
            return from_hetero(data)
        if isinstance(data, Tensor):
            return Interactions.create({"train": data})
        raise InputError(
            f"task '{self.name}' needs Interactions or a tensor of (user, item) pairs [n, 2] or a HeteroData, got "
            f"{type(data).__name__}; see Interactions.create."
        )

    def context(self, data: Interactions, device: torch.device | str = "cpu") -> InteractionGraph:
        """What is derived from ``data``, memoised with them: training items, propagation graph, features, item-item graphs.

        After a deletion the nearest items found in the first data are edited instead of searched anew.
        """
        device = torch.device(device)
        beside = [*data.user_data.values(), *data.item_data.values()]
        tensors = [data.splits["train"], data.alive_users, data.alive_items, *data.features.values(), *beside]
        first = data.lineage.data if data.lineage is not None else None

        def make() -> InteractionGraph:
            return InteractionGraph(data, device, before=None if first is None else self.context(first, device))

        return self._memo.get(data, ("context", device), tensors, make)

    # ---- requests -----------------------------------------------------------------------------------------
    def split(self, data: Interactions, request: DeletionRequest) -> ForgetSplit:
        """Forgotten users and items take all of their interactions with them, in every part; a modality takes none.

        ``removed`` are the training pairs that go. ``altered`` are the training pairs that stay while their item loses a
        modality. ``affected`` are the other training pairs that stay and share their user or their item, and so a row of the
        model, with a removed one, or their user with an altered one. Users who lose their last training item stay. For a
        model that reads interactions and content as its input the unlinked data lack the removed interactions and, of items
        that stay, the feature rows of the requested modalities, while users, items and all other features stay.

        Raises:
            InputError: Unknown or already forgotten ids, an unknown modality, content that is not there, or nothing left to
                retain.
        """
        self.check_kinds(request)

        def propagates() -> bool:
            if self._propagates is None and self.build is not None:
                self.new_model(data, seed=0)
            # Unlinked data are right for every model: one that reads no interactions predicts the same on them.
            return self._propagates is not False

        return split_interactions(data, request, propagates=propagates)

    def slots(self, data: Interactions) -> dict[str, int]:
        """Slots by kind of entity."""
        return {"user": data.num_users, "item": data.num_items}

    def gone(self, split: ForgetSplit) -> Gone:
        """Forgotten users and items, removed interactions, and content that only forgotten items had."""
        before, after = split.data, split.retain_data
        none = torch.empty(0, dtype=torch.long)
        modalities = split.request.modalities
        train = before.splits["train"]
        content = {}
        for name, table in before.features.items():
            items = torch.cat([split.deny.get("item", none), modalities.get(name, none)]).unique()
            if len(items):
                content[name] = Content(table.size(1), partial(_content_of, table, items, after))
        return Gone(
            sizes={"user": before.num_users, "item": before.num_items},
            ids={kind: split.deny.get(kind, none) for kind in ("user", "item")},
            pairs=lambda: split.removed,
            entries=len(train),
            deleted_entries=lambda: (~torch.isin(before.keys(train), before.keys(split.retain))).nonzero().view(-1),
            content=content,
        )

    def near(self, split: ForgetSplit) -> dict[str, Tensor]:
        """``hop1``: retained pairs that are altered, or affected by what is removed or altered; ``far``: the others."""
        keys = split.data.keys
        near = torch.isin(keys(split.retain), torch.cat([keys(split.altered), keys(split.affected)]))
        return {name: ids for name, ids in (("hop1", split.retain[near]), ("far", split.retain[~near])) if len(ids)}

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
        """For each pair a uniform item that its user has no training interaction with, [n]; see ``negatives``.

        Raises:
            InputError: A user has taken every item that exists.
        """
        graph = self.context(data)
        return other_items(graph, pairs, drawn(generator), graph.seen_items if self.negatives == "seen" else None)

    def fixed_negatives(self, data: Interactions, pairs: Tensor) -> Tensor:
        """Like :meth:`draw_negatives`, but a fixed function of the pair and the items that exist."""
        return other_items(self.context(data), pairs, fixed)

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The reversed preference: the other item ranks above."""
        return batch.replace(y=-batch.y)

    # ---- model --------------------------------------------------------------------------------------------
    def _forward(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        if reads_graph(model):
            return self._forward_graph(model, batches, store)
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
            rows = torch.arange(2 * count, device=device).view(2, count).t()
            names = list(store)
            embeddings = store[names[-2]] if len(names) > 1 else None
            results.append(Forward(self._margin(batch, scores), embeddings, dict(store), rows))
        return results

    def _forward_graph(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        """One encoding of the graph, of the users and items that the batches name, serves all of them."""
        device = device_of(model)
        triples = torch.cat([torch.cat([b.index, b.extra["negatives"].view(-1, 1)], 1) for b in batches])
        users, user_rows = torch.unique(triples[:, 0], return_inverse=True)
        items, item_rows = torch.unique(triples[:, 1:], return_inverse=True)
        encoded = model(self.context(batches[0].data, device), users.to(device), items.to(device))
        count_work(encodings=1)
        results, sizes = [], [len(batch) for batch in batches]
        for batch, user, pair in zip(batches, user_rows.to(device).split(sizes), item_rows.to(device).split(sizes), strict=True):
            item, negative = pair.unbind(1)
            scores = encoded.pair_scores(user.repeat(2), torch.cat([item, negative]))
            extra: dict[str, Any] = {"encoded": encoded, "rows": (user, item, negative)}
            if has_pair_losses(model):
                extra["losses"] = model.pair_losses(encoded, user, item, batch.y.to(device))
            table = encoded_table(encoded, "table")
            rows = None if table is None else torch.stack([user, item + len(users)], 1)
            results.append(Forward(self._margin(batch, scores), table, dict(store), rows, extra))
        return results

    def _margin(self, batch: Batch, scores: Tensor) -> Tensor:
        """Scores [2n] of (u, i), then (u, j), as margins [n]; NaN where one of the three is forgotten."""
        margin = scores[: len(batch)] - scores[len(batch) :]
        alive = batch.data.alive(batch.index) & batch.data.alive_items[batch.extra["negatives"]]
        return margin if bool(alive.all()) else torch.where(alive.to(margin.device), margin, float("nan"))

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Bayesian personalised ranking on margins, or the model's own loss per interaction where it has ``pair_losses``."""
        if "losses" in forward.extra:
            return reduce(forward.extra["losses"], reduction)
        y = batch.y.to(forward.outputs)
        return reduce(nn.functional.softplus(-y * forward.outputs), reduction)

    def penalty(self, model: nn.Module, forward: Forward, batch: Batch) -> Tensor:
        """``l2 / 2`` times the mean squared norm of the rows of u, i and j; 0 for a model without ``entity_rows()``.

        A model that reads the graph has its own: auxiliary terms, and the regulariser on the vectors that its paper says.
        """
        total = forward.outputs.new_zeros(())
        if not len(batch):
            return total
        if "encoded" in forward.extra:
            return cast(ReadsGraph, model).penalty(forward.extra["encoded"], *forward.extra["rows"], l2=self.l2)
        if not has_entity_rows(model) or self.l2 == 0:
            return total
        ids = {"user": [batch.index[:, 0]], "item": [batch.index[:, 1], batch.extra["negatives"]]}
        parameters = dict(model.named_parameters())
        for kind, blocks in model.entity_rows().items():
            for block in blocks:
                table = parameters[block.parameter]
                for one in ids.get(kind, ()):
                    total = total + table[(block.offset + block.stride * one).to(table.device)].square().sum()
        return self.l2 / 2 * total / len(batch)

    def _fit(self, model: nn.Module, data: Interactions, seed: int, options: FitOptions) -> FitLog:
        """Train by the recipe, or solve a model that offers ``fit_closed_form(data)``."""
        if has_closed_form(model):
            return fit_closed_form(self, model, data, seed, options)
        return super()._fit(model, data, seed, options)

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
        return scorer(model, data, lambda device: self.context(data, device))(user_id)

    def _ranked(self, model: nn.Module, view: View, length: int) -> list[tuple[Tensor, Tensor]]:
        score = scorer(model, view.data, lambda device: self.context(view.data, device))
        return rank_users(score, view.data, self.context(view.data).positives, view.index, length)[0]

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"recall@20": ..., "ndcg@20": ...}``: means over users, every live item ranked, training items left out.

        Users without a training item are left out, as nothing was learned of them; NaN where no user remains.
        """
        return summary(self._ranked(model, view, self.top_k), self.top_k, brief=True)

    def ranking(self, model: nn.Module, view: View, top_k: Sequence[int] = (5, 10, 20, 50)) -> dict[str, float]:
        """Recall, precision, NDCG and MAP at several cut-offs, from one ranking; else as :meth:`utility`.

        Args:
            model: The model, or an ensemble.
            view: Held-out interactions.
            top_k: Cut-offs.

        Raises:
            InputError: A cut-off below 1.
        """
        if not top_k or min(top_k) < 1:
            raise InputError(f"top_k must be cut-offs of at least 1, got {tuple(top_k)}.")
        blocks = self._ranked(model, view, max(top_k))
        return {name: value for k in top_k for name, value in summary(blocks, k).items()}


def _content_of(table: Tensor, items: Tensor, after: Interactions) -> Tensor:
    """Rows of a feature table that only these items had, [n, F]."""
    kept = after.alive_items.clone()
    kept[items] = False
    return only_there(table[items], table[kept])
