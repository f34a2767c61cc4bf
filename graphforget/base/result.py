"""UnlearnResult: the unlearned model and everything needed to serve, save, audit and continue it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base.edits import ModelEdit
from graphforget.requests import DeletionRequest, ForgetSplit

if TYPE_CHECKING:
    from graphforget.base.task import Task
    from graphforget.base.unlearner import Unlearner


@dataclass(frozen=True, eq=False)
class Serving:
    """On which input a result is served, and what is masked at serve time.

    Attributes:
        context: ``"retained"``, or ``"original"`` for a method that edits nothing.
        deny: Ids that must not be served, by kind, e.g. ``{"item": ids}``.
    """

    context: Literal["original", "retained"] = "retained"
    deny: Mapping[str, Tensor] = field(default_factory=dict)

    def same_as(self, other: Serving) -> bool:
        """Equal content."""
        return (
            self.context == other.context
            and set(self.deny) == set(other.deny)
            and all(torch.equal(self.deny[k], other.deny[k]) for k in self.deny)
        )


@dataclass(frozen=True)
class Cost:
    """What a run cost, teachers and masks included.

    Attributes:
        seconds: Wall-clock seconds.
        cpu_seconds: Processor seconds of this process, over all of its threads; steadier than the clock on a shared machine.
        forward_examples: Examples sent through a model.
        encodings: Full encodings of a graph (0 for independent samples).
        peak_bytes: Peak accelerator memory; None on the CPU.
    """

    seconds: float
    cpu_seconds: float
    forward_examples: int
    encodings: int
    peak_bytes: int | None = None


@dataclass(frozen=True, eq=False)
class UnlearnResult:
    """The outcome of one request.

    Attributes:
        model: The unlearned model.
        original: The model before, frozen.
        task: The task.
        split: The resolved request.
        serving: On which input the model is to be served.
        state: Method state for the next request.
        edits: Operators in the model, in order.
        seed: Seed of the run.
        cost: What it cost.
        curve: One entry per recorded step.
        unlearner: The method as it ran; ``method`` and ``params`` are its name and parameters.
        info: Facts that the method wants a reader to see.
        previous: The result that this one continues, or None.
    """

    model: nn.Module
    original: nn.Module
    task: Task
    split: ForgetSplit
    serving: Serving
    state: Mapping[str, Any]
    edits: tuple[ModelEdit, ...]
    seed: int
    cost: Cost
    curve: tuple[Mapping[str, float], ...]
    unlearner: Unlearner = field(repr=False)
    info: Mapping[str, Any] = field(default_factory=dict)
    previous: UnlearnResult | None = field(default=None, repr=False)

    @property
    def method(self) -> str:
        """The method's name."""
        return self.unlearner.tags.key

    @property
    def params(self) -> Mapping[str, Any]:
        """The method's parameters."""
        return self.unlearner.get_params()

    @property
    def request(self) -> DeletionRequest:
        """The request that this run served (not the cumulative one; that is ``split.root``)."""
        return self.split.request

    @property
    def forget_source(self) -> str:
        """Which examples the forget term meant: removed, altered, affected or none."""
        return self.split.forget_source

    @property
    def data(self) -> Any:
        """The data on which the model is to be served."""
        return self.split.data if self.serving.context == "original" else self.split.retain_data

    @property
    def residue(self) -> tuple[str, ...]:
        """What the model still held of forgotten data when the run ended, in sentences; see :mod:`graphforget.base.residue`."""
        return tuple(self.info.get("residue", ()))

    def audit(self) -> tuple[str, ...]:
        """The residue as the model is now, of everything deleted since the first data; :attr:`residue` is that of the run."""
        from graphforget.base.aftercare import residue_of

        return residue_of(self.model, self.first_original, self.task, self.task.split(*self.split.root))

    @cached_property
    def changed_parameters(self) -> tuple[str, ...]:
        """Names of parameters that differ from the original's, new ones included."""
        return _changed(dict(self.original.named_parameters()), dict(self.model.named_parameters()))

    @cached_property
    def changed_buffers(self) -> tuple[str, ...]:
        """Names of buffers that differ from the original's, new ones included."""
        return _changed(dict(self.original.named_buffers()), dict(self.model.named_buffers()))

    def then(
        self, request: DeletionRequest, *, method: Unlearner | None = None, seed: int | None = None, **options: Any
    ) -> UnlearnResult:
        """Serve a further request on this result; gold and evaluation will use everything deleted so far.

        Args:
            request: What to forget next; ids that are already forgotten are refused.
            method: Another method; default the same one, with this result's state.
            seed: Default: this run's seed.
            **options: Passed to :meth:`Unlearner.unlearn`.
        """
        unlearner = method or self.unlearner
        # Another method, or this one with other parameters, cannot read this state: it prepares its own.
        state = self.state if unlearner == self.unlearner else None
        split = self.task.split(self.split.retain_data, request)
        result = unlearner.unlearn(self.model, self.task, split, state=state, seed=self.seed if seed is None else seed, **options)
        return replace(result, previous=self)

    @property
    def label(self) -> str:
        """The method with the parameters that differ from its defaults, e.g. ``gnndelete(init=release)``."""
        return label_of(self.unlearner)

    @property
    def first_original(self) -> nn.Module:
        """The model before any request of this sequence."""
        return self.original if self.previous is None else self.previous.first_original

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe record, without tensors."""
        return {
            "format": "graphforget.result/1",
            "method": self.method,
            "params": {k: _plain(v) for k, v in self.params.items()},
            "seed": self.seed,
            "task": self.task.describe(),
            "request_digest": self.request.digest(),
            "cumulative_request_digest": self.split.lineage.request.digest(),
            "earlier_requests": list(self.split.lineage.digests[:-1]),
            "forget_source": self.forget_source,
            "counts": {
                "removed": len(self.split.removed),
                "altered": len(self.split.altered),
                "affected": len(self.split.affected),
                "retain": len(self.split.retain),
            },
            "serving": {"context": self.serving.context, "deny": {k: v.tolist() for k, v in self.serving.deny.items()}},
            "edits": [asdict(edit) for edit in self.edits],
            "cost": asdict(self.cost),
            "curve": [dict(c) for c in self.curve],
            "changed_parameters": list(self.changed_parameters),
            "changed_buffers": list(self.changed_buffers),
            "state": {k: _plain(v) for k, v in self.state.items() if not isinstance(v, Tensor)},
            "info": {k: _plain(v) for k, v in self.info.items()},
            "notes": list(self.split.notes),
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``model.safetensors``, ``model.json``, ``result.json``, ``request.json`` (and ``state.safetensors``).

        Each file is written under a temporary name and renamed.
        """
        from graphforget.base.checkpoint import save_model, save_tensors
        from graphforget.home import write_text

        folder = Path(folder)
        save_model(self.model, folder, edits=self.edits)
        tensors = {k: v for k, v in self.state.items() if isinstance(v, Tensor)}
        if tensors:
            save_tensors(tensors, folder / "state.safetensors")
        write_text(folder / "request.json", self.request.to_json())
        write_text(folder / "result.json", json.dumps(self.to_dict(), indent=1))
        return folder


def label_of(method: Unlearner) -> str:
    """The method's key with the parameters that differ from its defaults, e.g. ``gnndelete(init=release)``."""
    import inspect

    defaults = {n: p.default for n, p in inspect.signature(type(method)).parameters.items()}
    changed = [f"{k}={v}" for k, v in method.get_params().items() if k in defaults and defaults[k] != v]
    return f"{method.tags.key}({', '.join(changed)})" if changed else method.tags.key


def _changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> tuple[str, ...]:
    names = [
        n for n, t in after.items() if n not in before or before[n].shape != t.shape or not torch.equal(before[n].cpu(), t.cpu())
    ]
    return tuple(names + [n for n in before if n not in after])


def _plain(value: Any) -> Any:
    """The JSON-safe form of a parameter."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, Tensor):
        return value.tolist()
    return repr(value)
