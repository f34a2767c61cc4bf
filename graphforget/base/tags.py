"""Tags: what a method says of itself. Tables, selection and the contract suite read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Tags:
    """Declared facts about an unlearner.

    Attributes:
        key: Registry key.
        summary: One plain sentence of at most ten words.
        citation: Paper, or "graphforget".
        kinds: Target kinds it serves; None means any that the task knows.
        tasks: Task names it serves; None means any.
        contexts: Contexts it reads.
        reads_forget: Whether the content of forgotten examples is read at all.
        reads_retain: Whether retained examples are read.
        needs_history: Whether a FitLog is required.
        needs_layers: Whether named layers are required.
        needs_inputs: Whether editable inputs are required.
        needs_entity_rows: Whether ``model.entity_rows()`` is required.
        needs_gradients: Whether the model must have parameters to take gradients of (one solved in closed form has none).
        guarantee: ``exact``, ``certified`` or ``empirical``.
        exact_reference: For exact methods: equal to ``retrain`` or to its ``own`` preparation on retained data.
        state_after: What a second request finds: ``exact``, ``stale`` or ``recomputed`` state.
        changes_weights: Whether weights change (False: serving only).
        forgotten_rows: What the method itself does with rows of forgotten users, items and nodes: ``kept`` (the run wrapper then
            puts them back to fresh weights), ``reset``, or ``retrained`` with everything else.
        uses_gold: Whether its strength is tuned by looking at gold models (marked in tables).
    """

    key: str
    summary: str
    citation: str
    kinds: frozenset[str] | None = None
    tasks: frozenset[str] | None = None
    contexts: frozenset[str] = frozenset({"retained"})
    reads_forget: bool = True
    reads_retain: bool = True
    needs_history: bool = False
    needs_layers: bool = False
    needs_inputs: bool = False
    needs_entity_rows: bool = False
    needs_gradients: bool = False
    guarantee: Literal["exact", "certified", "empirical"] = "empirical"
    exact_reference: Literal["retrain", "own"] | None = None
    state_after: Literal["exact", "stale", "recomputed"] = "recomputed"
    changes_weights: bool = True
    forgotten_rows: Literal["kept", "reset", "retrained"] = "kept"
    uses_gold: bool = False
