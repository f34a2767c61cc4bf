"""Scores: what every model says of the same elements, read once and reused by every metric.

Batches (and with them every random draw) are made once per subset and re-read with ``Batch.on`` in each model's context,
so that no figure contains the noise of a redrawn negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import Batch, Task, evaluating
from graphforget.exceptions import InputError
from graphforget.requests import Context, ForgetSplit, View

_CHUNK = 8192  # examples per batch where each example is encoded by itself


@dataclass(frozen=True, eq=False)
class Subset:
    """Elements to measure on: their name, the base context in which draws are made, and the batches."""

    name: str
    context: Context
    batches: tuple[Batch, ...]

    def __len__(self) -> int:
        return sum(len(b) for b in self.batches)

    @property
    def y(self) -> Tensor:
        """Targets of all elements."""
        return torch.cat([b.y for b in self.batches])

    @property
    def index(self) -> Tensor:
        """Ids of all elements."""
        return torch.cat([b.index for b in self.batches])


def make_subsets(task: Task, split: ForgetSplit, model: nn.Module | None = None) -> dict[str, Subset]:
    """The elements that are judged: deleted, retained, hop1, hop2, far, twins, test, test_forget.

    For a ``model`` that reads structure, one batch each: one encoding then serves all of them.

    ``deleted`` is the split's forget part (what it means stands in ``split.forget_source``); test elements are positives
    only, so that a link task compares edges with edges. A deleted element that no longer exists in the retained data is read
    on the unlinked data: its links gone, its own content given.
    """
    retained = split.retain_data
    views: dict[str, tuple[Context, View]] = {}
    if len(split.index("forget")):
        on = split.forget_context
        views["deleted"] = (on, split.view("forget", on=on))
    views["retained"] = ("retained", View(retained, split.retain, "none"))
    views |= {name: ("retained", View(retained, ids, "none")) for name, ids in task.near(split).items()}
    if split.request.of("node_class", "class"):
        sides = {"test": "retain", "test_forget": "forget"}
        for name, side in sides.items():
            ids = task.index(retained, "test", side=side, request=split.request)  # type: ignore[arg-type]
            views[name] = ("retained", View(retained, ids, "none"))
    else:
        views["test"] = ("retained", View(retained, task.index(retained, "test"), "none"))
    twins = task.twins(split)
    if twins is not None and split.forget_source == "removed":
        views["twins"] = ("retained", View(retained, twins, "none"))
    size = None if task.reads_structure(model) else _CHUNK
    return {
        name: Subset(name, on, tuple(task.batches(view, batch_size=size, generator=seeds.generator(0))))
        for name, (on, view) in views.items()
        if len(view)
    }


@dataclass(eq=False)
class Judged:
    """One model on one input.

    Attributes:
        role: Role in the report.
        context: The input on which it is served.
        seed: Its seed.
        model: The model.
        method: Registry key, for unlearned models.
        outputs: Outputs per subset, on the CPU, float64.
        seconds: Cost, where it is known.
        facts: Further cost figures.
        data: For models served on the original input: the data that this is (in a sequence, what earlier requests left).
        deny: What is masked when the model is served, by kind.
    """

    role: str
    context: Context
    seed: int | None
    model: nn.Module
    method: str = ""
    outputs: dict[str, Tensor] = field(default_factory=dict)
    seconds: float | None = None
    facts: dict[str, float] = field(default_factory=dict)
    data: Any = None
    deny: Mapping[str, Tensor] = field(default_factory=dict)


def served_data(split: ForgetSplit, judged: Judged, subset: Subset) -> Any:
    """The data in which a model is asked about a subset.

    A model served on the original input is asked there. In a sequence that input lacks what earlier requests removed, so
    elements that have no content in it are asked about unlinked, as everyone is.
    """
    if judged.context != "original":
        return split.data_on(subset.context)
    if judged.data is None or judged.data is split.data or subset.context == "original":
        return split.data
    return split.unlinked_data if subset.context == "unlinked" else judged.data


def score(task: Task, split: ForgetSplit, subsets: dict[str, Subset], judged: Judged) -> None:
    """Fill ``judged.outputs``; subsets read in the same data share one encoding.

    Raises:
        InputError: The model returns NaN on elements that exist.
    """
    with evaluating(judged.model):
        names, batches = [], []
        for name, subset in subsets.items():
            data = served_data(split, judged, subset)
            for batch in subset.batches:
                names.append(name)
                batches.append(batch.on(data))
        if task.reads_structure(judged.model):
            forwards = task.forward(judged.model, *batches)
        else:
            forwards = tuple(task.forward(judged.model, b)[0] for b in batches)
    for name in subsets:
        parts = [f.outputs.detach().double().cpu() for n, f in zip(names, forwards, strict=True) if n == name]
        judged.outputs[name] = torch.cat(parts)
        if bool(torch.isnan(judged.outputs[name]).any()):
            count = int(torch.isnan(judged.outputs[name]).reshape(len(judged.outputs[name]), -1).any(1).sum())
            raise InputError(
                f"the {judged.role} model returns NaN on {count} of the {len(judged.outputs[name])} "
                f"'{name}' elements; its weights or its input are broken."
            )
