"""RRL: reverse ranking loss on the forgotten interactions, held by what the retained ones need (RRL, AAAI 2024)."""

from __future__ import annotations

from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from graphforget.base import Outcome, Run, Tags, Unlearner
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.steps import NOTHING_TO_FORGET, epoch_batches, forget_view, retain_view
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS


class RRL(Unlearner):
    r"""Reverse ranking with the inverse Fisher information of retained batches ("RRL", AAAI 2024).

    1. The diagonal F of the Fisher information at the original's weights, one number per coordinate: the mean over
       ``fisher_batches`` retained batches of the squared gradient of the ranking loss. It is the square of a batch's mean
       gradient, not the mean over single interactions.
    2. ``epochs`` passes over :math:`D_f` down the reversed loss, with learning rate :math:`\eta` and j another item:

       .. math::

           \theta \leftarrow \theta - \eta \, \frac{g}{F + \varepsilon}, \qquad
           g = \nabla_\theta \bigl[ -\operatorname{mean} \, \ln \sigma \bigl( s(u, j) - s(u, i) \bigr) \bigr]

    Coordinates that retained interactions pull at move little. Where F is 0, as in the row of an item that is gone, the step is
    lr / eps times the gradient: that ratio, 10 by default, is the real step size. There is no stop rule. A batch's mean gradient
    is small: where F stays far below eps (``info["fisher_max"]``), as it does on sparse data with these defaults, F has no
    effect; a smaller lr and eps in the same ratio give it one.

    This is a reconstruction: objective, preconditioner, 5 epochs, lr 1e-3, eps 1e-4 and 4 batches follow public
    re-implementations; the paper's regulariser by collaborative similarity is not in it. No figure made with it is the paper's.

    Args:
        epochs: Passes over the forgotten interactions.
        lr: Step size; plain gradient steps without momentum.
        eps: Added to F.
        fisher_batches: Retained batches behind F; fewer where there are no more.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> RRL(epochs=2).get_params()
        {'epochs': 2, 'lr': 0.001, 'eps': 0.0001, 'fisher_batches': 4}
    """

    tags: ClassVar[Tags] = Tags(
        key="rrl",
        summary="Reverse ranking loss, scaled by inverse Fisher information.",
        citation="RRL, AAAI 2024",
        needs_gradients=True,
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"unlinked", "retained"}),
    )

    def __init__(self, *, epochs: int = 5, lr: float = 1e-3, eps: float = 1e-4, fisher_batches: int = 4) -> None:
        check_count("epochs", epochs)
        check_number("lr", lr, low=0)
        check_number("eps", eps, low=0, open_low=True)
        check_count("fisher_batches", fisher_batches, low=1)
        self.epochs, self.lr, self.eps, self.fisher_batches = epochs, lr, eps, fisher_batches

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """A short run, and a flat metric: a large eps makes it plain reverse descent."""
        return [{"epochs": 2}, {"epochs": 1, "eps": 1.0, "lr": 0.1}]

    def _unlearn(self, run: Run) -> Outcome:
        task, forget = run.task, forget_view(run)
        if not len(forget):
            return Outcome(info={"note": NOTHING_TO_FORGET})
        fisher = self._fisher(run)
        parameters = list(run.model.parameters())
        for epoch in range(1, self.epochs + 1):
            total = 0.0
            for batch in epoch_batches(task, forget, run.generator):
                wrong = task.relabel(batch, run.generator)
                loss = task.loss(task.forward(run.model, wrong)[0], wrong)
                total += float(loss.detach()) * len(batch)
                grads = torch.autograd.grad(loss, parameters, allow_unused=True)
                with torch.no_grad():
                    for parameter, grad, held in zip(parameters, grads, fisher, strict=True):
                        if grad is not None:
                            parameter.sub_(self.lr * grad / (held + self.eps))
            run.record(epoch, self.epochs, reversed_loss=total / len(forget))
        return Outcome(info={"lr_over_eps": self.lr / self.eps, "fisher_max": max(float(f.max()) for f in fisher)})

    def _fisher(self, run: Run) -> list[Tensor]:
        """F, one tensor per parameter."""
        task, parameters = run.task, list(run.model.parameters())
        sums = [torch.zeros_like(p) for p in parameters]
        batches = list(islice(epoch_batches(task, retain_view(run), run.generator), self.fisher_batches))
        for batch in batches:
            loss = task.loss(task.forward(run.model, batch)[0], batch)
            for total, grad in zip(sums, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
                if grad is not None:
                    total += grad.square()
        return [total / max(len(batches), 1) for total in sums]
