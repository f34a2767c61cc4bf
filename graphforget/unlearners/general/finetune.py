"""Fine-tuning on the retained data."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from graphforget.base import FitLog, Outcome, RegionOptions, Run, Tags, Task, Unlearner
from graphforget.exceptions import Reason
from graphforget.requests import DeletionRequest
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.scope import check_scope, localised, scope_reasons
from graphforget.unlearners._shared.steps import descend, epoch_batches, full_loss, make_adam, recipe_epochs, retain_view


class FineTune(Unlearner):
    r"""Continue training on the retained data from the original's weights.

    .. math::

        \theta \leftarrow \arg\min_\theta \; L(\theta; D_r) + \text{penalty}

    A few epochs of Adam from the original's weights approach it ("FT" in Jia et al., "Model Sparsity Can Simplify Machine
    Unlearning", NeurIPS 2023; on a graph it is unlinking followed by repair). Batches, weight decay and penalty are those of
    the task's recipe. The forgotten examples are never read.

    The default number of epochs is a tenth of the recipe's, so that it means the same share of the cost of retraining on
    every task; the cited release fixes 10 epochs (lr 0.01) for a 182-epoch image recipe. Too many epochs overfit what is
    retained and move it away from a retrained model.

    Args:
        epochs: Passes over the retained examples; None is a tenth of the recipe's.
        lr: Adam's learning rate; None is the recipe's.
        scope: ``"full"``: all retained examples. ``"region"``: on a graph, only those that the deletion can change (both ends
            of a pair), with ``retain_sample`` others. What can change lies within L hops of the deletion, L being the task's
            ``num_hops``; computing it exactly reads 2L, and the cost grows with that, not with the graph. Epochs count the
            same: a region's epoch is one pass over the region's examples.
        fanout: With ``scope="region"``: read at most so many neighbours per node and hop, an approximation whose cost is
            bounded on any graph; None reads all of them.
        retain_sample: With ``scope="region"``: random retained examples from the whole graph that join the loss, read through a
            few neighbours each; they hold the model where it was far from the deletion.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> FineTune(epochs=5).get_params()
        {'epochs': 5, 'lr': None, 'scope': 'full', 'fanout': None, 'retain_sample': 256}
    """

    tags: ClassVar[Tags] = Tags(
        key="finetune",
        summary="Continues training on the retained data.",
        citation="Jia et al., NeurIPS 2023 (baseline FT)",
        needs_gradients=True,
        contexts=frozenset({"retained"}),
        reads_forget=False,
    )

    def __init__(
        self,
        *,
        epochs: int | None = None,
        lr: float | None = None,
        scope: str = "full",
        fanout: int | None = None,
        retain_sample: int = 256,
    ) -> None:
        check_count("epochs", epochs, none="a tenth of the recipe's")
        check_number("lr", lr, low=0, open_low=True, none="the recipe's")
        check_scope(scope, fanout, retain_sample)
        self.epochs, self.lr = epochs, lr
        self.scope, self.fanout, self.retain_sample = scope, fanout, retain_sample

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """A short run."""
        return [{"epochs": 3}]

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons against; a region needs an input graph."""
        return super().supports(task, request, model, history) + scope_reasons(task, self.scope)

    def _unlearn(self, run: Run) -> Outcome:
        facts: dict[str, Any] = {}
        if self.scope == "region":
            run, facts = localised(run, RegionOptions(self.fanout, self.retain_sample))
        task, view = run.task, retain_view(run)
        if not len(view):  # a step would be weight decay alone
            return Outcome(info={"note": "the deletion changes no retained training example: the weights are unchanged", **facts})
        optimizer = make_adam(task, run.model, self.lr, weight_decay=None)
        epochs = recipe_epochs(task, self.epochs)
        for epoch in range(1, epochs + 1):
            total, seen = 0.0, 0
            for batch in epoch_batches(task, view, run.generator):
                total += descend(optimizer, full_loss(task, run.model, batch)) * len(batch)
                seen += len(batch)
            run.record(epoch, epochs, loss=total / max(seen, 1))
        return Outcome(info={"epochs": epochs, "lr": optimizer.param_groups[0]["lr"], **facts})
