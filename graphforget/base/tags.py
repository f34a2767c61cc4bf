"""Tags: what a method says of itself. ``supports``, tables, selection and the contract suite read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from graphforget.base.capabilities import has_entity_rows
from graphforget.base.history import FitLog
from graphforget.base.model import Ensemble
from graphforget.base.task import Task
from graphforget.exceptions import Reason
from graphforget.requests import DeletionRequest


@dataclass(frozen=True)
class Tags:
    """Declared facts about an unlearner. What a tag asks for need not be asked again: :func:`unmet` refuses without it.

    Attributes:
        key: Registry key.
        summary: One plain sentence.
        citation: Paper, or "graphforget".
        kinds: Target kinds it serves; None means any that the task knows.
        tasks: Task names it serves; None means any.
        contexts: Contexts it reads.
        reads_forget: Whether the content of forgotten examples is read at all.
        reads_retain: Whether retained examples are read.
        needs_targets: Kinds of which a request must name one at least; empty means any will do.
        needs_history: Whether a FitLog is required.
        needs_layers: Whether named layers are required.
        needs_inputs: Whether editable inputs are required.
        needs_input_graph: Whether the task must read structure as its input.
        needs_independent_examples: Whether training examples must be trainable apart from each other.
        needs_model: The class that the model must be of, for methods that work on one model's own equations.
        needs_entity_rows: Whether ``model.entity_rows()`` is required.
        needs_modality_rows: Whether a request for content alone needs rows that belong to it (``RowBlock.modality``).
        needs_gradients: Whether the model must have parameters to take gradients of (one solved in closed form has none).
        makes_model: The class that ``prepare`` puts in the place of the user's model, where that is another one. A model of it is
            not asked for what the user's must have.
        serves_ensembles: Whether the served model may be an ensemble that another method made.
        guarantee: ``exact``, ``certified`` or ``empirical``.
        exact_reference: For exact methods: equal to ``retrain`` or to its ``own`` preparation on retained data.
        state_after: What a second request finds: ``exact``, ``stale`` or ``recomputed`` state.
        changes_weights: Whether weights change (False: serving only).
        declares_frozen: Whether the result says which weights were held: ``info["frozen"]``, or ``info["free_share"]``.
        forgotten_rows: What the method itself does with rows of forgotten users, items and nodes: ``kept`` (the run wrapper then
            puts them back to fresh weights), ``reset``, or ``retrained`` with everything else.
        uses_gold: Whether its strength is tuned by looking at gold models (marked in tables).

    Example:
        >>> tags = Tags("mine", "Does little.", "nobody", tasks=frozenset({"recommendation"}), needs_entity_rows=True)
        >>> tags.needs
        {'needs_entity_rows': 'entity rows'}
        >>> Tags("mine", "Does little.", "nobody", needs_input_graph=True).serves
        'any with an input graph'
    """

    key: str
    summary: str
    citation: str
    kinds: frozenset[str] | None = None
    tasks: frozenset[str] | None = None
    contexts: frozenset[str] = frozenset({"retained"})
    reads_forget: bool = True
    reads_retain: bool = True
    needs_targets: frozenset[str] = frozenset()
    needs_history: bool = False
    needs_layers: bool = False
    needs_inputs: bool = False
    needs_input_graph: bool = False
    needs_independent_examples: bool = False
    needs_model: type[nn.Module] | None = None
    needs_entity_rows: bool = False
    needs_modality_rows: bool = False
    needs_gradients: bool = False
    makes_model: type[nn.Module] | None = None
    serves_ensembles: bool = False
    guarantee: Literal["exact", "certified", "empirical"] = "empirical"
    exact_reference: Literal["retrain", "own"] | None = None
    state_after: Literal["exact", "stale", "recomputed"] = "recomputed"
    changes_weights: bool = True
    declares_frozen: bool = False
    forgotten_rows: Literal["kept", "reset", "retrained"] = "kept"
    uses_gold: bool = False

    @property
    def needs(self) -> dict[str, str]:
        """What the method asks for beside model, data and request, in words, by tag."""
        words = {
            "needs_targets": f"{' or '.join(sorted(self.needs_targets))} targets",
            "needs_history": "training history",
            "needs_layers": "named layers",
            "needs_inputs": "editable inputs",
            "needs_input_graph": "an input graph",
            "needs_independent_examples": "independent examples",
            "needs_model": self.needs_model.__name__ if self.needs_model is not None else "",
            "needs_entity_rows": "entity rows",
            "needs_modality_rows": "rows of the content for a request of content alone",
            "needs_gradients": "parameters to train",
        }
        return {tag: text for tag, text in words.items() if getattr(self, tag)}

    @property
    def serves(self) -> str:
        """The tasks it serves in words: names, or ``any`` with what such a task must have."""
        if self.tasks is not None:
            return ", ".join(sorted(self.tasks))
        of_task = ("needs_input_graph", "needs_independent_examples", "needs_inputs")
        conditions = [text for tag, text in self.needs.items() if tag in of_task]
        return "any" + (f" with {' and '.join(conditions)}" if conditions else "")


def unmet(
    tags: Tags, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
) -> list[Reason]:
    """What stands between a method's tags and a request; empty where nothing does. Computes nothing.

    Args:
        tags: The method's.
        task: The task.
        request: What is to be forgotten.
        model: The served model; None leaves out what only it can say.
        history: The record of its training.
    """
    found: list[Reason] = []
    if tags.tasks is not None and task.name not in tags.tasks:
        found.append(Reason("tasks", f"it serves {', '.join(sorted(tags.tasks))}, not '{task.name}'"))
    unknown = [k for k in request.kinds if k not in (task.kinds if tags.kinds is None else tags.kinds & task.kinds)]
    if unknown:
        found.append(Reason("kinds", f"it cannot forget {', '.join(unknown)} targets on task '{task.name}'"))
    elif tags.needs_targets and not tags.needs_targets & set(request.kinds):
        wanted = " or ".join(sorted(tags.needs_targets))
        found.append(Reason("needs_targets", f"it works on {wanted} targets, and the request names none"))
    if tags.needs_history and history is None:
        text = "it needs the training history: pass history=, the FitLog that task.fit returned"
        found.append(Reason("needs_history", text))
    if tags.needs_inputs and not task.has_inputs:
        found.append(Reason("needs_inputs", f"it edits inputs, and task '{task.name}' has none that can be edited"))
    if tags.needs_input_graph and task.reads_structure(model) is False:
        found.append(Reason("needs_input_graph", "this task has no input graph"))
    if tags.needs_independent_examples and not task.independent_examples:
        text = "the training examples of a graph read each other's edges, so that shards of them are not independent"
        found.append(Reason("needs_independent_examples", text))
    if model is not None and not (tags.makes_model is not None and isinstance(model, tags.makes_model)):
        found += _unmet_by_model(tags, task, request, model)
    return found


def _unmet_by_model(tags: Tags, task: Task, request: DeletionRequest, model: nn.Module) -> list[Reason]:
    found, name = [], type(model).__name__
    if isinstance(model, Ensemble) and not tags.serves_ensembles:
        found.append(Reason("serves_ensembles", "the served model is an ensemble of shards; use the method that made it"))
    if tags.needs_model is not None and not isinstance(model, tags.needs_model):
        text = f"it works on the equations of {tags.needs_model.__name__} alone, and the model is a {name}"
        found.append(Reason("needs_model", text))
    if tags.needs_entity_rows and not has_entity_rows(model):
        found.append(Reason("needs_entity_rows", f"{name} does not say which rows belong to an entity (entity_rows())"))
    elif tags.needs_modality_rows and set(request.kinds) == {"modality"} and not _has_rows_of(model, request):
        text = (
            f"{name} has no rows that belong to the items' {' or '.join(request.modalities)}: choose 'unlink', which takes the "
            f"features out of the input, or 'finetune', which trains on without them"
        )
        found.append(Reason("needs_modality_rows", text))
    if tags.needs_gradients and next(model.parameters(), None) is None:
        text = f"{name} has no parameters to train: use 'retrain', or a method for models in closed form"
        found.append(Reason("needs_gradients", text))
    if tags.needs_layers and not task.layer_names(model):
        found.append(Reason("needs_layers", f"no layer was found in {name}: pass layers=[...] to the task"))
    return found


def _has_rows_of(model: nn.Module, request: DeletionRequest) -> bool:
    blocks = model.entity_rows().values() if has_entity_rows(model) else ()
    return any(block.modality in request.modalities for kind in blocks for block in kind)
