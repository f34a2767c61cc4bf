"""An ensemble of one model per shard: trained before requests, and retrained where a request touches it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from graphforget import seed as seeds
from graphforget.base import Data, Ensemble, Outcome, Prepared, Run, Task, device_of
from graphforget.exceptions import InputError
from graphforget.unlearners._shared.shards import Membership, pack, train_stages, unpack


def train_ensemble(
    model: nn.Module, task: Task, data: Data, where: Membership, *, seed: int, num_stages: int, epochs: int | None
) -> Prepared:
    """One model per shard that has examples, and the state: membership, seed, members and the weights before every stage.

    Args:
        model: Says on which device and in which mode.
        task: The task.
        data: Training data.
        where: Shards and stages of all training examples.
        seed: Of every member's seed.
        num_stages: Stages per shard; a stage trains on the examples of all stages up to it.
        epochs: Per stage; None is the recipe's.
    """
    state: dict[str, Any] = {"seed": seed, **where.to_state()}
    members: dict[int, nn.Module] = {}
    for shard in torch.unique(where.shard).tolist():
        members[shard], before = train_stages(
            task,
            data,
            [where.of(shard, number, cumulative=True) for number in range(num_stages)],
            seed=seeds.derive(seed, "member", shard),
            epochs=epochs,
            device=device_of(model),
        )
        state |= pack(shard, before)
    state["members"] = list(members)
    return Prepared(Ensemble(list(members.values())).train(model.training), state)


def retrain_touched(run: Run, *, num_stages: int, epochs: int | None) -> Outcome:
    """The ensemble with every touched shard trained again from before the first stage that the request touches.

    Args:
        run: Its state is from :func:`train_ensemble`, with the same stages and epochs.
        num_stages: As there.
        epochs: As there.

    Raises:
        InputError: The model is not the ensemble that belongs to the state.
    """
    state, ensemble = dict(run.state), run.model
    numbers = [int(number) for number in state["members"]]
    if not isinstance(ensemble, Ensemble) or len(ensemble.members) != len(numbers):
        raise InputError(
            f"the state is that of an ensemble of {len(numbers)} members, but the model is a {type(ensemble).__name__}: pass the "
            f"model that prepare or the last result returned, or leave the state out."
        )
    before = Membership.from_state(state)
    touched, where = before.first_stages(run.split), before.without(run.split.removed)
    members: dict[int, nn.Module] = dict(zip(numbers, ensemble.members, strict=True))
    retrained = []
    for shard, stage in sorted(touched.items()):
        if not len(where.of(shard)):
            del members[shard]
            state = {name: value for name, value in state.items() if not name.startswith(f"before.{shard}.")}
            continue
        resume = unpack(state, shard, stage)
        members[shard], kept = train_stages(
            run.task,
            run.split.retain_data,
            [where.of(shard, number, cumulative=True) for number in range(num_stages)],
            seed=seeds.derive(state["seed"], "member", shard),
            epochs=epochs,
            device=device_of(ensemble),
            resume=resume,
            start=0 if resume is None else stage,
        )
        state |= pack(shard, kept)
        retrained.append(shard)
        run.record(len(retrained), len(touched), shard=shard, examples=len(where.of(shard)))
    state |= {**where.to_state(), "members": sorted(members)}
    info = {
        "shards": len(members),
        "retrained": retrained,
        "emptied": sorted(set(numbers) - set(members)),
        "examples_retrained": sum(len(where.of(shard)) for shard in retrained),
    }
    return Outcome(model=Ensemble([members[shard] for shard in sorted(members)]), state=state, info=info)
