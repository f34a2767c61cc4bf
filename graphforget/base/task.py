"""Task: the one interface through which a method sees a modality.

A task knows how to read data, make batches, run a model, score it and train it. It knows nothing of unlearning except
how to split data by a request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base.batch import Batch, Forward
from graphforget.base.history import FitLog, FitOptions, Recipe
from graphforget.base.model import default_layer_names
from graphforget.base.residue import Gone
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest, ForgetSplit, View

OutputKind = Literal["categorical", "bernoulli", "gaussian", "ranking", "tokens"]
Build = Callable[[Any], nn.Module]


@dataclass(frozen=True, eq=False)
class RegionOptions:
    """What is read of a graph where a deletion is served in the part of it that it reaches.

    Attributes:
        fanout: At most so many neighbours per node and hop, everywhere: an approximation whose cost is bounded. None: exact.
        retain_sample: So many random retained training examples from the whole graph join those of the region; their rows are
            read approximately.
        val_sample: The same for validation examples (and as many of their fixed negatives).
        also: Further nodes whose rows must be exact, [n].
    """

    fanout: int | None = None
    retain_sample: int = 0
    val_sample: int = 0
    also: Tensor | None = None


class Task(ABC):
    """What a model is for.

    Class attributes:
        name: Registry key.
        output_kind: The family of ``Forward.outputs``; divergences and probabilities follow it.
        kinds: Target kinds that a request for this task may contain.
        has_input_graph: Whether removing structure from the input changes predictions (else ``unlink`` refuses); where that
            depends on the model, ask :meth:`reads_structure`.
        batch_rows_are_layer_rows: Whether captured layers have one row per example of the batch.
        monitor: The utility figure that early stopping watches (higher is better).
        has_inputs: Whether ``Batch.inputs`` can be edited.

    Args:
        build: ``build(data) -> nn.Module`` with fresh weights, sized for ``data``.
        template: A model to copy the shape of, used where ``build`` is not given.
        layers: Layer names, overriding what the model offers.
        recipe: How to train; each task has its own default.
    """

    name: str
    output_kind: OutputKind
    kinds: frozenset[str]
    has_input_graph = False
    batch_rows_are_layer_rows = True
    has_inputs = False
    monitor: str
    default_recipe = Recipe()

    def __init__(
        self,
        *,
        build: Build | None = None,
        template: nn.Module | None = None,
        layers: Sequence[str] | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        self.build, self.template = build, template
        self.layers = None if layers is None else list(layers)
        self.recipe = recipe or self.default_recipe

    def reads_structure(self, model: nn.Module | None = None) -> bool | None:
        """Whether removing structure from the input changes what a model predicts; makes no model.

        Args:
            model: The model; None asks about those that the task itself makes.

        Returns:
            None where that depends on the model and nothing says yet which it is.
        """
        return self.has_input_graph

    @property
    def independent_examples(self) -> bool:
        """Whether training examples can be trained on apart: not where they read each other's edges."""
        return not self.kinds & {"node", "edge", "graph"}

    # ---- data ---------------------------------------------------------------------------------------------
    @abstractmethod
    def adopt(self, data: Any) -> Any:
        """The task's data container for what the user has (e.g. a PyG ``Data``); containers pass through.

        Raises:
            InputError: This is not data for this task.
        """

    @abstractmethod
    def split(self, data: Any, request: DeletionRequest) -> ForgetSplit:
        """Resolve a request against data.

        Raises:
            InputError: Kinds this task does not know, unknown ids, ids already forgotten, or nothing left to retain.
        """

    @abstractmethod
    def view(
        self, data: Any, part: str, *, side: Literal["forget", "retain"] | None = None, request: DeletionRequest | None = None
    ) -> View:
        """Examples of ``"train"``, ``"val"``, ``"test"`` or ``"holdout"`` with their fixed negatives, if any.

        ``side`` restricts to examples of the classes that ``request`` forgets, or to the others.
        """

    def index(
        self, data: Any, part: str, *, side: Literal["forget", "retain"] | None = None, request: DeletionRequest | None = None
    ) -> Tensor:
        """Example ids of a part; see :meth:`view`."""
        return self.view(data, part, side=side, request=request).index

    def context(self, data: Any, device: torch.device | str = "cpu") -> Any:
        """Derived structures (normalised adjacency, ...), owned by the data and memoised, never by a model."""
        return None

    def inputs(self, batch: Batch) -> Tensor | None:
        """The batch's inputs, [n, ...], to be edited and put back with ``batch.replace(inputs=...)``; None without any."""
        return batch.inputs

    @abstractmethod
    def batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Batches over a view; every random draw is made here, from ``generator`` (a CPU generator)."""

    @abstractmethod
    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The same batch with plausible wrong targets; for ranking, the reversed preference."""

    def region(self, view: View, *, num_hops: int | None = None) -> View:
        """The same examples in the smallest context that gives the same outputs; identity for independent samples."""
        return view

    def local_split(
        self, split: ForgetSplit, model: nn.Module, options: RegionOptions | None = None, generator: torch.Generator | None = None
    ) -> tuple[ForgetSplit, dict[str, Any]]:
        """The same deletion in the part of the input graph that it reaches, and facts about that part's size.

        Args:
            split: The deletion in the whole graph.
            model: The model that will read the part.
            options: What else is read; by default the region, exactly.
            generator: CPU generator of the draws.

        Raises:
            InputError: This task has no input graph.
        """
        raise InputError(f"task '{self.name}' has no input graph, so a deletion has no region: use scope='full'.")

    # ---- model --------------------------------------------------------------------------------------------
    @abstractmethod
    def new_model(self, data: Any, *, seed: int) -> nn.Module:
        """A model with fresh weights, sized for ``data``."""

    @abstractmethod
    def forward(self, model: nn.Module, *batches: Batch, layers: Sequence[str] = ()) -> tuple[Forward, ...]:
        """One encoding per distinct context; only live rows are encoded, dead rows read as NaN."""

    @abstractmethod
    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """The data term, deterministic given the batch."""

    def penalty(self, model: nn.Module, forward: Forward, batch: Batch) -> Tensor:
        """Auxiliary and regularising terms: in fit and retain steps only, never reversed."""
        return forward.outputs.new_zeros(())

    def layer_names(self, model: nn.Module) -> list[str]:
        """Names of layers in execution order."""
        return self.layers if self.layers is not None else default_layer_names(model)

    def head(self, model: nn.Module) -> str:
        """Name of the last layer.

        Raises:
            InputError: The model has no layer that can be found.
        """
        names = self.layer_names(model)
        if not names:
            raise InputError(f"no layer found in {type(model).__name__}: pass layers=[...] to the task.")
        return names[-1]

    def fit(
        self,
        model: nn.Module,
        data: Any,
        *,
        seed: int,
        index: Tensor | None = None,
        epochs: int | None = None,
        lr: float | None = None,
        keep: Sequence[int | str] = (),
        callback: Callable[[int, float], None] | None = None,
    ) -> FitLog:
        """Train in place from the present weights with the task's recipe; early stopping on the data's own validation part.

        Args:
            model: Trained in place; left in evaluation mode with the best weights on validation.
            data: Data container; its own ``train`` and ``val`` parts are used.
            seed: Seed of every draw (negatives, order, dropout).
            index: Train on these example ids instead of all of ``train``.
            epochs: Override of the recipe; then early stopping is off, so that exactly so many epochs run.
            lr: Override of the recipe.
            keep: Epoch numbers whose weights to keep in the log, and/or ``"optimizer"``.
            callback: ``callback(epoch, loss)``.

        Raises:
            InputError: There is nothing to train on.

        Example:
            >>> from graphforget.testing import tiny_case
            >>> case = tiny_case("node_classification")
            >>> model = case.task.new_model(case.data, seed=0)
            >>> case.task.fit(model, case.data, seed=0, epochs=5).epochs
            5
        """
        return self._fit(model, data, seed, FitOptions(index, epochs, lr, keep, callback))

    @abstractmethod
    def _fit(self, model: nn.Module, data: Any, seed: int, options: FitOptions) -> FitLog:
        """What :meth:`fit` does, by the task's way of training."""

    def twins(self, split: ForgetSplit) -> Tensor | None:
        """Examples near the deletion that were never trained on, on the retained data; None where the task has no such notion.

        A retrained model says of deleted examples what it says of these, so the difference between the two is what the weights
        remember of the particular examples.
        """
        return None

    def can_score(self, view: View) -> bool:
        """Whether :meth:`utility` has what it needs on a view; early stopping and reports leave out a part that has not."""
        return len(view) > 0

    @abstractmethod
    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """Task metrics on a view, e.g. ``{"auc": .., "ap": ..}``."""

    def near(self, split: ForgetSplit) -> dict[str, Tensor]:
        """Retained examples by how near they are to the deletion, e.g. ``{"hop1": ids, "hop2": ids, "far": ids}``."""
        return {}

    def slots(self, data: Any) -> dict[str, int]:
        """How many slots the data have by kind of entity, e.g. ``{"node": N}`` or ``{"user": U, "item": I}``; dead ones count."""
        return {}

    def gone(self, split: ForgetSplit) -> Gone:
        """What the residue audit looks for after a request: forgotten slots, deleted edges, content that only they had."""
        return Gone()

    # ---- help ---------------------------------------------------------------------------------------------
    def check_kinds(self, request: DeletionRequest) -> None:
        """Refuse target kinds that this task does not know, and node or edge types, which its data do not have.

        Raises:
            InputError: Naming the kinds that it does know, or the type.
        """
        for kind in request.kinds:
            if kind not in self.kinds:
                raise InputError(f"task '{self.name}' cannot forget '{kind}' targets; it knows {', '.join(sorted(self.kinds))}.")
        for target in request.targets:
            if target.type is not None:
                raise InputError(
                    f"task '{self.name}' reads data without node and edge types, so type {target.type!r} of the {target.kind} "
                    f"target names nothing in it: leave the type out."
                )

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task and its recipe."""
        from dataclasses import asdict

        return {"name": self.name, "recipe": asdict(self.recipe), "layers": self.layers}
