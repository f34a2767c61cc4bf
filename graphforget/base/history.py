"""Training: how a task trains, how one run departs from that, and what the run left behind that a method may need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from graphforget.exceptions import InputError


@dataclass(frozen=True)
class Recipe:
    """How a task trains, the same for the original and for gold.

    Attributes:
        epochs: Upper bound on passes over the training examples.
        lr: Adam's learning rate.
        weight_decay: L2 coefficient (Adam's, coupled).
        batch_size: Examples per step; None is full batch.
        patience: Evaluations without improvement on validation before stopping; None trains all epochs.
        eval_every: Epochs between validation evaluations.
        fanout: Neighbours read per node, by hop from the examples: each batch of a graph task is then trained in a sampled part
            of the graph (:mod:`graphforget.tasks.graph.minibatch`). Needs ``batch_size``; None: the whole graph in every step.
        eval_batch_size: Examples per pass when a graph task predicts: each pass reads the part of the graph from which these
            outputs follow exactly. None predicts all from one encoding of the graph.

    Raises:
        InputError: ``fanout`` without ``batch_size``, or a value below 1 in ``fanout`` or ``eval_batch_size``.

    Example:
        >>> Recipe(batch_size=512, fanout=(10, 5)).fanout
        (10, 5)
    """

    epochs: int = 200
    lr: float = 1e-2
    weight_decay: float = 0.0
    batch_size: int | None = None
    patience: int | None = 20
    eval_every: int = 1
    fanout: tuple[int, ...] | None = None
    eval_batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.fanout is not None:
            object.__setattr__(self, "fanout", tuple(self.fanout))  # a configuration brings a list
            if not self.fanout or min(self.fanout) < 1:
                raise InputError(
                    f"fanout lists the neighbours to read per hop, each at least 1, for example (10, 5); got {self.fanout}."
                )
            if self.batch_size is None:
                raise InputError(
                    "fanout is for mini-batches: give batch_size too, for example Recipe(batch_size=512, fanout=(10, 5))."
                )
        if self.eval_batch_size is not None and self.eval_batch_size < 1:
            raise InputError(f"eval_batch_size must be at least 1, or None for all at once; got {self.eval_batch_size}.")


@dataclass(frozen=True, eq=False)
class FitOptions:
    """How one training run departs from the task's recipe; the arguments of ``task.fit``.

    Attributes:
        index: Train on these example ids instead of all of ``train``.
        epochs: Instead of the recipe's; then early stopping is off, so that exactly so many epochs run.
        lr: Instead of the recipe's.
        keep: Epoch numbers whose weights to keep in the log, and/or ``"optimizer"``.
        callback: ``callback(epoch, loss)``.
    """

    index: Tensor | None = None
    epochs: int | None = None
    lr: float | None = None
    keep: Sequence[int | str] = ()
    callback: Callable[[int, float], None] | None = None


@dataclass(frozen=True, eq=False)
class FitLog:
    """The record of one training run.

    Attributes:
        seed: Seed of initial weights and draws.
        init_digest: Digest of the initial weights, so that ``task.new_model(data, seed=seed)`` can be verified.
        epochs: Epochs run.
        best_epoch: Epoch whose weights were kept.
        best_score: Validation score there (None without validation).
        seconds: Wall-clock time.
        seconds_to_best: Time until the kept epoch: the cost of equal validation quality.
        cpu_seconds_to_best: The same in processor seconds.
        curve: (epoch, validation score).
        checkpoints: State dicts by epoch, for the epochs asked for with ``keep``.
        optimizer_state: The optimiser's state at the end, where ``keep`` contains ``"optimizer"``.
    """

    seed: int
    init_digest: str
    epochs: int
    best_epoch: int
    best_score: float | None
    seconds: float
    seconds_to_best: float
    cpu_seconds_to_best: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    checkpoints: Mapping[int, Mapping[str, Tensor]] = field(default_factory=dict, repr=False)
    optimizer_state: Mapping[str, Any] | None = field(default=None, repr=False)

    def facts(self) -> dict[str, Any]:
        """JSON-safe record, without weights."""
        return {
            "seed": self.seed,
            "init_digest": self.init_digest,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "seconds": self.seconds,
            "seconds_to_best": self.seconds_to_best,
            "cpu_seconds_to_best": self.cpu_seconds_to_best,
            "curve": [list(point) for point in self.curve],
        }
