"""Training examples in shards: who belongs where, training on a part of them in stages, and the state that holds both."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Data, Task
from graphforget.exceptions import InputError
from graphforget.requests import ForgetSplit
from graphforget.requests.keys import is_among

# Kinds whose deletion changes nothing that another example's training reads. Items are not among them: the other item of an
# interaction is drawn from all items that exist.
_LOCAL = frozenset({"user", "interaction", "sample", "class", "sequence"})


@dataclass(frozen=True, eq=False)
class Membership:
    """In which shard, and there in which stage, every training example is.

    Attributes:
        examples: Example ids, [n] or [n, 2].
        shard: [n], from 0.
        stage: [n], from 0.
    """

    examples: Tensor
    shard: Tensor
    stage: Tensor

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Membership:
        """Read from a method's state."""
        return cls(state["examples"], state["shard"], state["stage"])

    def to_state(self) -> dict[str, Tensor]:
        """For a method's state."""
        return {"examples": self.examples, "shard": self.shard, "stage": self.stage}

    def without(self, ids: Tensor) -> Membership:
        """All but some examples."""
        left = ~is_among(self.examples, ids)
        return Membership(self.examples[left], self.shard[left], self.stage[left])

    def of(self, shard: int, stage: int | None = None, *, cumulative: bool = False) -> Tensor:
        """Examples of a shard: of one stage, of all up to it, or of all."""
        mine = self.shard == shard
        if stage is not None:
            mine &= (self.stage <= stage) if cumulative else (self.stage == stage)
        return self.examples[mine]

    def first_stages(self, split: ForgetSplit) -> dict[int, int]:
        """By shard that the deletion touches, the first stage that it touches.

        A shard is touched where one of its examples is removed or altered. A request of a kind that all training shares, such
        as items, touches the first stage of every shard.
        """
        if not set(split.request.kinds) <= _LOCAL:
            return {int(shard): 0 for shard in torch.unique(self.shard)}
        touched = is_among(self.examples, torch.cat([split.removed, split.altered]))
        first: dict[int, int] = {}
        for shard, stage in zip(self.shard[touched].tolist(), self.stage[touched].tolist(), strict=True):
            first[shard] = min(first.get(shard, stage), stage)
        return first


def only(data: Data, index: Tensor) -> Data:
    """The same data with these training examples and no held-out ones, so that training reads nothing of other shards.

    Raises:
        InputError: The container is no dataclass, so that its parts cannot be replaced.
    """
    if not is_dataclass(data):
        raise InputError(f"shards are made by replacing the parts of the data, and a {type(data).__name__} is no dataclass.")
    return replace(data, splits={name: index if name == "train" else ids[:0] for name, ids in data.splits.items()})


def train_stages(
    task: Task,
    data: Data,
    stages: Sequence[Tensor],
    *,
    seed: int,
    epochs: int | None,
    device: torch.device,
    resume: Mapping[str, Tensor] | None = None,
    start: int = 0,
    callback: Callable[[int, float], None] | None = None,
) -> tuple[nn.Module, dict[int, dict[str, Tensor]]]:
    """Train one model on one stage of examples after the other, a fixed number of epochs each.

    Args:
        task: The task.
        data: Sizes the model; its training examples are replaced by each stage's.
        stages: Example ids of every stage; empty ones are passed over.
        seed: Of the initial weights and of every stage's draws.
        epochs: Per stage; None is the recipe's.
        device: Where to train.
        resume: Weights at the start of stage ``start``; None are fresh ones.
        start: First stage to train.
        callback: ``callback(epoch, loss)``.

    Returns:
        The model, and its weights before every stage that was trained, after the first.
    """
    model = task.new_model(data, seed=seeds.derive(seed, "weights")).to(device)
    if resume is not None:
        model.load_state_dict(dict(resume))
    before: dict[int, dict[str, Tensor]] = {}
    for number in range(start, len(stages)):
        if number > 0:
            before[number] = copy.deepcopy(dict(model.state_dict()))
        if len(stages[number]):
            part = only(data, stages[number])
            task.fit(model, part, seed=seeds.derive(seed, "stage", number), epochs=epochs, callback=callback)
    return model, before


def pack(shard: int, checkpoints: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Checkpoints of a shard as entries of a flat state."""
    return {f"{_prefix(shard, stage)}{name}": value for stage, one in checkpoints.items() for name, value in one.items()}


def unpack(state: Mapping[str, object], shard: int, stage: int) -> dict[str, Tensor] | None:
    """The weights of a shard before a stage; None before the first."""
    prefix = _prefix(shard, stage)
    found = {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix) and isinstance(value, Tensor)
    }
    return found or None


def _prefix(shard: int, stage: int) -> str:
    return f"before.{shard}.{stage}."
