"""RecEraser: balanced shards of interactions and attention over their models (Chen et al., WWW 2022, arXiv:2201.06820)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import FitLog, Outcome, Prepared, Run, Tags, Task, Unlearner, device_of, evaluating
from graphforget.base.capabilities import entity_rows, reads_graph
from graphforget.exceptions import InputError, Reason
from graphforget.models.recommender.base import GraphRecommender
from graphforget.models.recommender.shard_attention import ShardAttention, combine
from graphforget.requests import DeletionRequest
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.shards import Membership, only, train_stages
from graphforget.unlearners.recommendation._shared.partition import SIDES, shards_of_interactions


class RecEraser(Unlearner):
    """Models trained on balanced clusters of interactions, joined by attention; a request retrains the touched ones.

    Before any request the interactions are clustered by the vectors that the given model has for their users and items: by user
    (UBP), by item (IBP), or one by one with the product of both squared distances (InBP). A shard holds at most ``slack`` times
    the mean; the cheapest pairs of point and centre are served first. A model of its own is trained per shard, and
    :class:`~graphforget.models.recommender.shard_attention.ShardAttention` is trained over their vectors on all interactions. A
    request retrains the shards it touches, and always the attention.

    Given the shards, no weight has seen what was forgotten: the result equals the same training on what is left of each. The
    shards themselves were found with it and are not found anew, so that this is no exact method. As in ``sisa`` the epochs
    are fixed, and a request of items, or of their content, touches every shard.

    The model's score must be the dot product of a user's and an item's vector. For a model that propagates along interactions
    these are its final vectors on the graph of its shard.

    Args:
        num_shards: Number of shards (K).
        by: What is clustered: ``"user"``, ``"item"`` or ``"interaction"``.
        epochs: Epochs of a shard; None is the recipe's number, without early stopping.
        aggregator_epochs: Epochs of the attention.
        slack: The cap, in mean sizes.
        rounds: Rounds of clustering, at most.

    Raises:
        InputError: A value is out of range, or the model is not the one that belongs to the state.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> options = {"num_shards": 3, "epochs": 1, "aggregator_epochs": 1}
        >>> tiny_case("recommendation").unlearn("receraser", "users", **options).info["shards"]
        3
    """

    tags: ClassVar[Tags] = Tags(
        key="receraser",
        summary="Balanced shards joined by attention; retrains the touched shards.",
        citation="Chen et al., RecEraser, WWW 2022 (arXiv:2201.06820)",
        kinds=frozenset({"user", "item", "interaction", "modality"}),
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"retained"}),
        reads_forget=False,
        needs_entity_rows=True,
        makes_model=ShardAttention,
        state_after="exact",
        forgotten_rows="retrained",
    )

    def __init__(
        self,
        *,
        num_shards: int = 10,
        by: str = "interaction",
        epochs: int | None = None,
        aggregator_epochs: int = 50,
        slack: float = 1.2,
        rounds: int = 50,
    ) -> None:
        check_count("num_shards", num_shards, low=1)
        check_choice("by", by, SIDES)
        check_count("epochs", epochs, low=1, none="the recipe's")
        check_count("aggregator_epochs", aggregator_epochs, low=1)
        check_number("slack", slack, low=1)
        check_count("rounds", rounds, low=1)
        self.num_shards, self.by, self.epochs, self.aggregator_epochs = num_shards, by, epochs, aggregator_epochs
        self.slack, self.rounds = slack, rounds

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Clusters of interactions, of users and of items."""
        quick = {"num_shards": 3, "epochs": 4, "aggregator_epochs": 2}
        return [quick, quick | {"by": "user"}, quick | {"by": "item"}]

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons against; a score that is no dot product is one, tried on a few pairs."""
        reasons = super().supports(task, request, model, history)
        if model is None or isinstance(model, ShardAttention) or reasons or _is_dot_product(model):
            return reasons
        name = type(model).__name__
        text = f"scores of {name} are not dot products of vectors of users and items, which is what it combines"
        return [Reason("model", text)]

    def prepare(self, model: nn.Module, task: Task, data: Any, *, seed: int, history: FitLog | None = None) -> Prepared:
        """Cluster, train the shards, then the attention.

        Raises:
            InputError: The model has no vectors of users and items.
        """
        pairs = task.index(data, "train")
        shard = shards_of_interactions(model, pairs, self.by, self.num_shards, slack=self.slack, rounds=self.rounds, seed=seed)
        where = Membership(pairs, shard, torch.zeros_like(shard))
        count = int(shard.max()) + 1
        vectors = [self._train(task, data, where, number, seed, device_of(model)) for number in range(count)]
        made = self._aggregate(task, data, vectors, seed)
        return Prepared(made.train(model.training), {"seed": seed, **where.to_state()})

    def _train(
        self, task: Task, data: Any, where: Membership, shard: int, seed: int, device: torch.device
    ) -> tuple[Tensor, Tensor] | None:
        """Train one shard from scratch; its tables of users and items, or None for an empty one."""
        index = where.of(shard)
        if not len(index):
            return None
        shard_seed = seeds.derive(seed, "member", shard)
        model, _ = train_stages(task, data, [index], seed=shard_seed, epochs=self.epochs, device=device)
        return _tables(model, task, only(data, index))

    def _aggregate(self, task: Task, data: Any, vectors: list[tuple[Tensor, Tensor] | None], seed: int) -> ShardAttention:
        """Attention trained over fixed vectors on all interactions of ``data``."""
        with seeds.isolated(seeds.derive(seed, "aggregator")):
            model = combine(vectors)
        task.fit(model, data, seed=seeds.derive(seed, "aggregator fit"), epochs=self.aggregator_epochs)
        return model

    def _unlearn(self, run: Run) -> Outcome:
        model, seed = run.model, run.state["seed"]
        before = Membership.from_state(run.state)
        if not isinstance(model, ShardAttention) or (len(before.shard) and int(before.shard.max()) >= model.num_shards):
            raise InputError(
                f"the state is that of a ShardAttention, but the model is a {type(model).__name__}: pass the model that prepare "
                f"or the last result returned, or leave the state out."
            )
        data, where = run.split.retain_data, before.without(run.split.removed)
        vectors: list[tuple[Tensor, Tensor] | None] = [
            (model.users[shard], model.items[shard]) if bool(model.filled[shard]) else None for shard in range(model.num_shards)
        ]
        touched = sorted(before.first_stages(run.split))
        for done, shard in enumerate(touched):
            vectors[shard] = self._train(run.task, data, where, shard, seed, device_of(model))
            run.record(done + 1, len(touched), shard=shard, examples=len(where.of(shard)))
        made = self._aggregate(run.task, data, vectors, seed)
        retrained = [shard for shard in touched if vectors[shard] is not None]
        info = {
            "shards": int(made.filled.sum()),
            "retrained": retrained,
            "emptied": sorted(set(touched) - set(retrained)),
            "examples_retrained": sum(len(where.of(shard)) for shard in retrained),
        }
        return Outcome(model=made, state={"seed": seed, **where.to_state()}, info=info)


def _tables(model: nn.Module, task: Task, data: Any) -> tuple[Tensor, Tensor]:
    """Vectors of all users [U, d] and items [I, d] whose dot products are the model's scores."""
    with evaluating(model):
        if isinstance(model, GraphRecommender):
            encoded = model(task.context(data, device_of(model)))
            return encoded.users.clone(), encoded.items.clone()
        tables = dict(model.named_parameters())
        blocks = entity_rows(model)
        users, items = (tables[blocks[kind][0].parameter].detach() for kind in ("user", "item"))
        return users.clone(), items.clone()


def _is_dot_product(model: nn.Module) -> bool:
    """Whether scores are products of the rows of two tables, tried on a few pairs."""
    if reads_graph(model):
        return isinstance(model, GraphRecommender)
    tables, blocks = dict(model.named_parameters()), entity_rows(model)
    if any(
        len(blocks.get(kind, ())) != 1 or (blocks[kind][0].offset, blocks[kind][0].stride) != (0, 1) for kind in ("user", "item")
    ):
        return False
    users, items = (tables[blocks[kind][0].parameter].detach() for kind in ("user", "item"))
    if users.size(1) != items.size(1):
        return False
    few = torch.arange(min(len(users), len(items), 4), device=users.device)
    with evaluating(model):
        scores = model(few, few)
    return bool(torch.allclose(scores, (users[few] * items[few]).sum(1), rtol=1e-4, atol=1e-6))
