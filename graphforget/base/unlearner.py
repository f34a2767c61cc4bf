"""Unlearner: how to forget. One class per method; the run wrapper does everything that methods must not repeat.

The wrapper asks ``supports`` before any compute, works on a private copy, fixes seeds without touching the caller's
global random state, moves devices, counts cost, and restores train / eval modes and ``requires_grad``. The author writes
``_unlearn(run)`` only.
"""

from __future__ import annotations

import copy
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import nn

from graphforget import seed as seeds
from graphforget.base.aftercare import clean_up
from graphforget.base.batch import counting
from graphforget.base.edits import edits_in
from graphforget.base.history import FitLog
from graphforget.base.model import device_of, frozen_copy, restored_like
from graphforget.base.result import Cost, Serving, UnlearnResult
from graphforget.base.stored import private_copy
from graphforget.base.tags import Tags, unmet
from graphforget.base.task import Task
from graphforget.exceptions import InputError, Reason, UnsupportedError
from graphforget.requests import DeletionRequest, ForgetSplit

Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What ``prepare`` returns: the model to serve until a request comes, and state for later."""

    model: nn.Module
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What ``_unlearn`` may return besides editing ``run.model`` in place (then it returns None).

    Attributes:
        model: A different module to serve.
        serving: Input context and what is masked; default: the retained input, the split's own denials.
        state: Updated state for the next request.
        info: JSON-safe facts about the run that a reader of the report should see.
    """

    model: nn.Module | None = None
    serving: Serving | None = None
    state: Mapping[str, Any] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Run:
    """Everything one run of a method works with; all of it private to the run.

    Attributes:
        model: A private copy of the served model, in training mode, on the run's device, every parameter trainable.
        task: The task.
        split: The resolved request.
        seed: The run's seed.
        generator: CPU generator for every draw the method makes.
        state: State from ``prepare`` or from the previous request.
        history: The original's FitLog, or None.
    """

    model: nn.Module
    task: Task
    split: ForgetSplit
    seed: int
    generator: torch.Generator
    state: Mapping[str, Any]
    history: FitLog | None
    progress: Progress | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    _source: nn.Module | None = None

    @cached_property
    def original(self) -> nn.Module:
        """The model before this run: frozen, evaluation mode. A teacher."""
        assert self._source is not None
        return frozen_copy(self._source)

    def record(self, step: int, total: int, **values: float) -> None:
        """Note one step of the method in the curve and tell the progress callback."""
        self.curve.append({"step": step, **{k: float(v) for k, v in values.items()}})
        if self.progress is not None:
            self.progress(step, total, values)


class Unlearner(ABC):
    """Base of all methods. ``__init__`` of a subclass only stores flat keyword parameters.

    Example:
        >>> from graphforget.unlearners import METHODS
        >>> METHODS["finetune"](epochs=10).get_params()["epochs"]
        10
    """

    tags: ClassVar[Tags]

    # ---- parameters ---------------------------------------------------------------------------------------
    @classmethod
    def param_names(cls) -> list[str]:
        """Constructor parameters."""
        return [n for n, p in inspect.signature(cls).parameters.items() if p.kind != p.VAR_KEYWORD]

    def get_params(self) -> dict[str, Any]:
        """Constructor parameters and their values; ``type(self)(**self.get_params())`` is an equal method."""
        return {name: getattr(self, name) for name in self.param_names()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_params() == other.get_params()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), repr(sorted(self.get_params().items()))))

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Parameter sets for the contract suite: fast ones. The first is the one used most."""
        return [{}]

    # ---- what it can do -----------------------------------------------------------------------------------
    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons why this method cannot serve the request; empty means it can. Computes nothing.

        The tags are asked here. A subclass overrides it only for what depends on its parameters or takes a look at the model: it
        extends the list and never shortens it, with the parameter's name as :attr:`Reason.code`.
        """
        return unmet(self.tags, task, request, model, history)

    # ---- running ------------------------------------------------------------------------------------------
    def prepare(self, model: nn.Module, task: Task, data: Any, *, seed: int, history: FitLog | None = None) -> Prepared:
        """What may be done before a request; the served model may change. Default: nothing."""
        return Prepared(model, {})

    def unlearn(
        self,
        model: nn.Module,
        task: Task,
        split: ForgetSplit,
        *,
        state: Mapping[str, Any] | None = None,
        history: FitLog | None = None,
        seed: int = 0,
        device: str | torch.device | None = None,
        progress: Progress | None = None,
    ) -> UnlearnResult:
        """Remove what ``split`` says from ``model``; the caller's model, data and random state stay as they are.

        Args:
            model: The trained model.
            task: The task it does.
            split: ``task.split(data, request)``.
            state: From ``prepare`` or from the previous result; prepared here (and priced) when absent.
            history: FitLog of the original's training, for methods that need it.
            seed: Seed of every draw.
            device: Where to compute; default: where the model is.
            progress: ``progress(step, total, values)``.

        Raises:
            UnsupportedError: The method cannot serve this; the reasons are in the message.
        """
        reasons = self.supports(task, split.request, model, history)
        if reasons:
            raise UnsupportedError(self.tags.key, reasons)
        if not isinstance(model, nn.Module):
            raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
        home = device_of(model)
        target = torch.device(device) if device is not None else home
        started, started_cpu = time.perf_counter(), time.process_time()
        with seeds.isolated(seeds.derive(seed, "unlearn", self.tags.key)), counting() as work, _peak_memory(target) as peak:
            if state is None:
                prepared = self.prepare(model, task, split.data, seed=seed, history=history)
                model, state = prepared.model, prepared.state
            private = private_copy(model).to(target)
            for parameter in private.parameters():
                parameter.requires_grad_(True)
                parameter.grad = None
            private.train()
            run = Run(
                private,
                task,
                split,
                seed,
                seeds.generator(seeds.derive(seed, "draws")),
                state,
                history,
                progress,
                _source=private_copy(model).to(target),
            )
            outcome = self._unlearn(run) or Outcome()
            final = outcome.model if outcome.model is not None else run.model
            left = clean_up(final, model, task, split, self.tags, seed=seed)
            if target.type == "cuda":
                torch.cuda.synchronize(target)  # kernels still running belong to the cost
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        final = restored_like(model, final.to(home))
        serving = outcome.serving or Serving("retained", split.deny)
        return UnlearnResult(
            model=final,
            original=frozen_copy(model),
            task=task,
            split=split,
            serving=serving,
            state=dict(outcome.state if outcome.state is not None else state),
            edits=edits_in(final),
            seed=seed,
            curve=tuple(run.curve),
            unlearner=copy.copy(self),  # whoever sets a parameter afterwards does not change what this run was
            cost=Cost(seconds, cpu_seconds, work.forward_examples, work.encodings, peak.bytes),
            info={**dict(outcome.info), **left},
        )

    @abstractmethod
    def _unlearn(self, run: Run) -> Outcome | None:
        """The method. Edit ``run.model`` in place, or return an :class:`Outcome`."""


class _peak_memory:
    """Peak accelerator memory of a block in bytes; None on the CPU, where torch does not account for it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.bytes: int | None = None

    def __enter__(self) -> _peak_memory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device)
