"""MMRecUn: reverse ranking loss on what is forgotten, ranking loss on what stays (Sinha et al., AAAI 2025, arXiv:2405.15328)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Outcome, Run, Tags, Unlearner
from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, remove_pairs
from graphforget.metrics.utility import top_items
from graphforget.requests import View, as_positions
from graphforget.tasks.recommendation.task import Recommendation
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.steps import descend, make_adam
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS

GRAPHS = ("original", "retained")
STOPS = ("epochs", "val_drop", "forget_recall")
_USERS = 1024  # users ranked at once by the forget-recall rule


class MMRecUn(Unlearner):
    r"""Multi-modal recommendation unlearning (Sinha, Mandal and Kankanhalli, AAAI 2025, arXiv:2405.15328).

    With margins :math:`m = s(u, i) - s(u, j)` over a uniform other item j, one Adam step per retained batch goes down

    .. math::

        L   &= \alpha L_r + (1 - \alpha) L_f + \text{penalty} \\
        L_r &= -\operatorname{mean}_{D_r} \ln \sigma(m) \\
        L_f &= -\operatorname{mean}_{D_f} \ln \sigma(-m)

    :math:`L_r` is the task's ranking loss, with derivative :math:`-\sigma(-m)` by the margin; :math:`L_f` is its reverse, through
    ``task.relabel``, with derivative :math:`\sigma(m)`.

    The penalty (regulariser and the backbone's own auxiliary terms, such as MGCN's contrast) is that of the retained batch.
    The forget batches go round as often as it takes. With alpha = 1 this is fine-tuning on the retained data.

    This is a reconstruction from the paper's description: the authors' code was not at hand, so the settings below are ours and
    no figure made with it is the paper's. :math:`L_f` is bounded below by 0 and its gradient ends only at :math:`m = -\infty`:
    without a stop it drives forgotten pairs below those that nobody ever took. Three ways to stop:

    - ``"epochs"``: after ``epochs`` passes over the retained batches.
    - ``"val_drop"``: before the first epoch that lowers the validation score on the retained data by more than ``max_drop`` of
      the original's on the same data; the weights from before that epoch are kept.
    - ``"forget_recall"``: after the first epoch at which the share of forgotten interactions among their users' top k is
      ``target_recall`` or less. Links of the forgotten interactions are gone and nothing is masked but retained training items;
      k is the task's ``top_k``. The target is the caller's: a method does not look at gold models. It is met early and says
      little: on a graph, serving without the forgotten links nearly meets it before any step.

    Args:
        alpha: Weight of the retained loss, in [0, 1].
        lr: Adam's learning rate; None is the recipe's.
        epochs: Passes over the retained batches, or the most of them.
        batch_size: Interactions per step; None is the recipe's.
        graph: What both losses are read on. ``"retained"``: the retained data, and for forgotten interactions the data with their
            links gone. ``"original"``: the original data. Serving is on the retained data in both cases.
        stop: One of epochs, val_drop, forget_recall.
        max_drop: For ``"val_drop"``: share of the validation score.
        target_recall: For ``"forget_recall"``, in [0, 1].

    Raises:
        InputError: A value is out of range, or ``target_recall`` is missing or has no use.

    Example:
        >>> MMRecUn(alpha=0.3, stop="forget_recall", target_recall=0.02).get_params()["target_recall"]
        0.02
    """

    tags: ClassVar[Tags] = Tags(
        key="mmrecun",
        summary="Reverse ranking loss on forgotten, ranking loss on retained.",
        citation="Sinha, Mandal and Kankanhalli, AAAI 2025",
        needs_gradients=True,
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"original", "unlinked", "retained"}),
    )

    def __init__(
        self,
        *,
        alpha: float = 0.5,
        lr: float | None = 1e-3,
        epochs: int = 3,
        batch_size: int | None = None,
        graph: str = "retained",
        stop: str = "epochs",
        max_drop: float = 0.01,
        target_recall: float | None = None,
    ) -> None:
        check_number("alpha", alpha, low=0, high=1)
        check_number("lr", lr, low=0, none="the recipe's")
        check_count("epochs", epochs)
        check_count("batch_size", batch_size, low=1, none="the recipe's")
        check_choice("graph", graph, GRAPHS)
        check_choice("stop", stop, STOPS)
        check_number("max_drop", max_drop, low=0, high=1)
        check_number("target_recall", target_recall, low=0, high=1, none="no target")
        if (stop == "forget_recall") != (target_recall is not None):
            raise InputError(
                f"stop='forget_recall' goes with target_recall, the share of forgotten interactions that may stay in the top "
                f"lists; got stop={stop!r} and target_recall={target_recall!r}."
            )
        self.alpha, self.lr, self.epochs, self.batch_size = alpha, lr, epochs, batch_size
        self.graph, self.stop, self.max_drop, self.target_recall = graph, stop, max_drop, target_recall

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """A short run; the original graph; both rules that stop early."""
        return [
            {"epochs": 2, "lr": 0.01},
            {"epochs": 2, "lr": 0.01, "graph": "original", "alpha": 0.1},
            {"epochs": 3, "lr": 0.01, "stop": "val_drop", "max_drop": 0.9},
            {"epochs": 3, "lr": 0.01, "stop": "forget_recall", "target_recall": 0.5},
        ]

    def _unlearn(self, run: Run) -> Outcome:
        task, split = cast(Recommendation, run.task), run.split
        forget = split.view("forget", on="original" if self.graph == "original" else split.forget_context)
        retain = split.view("retain", on="original" if self.graph == "original" else "retained")
        optimizer = make_adam(task, run.model, self.lr, weight_decay=None)
        reverse = _reversed_batches(self, run, forget) if self.alpha < 1 and len(forget) else None
        val, floor = task.view(split.retain_data, "val"), 0.0
        if self.stop == "val_drop":
            if not task.can_score(val):
                raise InputError("stop='val_drop' needs a validation part: give the data one, or use stop='epochs'.")
            floor = (1 - self.max_drop) * task.utility(run.model, val)[task.monitor]
        stopped = "epochs"
        for epoch in range(1, self.epochs + 1):
            before = copy.deepcopy(run.model.state_dict()) if self.stop == "val_drop" else None
            facts = {"retain_loss": 0.0, "forget_loss": 0.0}
            for batch in _batches(self, task, retain, run.generator):
                wrong = [next(reverse)] if reverse is not None else []
                forward, *undoing = task.forward(run.model, batch, *wrong)
                kept = task.loss(forward, batch)
                loss = self.alpha * kept + task.penalty(run.model, forward, batch)
                facts["retain_loss"] = float(kept.detach())
                for one, reversed_batch in zip(undoing, wrong, strict=True):
                    undone = task.loss(one, reversed_batch)
                    loss = loss + (1 - self.alpha) * undone
                    facts["forget_loss"] = float(undone.detach())
                descend(optimizer, loss)
            if before is not None:
                facts["val"] = task.utility(run.model, val)[task.monitor]
            if self.target_recall is not None:
                facts["forget_recall"] = forget_recall(task, run.model, split.data, split.removed)
            run.record(epoch, self.epochs, **facts)
            if before is not None and facts["val"] < floor:
                run.model.load_state_dict(before)
                stopped = f"validation fell by more than {self.max_drop:.3g} in epoch {epoch}: the weights before it were kept"
                break
            if self.target_recall is not None and facts["forget_recall"] <= self.target_recall:
                stopped = f"forget recall reached {self.target_recall:.3g} in epoch {epoch}"
                break
        return Outcome(info={"lr": optimizer.param_groups[0]["lr"], "epochs": len(run.curve), "stopped": stopped})


def _batches(method: MMRecUn, task: Recommendation, view: View, generator: torch.Generator) -> Iterator[Batch]:
    size = task.recipe.batch_size if method.batch_size is None else method.batch_size
    return task.batches(view, batch_size=size, shuffle=size is not None, generator=generator)


def _reversed_batches(method: MMRecUn, run: Run, forget: View) -> Iterator[Batch]:
    """Forget batches with the preference reversed, without end; every pass draws other items anew."""
    task = cast(Recommendation, run.task)
    while True:
        for batch in _batches(method, task, forget, run.generator):
            yield task.relabel(batch, run.generator)


def forget_recall(task: Recommendation, model: nn.Module, data: Interactions, removed: Tensor) -> float:
    """Share of removed interactions within their users' top k; links gone, all items candidates but retained training items.

    Args:
        task: Gives k, its ``top_k``.
        model: Scores the items.
        data: The original data.
        removed: [n, 2].

    Returns:
        The share; NaN without any.
    """
    unlinked, hits = remove_pairs(data, as_positions(removed)), 0
    positives = task.context(unlinked).positives
    users, row = torch.unique(removed[:, 0], return_inverse=True)
    for start in range(0, len(users), _USERS):
        block = users[start : start + _USERS]
        ranked = top_items(task.score_all(model, unlinked, block), task.top_k, exclude=positives.of(block))
        here = (row >= start) & (row < start + _USERS)
        hits += int((ranked[row[here] - start] == removed[here, 1:]).any(1).sum())
    return hits / len(removed) if len(removed) else float("nan")
