"""A stand-in for the retrained model's opinion of forgotten examples, made without retraining (ours)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from graphforget.base import Batch, Forward, Run, Task, evaluating
from graphforget.unlearners._shared.steps import descend, epoch_batches, full_loss, make_adam, retain_view

# How much wider than before the repair the validation gap may become, as a share of it and in nats.
GAP_GROWTH, GAP_SLACK = 0.25, 0.01


def proxy_targets(
    run: Run, batches: Sequence[Batch], *, epochs: int, lr: float | None = None, layers: Sequence[str] = ()
) -> tuple[list[Forward], dict[str, float]]:
    """What a briefly repaired copy of the original says of the forgotten examples.

    The copy never sees the forgotten examples as training targets; whatever of them its predictions still carry, the
    weights carried from before.

    Args:
        run: The run.
        batches: The forgotten examples, in the context in which the student reads them.
        epochs: Most epochs of repair.
        lr: Adam's learning rate; None is the recipe's.
        layers: Layers to capture.

    Returns:
        (one Forward per batch, without gradients; facts about the repair).
    """
    model, facts = repaired_copy(run, epochs=epochs, lr=lr)
    with evaluating(model):
        return list(run.task.forward(model, *batches, layers=layers)), facts


def repaired_copy(run: Run, *, epochs: int, lr: float | None = None) -> tuple[nn.Module, dict[str, float]]:
    """A copy of the original, trained on the retained data until it begins to overfit what is retained.

    The measure is the validation gap, loss(val) - loss(D_r) on the retained data: a retrained model has about the gap
    that the original has, because both come from one recipe, so the repair ends before the gap grows by a quarter. The
    last state within that bound is kept. Without validation examples all epochs run.

    Args:
        run: The run; ``run.generator`` supplies every draw.
        epochs: Most epochs.
        lr: Adam's learning rate; None is the recipe's.

    Returns:
        (the copy, {"proxy_epochs": epochs kept, "proxy_gap_before": ..., "proxy_gap_after": ...}).
    """
    task, view = run.task, retain_view(run)
    model = copy.deepcopy(run.original)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    seen = [next(iter(epoch_batches(task, view, run.generator)))]
    val = task.view(run.split.retain_data, "val")
    unseen = list(task.batches(val, batch_size=task.recipe.batch_size, generator=run.generator)) if len(val) else []
    first = gap = validation_gap(task, model, seen, unseen)
    bound = first + GAP_GROWTH * abs(first) + GAP_SLACK
    optimizer, kept = make_adam(task, model, lr, weight_decay=None), 0
    for epoch in range(1, epochs + 1):
        state = copy.deepcopy(model.state_dict())
        model.train()
        for batch in epoch_batches(task, view, run.generator):
            descend(optimizer, full_loss(task, model, batch))
        now = validation_gap(task, model, seen, unseen)
        if unseen and not now <= bound:
            model.load_state_dict(state)
            break
        gap, kept = now, epoch
    return model.eval(), {"proxy_epochs": kept, "proxy_gap_before": first, "proxy_gap_after": gap}


def validation_gap(task: Task, model: nn.Module, seen: Sequence[Batch], unseen: Sequence[Batch]) -> float:
    """Mean loss of unseen examples minus mean loss of seen ones, evaluation mode; 0 without unseen ones."""
    if not unseen:
        return 0.0
    with evaluating(model):
        forwards = task.forward(model, *seen, *unseen)
        losses = [task.loss(f, b, reduction="none") for f, b in zip(forwards, [*seen, *unseen], strict=True)]
    return float(torch.cat(losses[len(seen) :]).mean() - torch.cat(losses[: len(seen)]).mean())
