"""SISA: sharded, isolated, sliced, aggregated training (Bourtoule et al., IEEE S&P 2021, arXiv:1912.03817)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Ensemble, FitLog, Outcome, Prepared, Run, Tags, Task, Unlearner
from graphforget.unlearners._shared.checks import check_count
from graphforget.unlearners._shared.shard_ensemble import retrain_touched, train_ensemble
from graphforget.unlearners._shared.shards import Membership


class SISA(Unlearner):
    """One model per shard of the training examples, served as an ensemble; a request retrains the touched shards only.

    Before any request (``prepare``, or else within the first run, at its cost) the examples are dealt to ``num_shards`` shards
    and there to ``num_slices`` slices, by a hash of their ids. Every shard trains a model of its own, first on slice 1, then on
    slices 1 and 2, and so on, with the weights before every slice kept in the state. A request goes back to the weights before
    the first slice it touches, in every shard that it touches, and trains on from there. The ensemble replaces the caller's
    model; its members' probabilities are averaged.

    The result is what the same preparation gives on the retained data, since a shard's training reads nothing but its own
    examples: it runs a fixed number of epochs, as early stopping would read validation examples that all shards share. That is
    why a request of items touches every shard: the other items that an interaction is compared with are drawn from all that
    exist. A shard that lost its last example has no member any more. For a model that propagates along interactions a member is
    trained on the graph of its shard and served, like all others, on the retained graph.

    Args:
        num_shards: Number of shards (S in the paper).
        num_slices: Slices per shard (R); each takes 2 / (num_slices + 1) of the epochs, so that the cost stays.
        epochs: Epochs of a shard; None is the recipe's number, without early stopping. A shard has fewer batches per epoch than
            all data, so that it often needs more of them.

    Raises:
        InputError: A value is out of range, or the model is not the ensemble that belongs to the state.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> result = tiny_case("recommendation").unlearn("sisa", "users", num_shards=3, epochs=1)
        >>> len(result.model.members), result.info["shards"] >= len(result.info["retrained"])
        (3, True)
    """

    tags: ClassVar[Tags] = Tags(
        key="sisa",
        summary="An ensemble over shards; retrains the touched shards.",
        citation="Bourtoule et al., IEEE S&P 2021 (arXiv:1912.03817)",
        contexts=frozenset({"retained"}),
        needs_independent_examples=True,
        makes_model=Ensemble,
        reads_forget=False,
        guarantee="exact",
        exact_reference="own",
        state_after="exact",
        forgotten_rows="retrained",
    )

    def __init__(self, *, num_shards: int = 5, num_slices: int = 1, epochs: int | None = None) -> None:
        check_count("num_shards", num_shards, low=1)
        check_count("num_slices", num_slices, low=1)
        check_count("epochs", epochs, low=1, none="the recipe's")
        self.num_shards, self.num_slices, self.epochs = num_shards, num_slices, epochs

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """With shards alone, and with slices."""
        return [{"num_shards": 4, "epochs": 4}, {"num_shards": 2, "num_slices": 3, "epochs": 4}]

    def prepare(self, model: nn.Module, task: Task, data: Any, *, seed: int, history: FitLog | None = None) -> Prepared:
        """Train the shards."""
        examples = task.index(data, "train")
        where = Membership(
            examples,
            hashed(examples, seeds.derive(seed, "shard"), self.num_shards),
            hashed(examples, seeds.derive(seed, "slice"), self.num_slices),
        )
        return train_ensemble(model, task, data, where, seed=seed, num_stages=self.num_slices, epochs=self._epochs(task))

    def _epochs(self, task: Task) -> int:
        """Epochs of a slice."""
        total = task.recipe.epochs if self.epochs is None else self.epochs
        return max(round(2 * total / (self.num_slices + 1)), 1)

    def _unlearn(self, run: Run) -> Outcome:
        return retrain_touched(run, num_stages=self.num_slices, epochs=self._epochs(run.task))


def hashed(ids: Tensor, seed: int, count: int) -> Tensor:
    """A bucket from 0 to ``count`` - 1 for every example id [n] or [n, 2], a function of the id and the seed alone.

    As nothing else decides it, the examples that stay are where they would be without those that went.
    """
    mixed = torch.full((len(ids),), seed % 2**31, dtype=torch.long)
    for column in ids.view(len(ids), -1).unbind(1):
        mixed = mixed + column + 0x1E3779B97F4A7C15
        for shift, factor in ((30, 0x3F58476D1CE4E5B9), (27, 0x14D049BB133111EB)):  # the steps of splitmix64; products wrap
            mixed = (mixed ^ ((mixed >> shift) & ((1 << (64 - shift)) - 1))) * factor
        mixed = mixed ^ ((mixed >> 31) & ((1 << 33) - 1))
    return ((mixed >> 20) & 0x7FFFFFFF) % count
