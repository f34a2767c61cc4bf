"""SalUn: random labels on the weights that matter for the forget part."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from graphforget.base import Outcome, Run, Tags, Unlearner
from graphforget.requests import View
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.masks import HardMask, top_share
from graphforget.unlearners._shared.steps import (
    NOTHING_TO_FORGET,
    descend,
    epoch_batches,
    forget_view,
    full_loss,
    make_adam,
    retain_view,
)


class SalUn(Unlearner):
    r"""Saliency unlearning (Fan et al., "SalUn: Empowering Machine Unlearning via Gradient-based Weight Saliency",
    ICLR 2024).

    1. Saliency of every coordinate at the original's weights, in evaluation mode (their eq. 3):

       .. math:: g = \lvert \nabla_\theta L(\theta_o; D_f) \rvert

    2. The mask m is 1 for the ``ratio`` of all coordinates with the largest g (a median threshold at 0.5), else 0.
    3. Each epoch goes down the loss on :math:`D_f` with random wrong labels, then loss and penalty on :math:`D_r`, and moves
       the masked coordinates alone (their eq. 4):

       .. math:: \theta = m \odot (\theta_o + \delta) + (1 - m) \odot \theta_o

       The mask is a *hard* constraint: after every step the coordinates outside it are restored and the optimiser's moments
       there zeroed, so they stay bit-identical under momentum and weight decay.

    Wrong labels come from ``task.relabel``: another class, an edge read as a non-edge, a reversed preference; they are
    redrawn every epoch. The release draws among all classes, the true one included, with SGD (lr 0.013, momentum 0.9);
    we use the task's recipe (Adam, its lr, weight decay and batches), so that one default fits every modality. Expect to
    tune lr first. Buffers (batch-norm statistics) are not masked and move with training.

    Args:
        ratio: Share of coordinates that may move, in (0, 1].
        epochs: Passes over both parts.
        lr: Adam's learning rate; None is the recipe's.
        retain_weight: Weight of the retain pass; 0 leaves it out.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> SalUn(ratio=0.3).get_params()["ratio"]
        0.3
    """

    tags: ClassVar[Tags] = Tags(
        key="salun",
        summary="Random labels on forgotten examples; only salient weights move.",
        citation="Fan et al., ICLR 2024",
        needs_gradients=True,
        contexts=frozenset({"retained", "unlinked"}),
        declares_frozen=True,
    )

    def __init__(self, *, ratio: float = 0.5, epochs: int = 10, lr: float | None = None, retain_weight: float = 1.0) -> None:
        check_number("ratio", ratio, low=0, high=1, open_low=True)
        check_count("epochs", epochs)
        check_number("lr", lr, low=0, open_low=True, none="the recipe's")
        check_number("retain_weight", retain_weight, low=0)
        self.ratio, self.epochs, self.lr, self.retain_weight = ratio, epochs, lr, retain_weight

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """A short run, half of the weights free; and a tight mask."""
        return [{"epochs": 2}, {"epochs": 2, "ratio": 0.05}]

    def _unlearn(self, run: Run) -> Outcome:
        task, forget, retain = run.task, forget_view(run), retain_view(run)
        if not len(forget):
            return Outcome(info={"note": NOTHING_TO_FORGET})
        mask = HardMask(run.model, top_share(_saliency(run, forget), self.ratio))
        optimizer = make_adam(task, run.model, self.lr, weight_decay=None)
        for epoch in range(1, self.epochs + 1):
            losses = {"forget_loss": 0.0, "retain_loss": 0.0}
            for batch in epoch_batches(task, forget, run.generator):
                wrong = task.relabel(batch, run.generator)
                losses["forget_loss"] = descend(optimizer, task.loss(task.forward(run.model, wrong)[0], wrong))
                mask.enforce(optimizer)
            if self.retain_weight:
                for batch in epoch_batches(task, retain, run.generator):
                    losses["retain_loss"] = descend(optimizer, self.retain_weight * full_loss(task, run.model, batch))
                    mask.enforce(optimizer)
            run.record(epoch, self.epochs, **losses)
        return Outcome(info={"free_share": mask.share, "lr": optimizer.param_groups[0]["lr"]})


def _saliency(run: Run, forget: View) -> dict[str, Tensor]:
    """|gradient of the summed forget loss| at the original's weights, by parameter name."""
    task, model = run.task, run.model
    model.eval()
    sums = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for batch in epoch_batches(task, forget, run.generator):
        loss = task.loss(task.forward(model, batch)[0], batch, reduction="sum")
        grads = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        for total, grad in zip(sums.values(), grads, strict=True):
            if grad is not None:
                total += grad
    model.train()
    return {name: total.abs() for name, total in sums.items()}
