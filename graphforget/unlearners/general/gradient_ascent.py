"""Gradient ascent on the forget part (NegGrad)."""

from __future__ import annotations

from typing import Any, ClassVar

from graphforget.base import Outcome, Run, Tags, Unlearner
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.steps import (
    NOTHING_TO_FORGET,
    descend,
    endless_batches,
    epoch_batches,
    forget_view,
    full_loss,
    make_adam,
    retain_view,
)


class GradientAscent(Unlearner):
    r"""Climb the loss of the forget part, optionally held by the retain loss.

    Adam steps go down

    .. math::

        -L(\theta; D_f) + w \, \bigl( L(\theta; D_r) + \text{penalty} \bigr)

    with w the ``retain_weight`` (Golatkar et al., "Eternal Sunshine of the Spotless Net", CVPR 2020, "NegGrad"; with the retain
    term "NegGrad+" of Kurmanji et al., NeurIPS 2023). Only the data term of positive forget examples is reversed: climbing a
    regulariser or the loss of sampled negatives would not be forgetting. For the same reason there is no weight decay.

    The defaults (10 epochs, no retain term) are those of the graph release of Cheng et al. (GNNDelete, ICLR 2023), which
    also reverses positives alone; ours uses the recipe's batches and learning rate in place of its full batch and 1e-3.
    The ascent has no optimum: how much is forgotten is set by epochs times lr, and nothing here sees when to stop.

    Args:
        epochs: Passes over the forget part.
        lr: Adam's learning rate; None is the recipe's.
        retain_weight: Weight of the retain loss; 0 never reads retained examples.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> GradientAscent(epochs=5, retain_weight=0.5).get_params()
        {'epochs': 5, 'lr': None, 'retain_weight': 0.5}
    """

    tags: ClassVar[Tags] = Tags(
        key="gradient_ascent",
        summary="Climbs the loss of the forgotten examples.",
        citation="Golatkar et al., CVPR 2020 (NegGrad)",
        needs_gradients=True,
        contexts=frozenset({"retained", "unlinked"}),
    )

    def __init__(self, *, epochs: int = 10, lr: float | None = None, retain_weight: float = 0.0) -> None:
        check_count("epochs", epochs)
        check_number("lr", lr, low=0, open_low=True, none="the recipe's")
        check_number("retain_weight", retain_weight, low=0)
        self.epochs, self.lr, self.retain_weight = epochs, lr, retain_weight

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Ascent alone, and held by the retain loss."""
        return [{"epochs": 3}, {"epochs": 3, "retain_weight": 1.0}]

    def _unlearn(self, run: Run) -> Outcome:
        task, forget = run.task, forget_view(run)
        if not len(forget):
            return Outcome(info={"note": NOTHING_TO_FORGET})
        optimizer = make_adam(task, run.model, self.lr)
        held = endless_batches(task, retain_view(run), run.generator) if self.retain_weight else None
        for epoch in range(1, self.epochs + 1):
            total = 0.0
            for batch in epoch_batches(task, forget, run.generator):
                loss = -task.loss(task.forward(run.model, batch)[0], batch)
                total -= float(loss.detach()) * len(batch)
                if held is not None:
                    loss = loss + self.retain_weight * full_loss(task, run.model, next(held))
                descend(optimizer, loss)
            run.record(epoch, self.epochs, forget_loss=total / len(forget))
        return Outcome(info={"lr": optimizer.param_groups[0]["lr"]})
