"""AmUn: amnesiac unlearning by reversed preferences (Graves, Nagisetty and Ganesh, AAAI 2021)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from graphforget.base import Outcome, Run, Tags, Unlearner
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.steps import NOTHING_TO_FORGET, descend, epoch_batches, forget_view, make_adam, retain_view
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS


class AmUn(Unlearner):
    r"""Amnesiac unlearning, its relabelling form (Graves, Nagisetty and Ganesh, "Amnesiac Machine Learning", AAAI 2021).

    Training continues on one data set: the retained interactions, and the forgotten ones with their preference reversed. Every
    step takes a retained batch and its share of the forgotten interactions, so that both are seen once per epoch:

    .. math::

        L = \frac{n_r L_r + n_f L_f}{n_r + n_f} + \text{penalty of the retained batch}

    n counts the interactions in the step, :math:`L_f` is the loss of the reversed preference. Unlike MMRecUn, the forgotten
    interactions weigh as much as they are many.

    The paper's other form subtracts the recorded update of every training batch that held a forgotten example. A ``FitLog`` keeps
    weights by epoch, not by batch, and every epoch holds forgotten interactions beside retained ones, so that form cannot be
    done honestly here.

    Args:
        epochs: Passes over the data set.
        lr: Adam's learning rate; None is the recipe's.
        share: Multiplies the number of forgotten interactions per step; above 1 they are seen several times per epoch.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> AmUn(epochs=2).get_params()
        {'epochs': 2, 'lr': 0.001, 'share': 1.0}
    """

    tags: ClassVar[Tags] = Tags(
        key="amun",
        summary="Trains on retained and reversed forgotten interactions together.",
        citation="Graves, Nagisetty and Ganesh, AAAI 2021",
        needs_gradients=True,
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"unlinked", "retained"}),
    )

    def __init__(self, *, epochs: int = 3, lr: float | None = 1e-3, share: float = 1.0) -> None:
        check_count("epochs", epochs)
        check_number("lr", lr, low=0, none="the recipe's")
        check_number("share", share, low=0, open_low=True)
        self.epochs, self.lr, self.share = epochs, lr, share

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """A short run; and forgotten interactions seen three times per epoch."""
        return [{"epochs": 2, "lr": 0.01}, {"epochs": 1, "lr": 0.01, "share": 3.0}]

    def _unlearn(self, run: Run) -> Outcome:
        task, forget, retain = run.task, forget_view(run), retain_view(run)
        if not len(forget):
            return Outcome(info={"note": NOTHING_TO_FORGET})
        optimizer = make_adam(task, run.model, self.lr, weight_decay=None)
        for epoch in range(1, self.epochs + 1):
            order = torch.randperm(len(forget), generator=run.generator)
            seen, done, losses = 0, 0, {"retain_loss": 0.0, "forget_loss": 0.0}
            for batch in epoch_batches(task, retain, run.generator):
                seen += len(batch)
                due = round(self.share * len(forget) * seen / len(retain))
                part = forget.select(order[torch.arange(done, due) % len(forget)])
                forward = task.forward(run.model, batch)[0]
                kept = task.loss(forward, batch, reduction="sum")
                losses["retain_loss"] += float(kept.detach())
                total, count = kept, len(batch)
                for wrong in task.batches(part, generator=run.generator) if due > done else ():
                    wrong = task.relabel(wrong, run.generator)
                    undone = task.loss(task.forward(run.model, wrong)[0], wrong, reduction="sum")
                    losses["forget_loss"] += float(undone.detach())
                    total, count = total + undone, count + len(wrong)
                done = due
                descend(optimizer, total / count + task.penalty(run.model, forward, batch))
            losses = {"retain_loss": losses["retain_loss"] / max(seen, 1), "forget_loss": losses["forget_loss"] / max(done, 1)}
            run.record(epoch, self.epochs, **losses)
        return Outcome(info={"lr": optimizer.param_groups[0]["lr"]})
