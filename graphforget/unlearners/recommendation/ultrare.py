"""UltraRE: shards by optimal transport balanced clustering (Li et al., NeurIPS 2023)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from graphforget.base import Ensemble, FitLog, Outcome, Prepared, Run, Tags, Task, Unlearner
from graphforget.unlearners._shared.checks import check_choice, check_count
from graphforget.unlearners._shared.shard_ensemble import retrain_touched, train_ensemble
from graphforget.unlearners._shared.shards import Membership
from graphforget.unlearners.recommendation._shared.partition import SIDES, shards_of_interactions


class UltraRE(Unlearner):
    """An ensemble over shards of equal size and near members, found by optimal transport; retrains the touched shards.

    Before any request the users (or items, or interactions) are clustered by their vectors in the given model. Assignment follows
    the entropic optimal transport plan between points and centres with uniform marginals, rounded so that no shard exceeds
    the mean size; centres are the means of what they were given. One model is trained per shard, and their probabilities are
    averaged.

    Given the shards, the result equals training on what is left of each. The shards themselves were found with the
    forgotten data present and are not found anew, so that this is no exact method. As in ``sisa`` the epochs are fixed, and a
    request of items, or of their content, touches every shard.

    A reconstruction from the abstract and from third-party code: the paper solves the transport problem exactly and has a
    combiner of its own, which is not described there in enough detail to be rebuilt.

    Args:
        num_shards: Number of shards.
        by: What is clustered: ``"user"``, ``"item"`` or ``"interaction"``. The shard of an interaction is that of its user, of
            its item, or its own.
        epochs: Epochs of a shard; None is the recipe's number, without early stopping.
        rounds: Rounds of clustering, at most.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> tiny_case("recommendation").unlearn("ultrare", "users", num_shards=3, epochs=1).info["shards"]
        3
    """

    tags: ClassVar[Tags] = Tags(
        key="ultrare",
        summary="Shards by optimal transport; retrains the touched shards.",
        citation="Li et al., UltraRE, NeurIPS 2023",
        kinds=frozenset({"user", "item", "interaction", "modality"}),
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"retained"}),
        reads_forget=False,
        needs_entity_rows=True,
        makes_model=Ensemble,
        state_after="exact",
        forgotten_rows="retrained",
    )

    def __init__(self, *, num_shards: int = 10, by: str = "user", epochs: int | None = None, rounds: int = 50) -> None:
        check_count("num_shards", num_shards, low=1)
        check_choice("by", by, SIDES)
        check_count("epochs", epochs, low=1, none="the recipe's")
        check_count("rounds", rounds, low=1)
        self.num_shards, self.by, self.epochs, self.rounds = num_shards, by, epochs, rounds

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Clusters of users, and of interactions."""
        return [{"num_shards": 3, "epochs": 4}, {"num_shards": 3, "epochs": 4, "by": "interaction"}]

    def prepare(self, model: nn.Module, task: Task, data: Any, *, seed: int, history: FitLog | None = None) -> Prepared:
        """Cluster, and train the shards.

        Raises:
            InputError: The model is an ensemble already, whose members have no common vectors.
        """
        pairs = task.index(data, "train")
        shard = shards_of_interactions(
            model, pairs, self.by, self.num_shards, slack=1.0, rounds=self.rounds, seed=seed, transport=True
        )
        where = Membership(pairs, shard, torch.zeros_like(shard))
        return train_ensemble(model, task, data, where, seed=seed, num_stages=1, epochs=self.epochs)

    def _unlearn(self, run: Run) -> Outcome:
        return retrain_touched(run, num_stages=1, epochs=self.epochs)
