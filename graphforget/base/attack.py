"""What an attack says about itself.

An attack receives numbers that were measured on models (confidences, embeddings) and never makes or trains a model:
who supplies reference models, and at what cost, stays visible to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from graphforget.exceptions import InputError

__all__ = ["Attack", "AttackRecord"]


class Attack(Protocol):
    """A function of per-element statistics; returns per-element scores or named figures. Higher = more exposed."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True)
class AttackRecord:
    """Declaration of one attack.

    Attributes:
        name: Key in tables.
        receives: What must be measured beforehand, in the order of the arguments.
        source: The paper.
        description: One sentence on what success means.
        warning: What the attack cannot show, or ``""``.

    Raises:
        InputError: If a field is empty.
    """

    name: str
    receives: tuple[str, ...]
    source: str
    description: str
    warning: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "receives", "source", "description"):
            if not getattr(self, field):
                raise InputError(f"An attack record needs a non-empty {field}.")
