"""What an attack says about itself, and how one that others wrote is run.

An attack receives numbers that were measured on models (confidences, embeddings) and never makes or trains a model:
who supplies reference models, and at what cost, stays visible to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from graphforget.exceptions import InputError
from graphforget.registry import nearest

__all__ = ["Attack", "AttackRecord", "Received", "received"]

QUANTITIES = ("outputs", "targets", "confidences", "margins", "elements")
SUBSETS = ("deleted", "retained", "hop1", "hop2", "far", "twins", "test", "test_forget")
SOURCES = ("gold", "original")


class Attack(Protocol):
    """A function of per-element statistics; returns per-element scores or named figures. Higher = more exposed."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True)
class Received:
    """One argument of an attack that ``evaluate`` runs.

    Attributes:
        source: ``""``, the attacked model; ``"gold"``, all gold models but the attacked one; ``"original"``, the model before.
        quantity: ``outputs`` [n, ...], ``confidences`` [n] in the label, ``margins`` [n] (their logits), ``targets`` [n], or
            ``elements`` [n] or [n, 2], the ids. Of gold models [k, n, ...].
        subset: Of which elements; see :class:`~graphforget.base.metric.Measured`.
    """

    source: str
    quantity: str
    subset: str


def received(text: str) -> Received:
    """``"gold confidences of deleted"`` as a :class:`Received`.

    Raises:
        InputError: Written otherwise.

    Example:
        >>> received("gold margins of test")
        Received(source='gold', quantity='margins', subset='test')
    """
    what, _, subset = text.partition(" of ")
    source, _, quantity = what.rpartition(" ")
    for word, known in ((quantity, QUANTITIES), (subset, SUBSETS), (source, ("", *SOURCES))):
        if word not in known:
            raise InputError(
                f"an attack receives 'confidences of deleted', 'gold margins of test' and the like, got '{text}': "
                f"{nearest(word, [one for one in known if one])}"
            )
    if source and quantity in ("targets", "elements"):
        raise InputError(f"an attack receives '{quantity} of {subset}', which are the same for every model; got '{text}'.")
    return Received(source, quantity, subset)


@dataclass(frozen=True)
class AttackRecord:
    """Declaration of one attack.

    Attributes:
        name: Key in tables.
        receives: What must be measured beforehand, in the order of the arguments. With ``compute``, each as
            :func:`received` reads it: ``"confidences of deleted"``, ``"gold margins of test"``.
        source: The paper.
        description: One sentence on what success means.
        warning: What the attack cannot show, or ``""``.
        compute: The attack as ``evaluate(result, attacks=["name"])`` runs it on every model: from what it receives to one figure
            or several named ones. Higher = more exposed, and the same attack on gold is what to compare with. It may raise
            :class:`~graphforget.InputError` where it cannot be run; the report then says so.

    Raises:
        InputError: If a field is empty, or ``compute`` receives what is not measured.

    Example:
        >>> def threshold(deleted, test):
        ...     return float((deleted.mean() - test.mean()))
        >>> what = ("confidences of deleted", "confidences of test")
        >>> AttackRecord("mean_gap", what, "ours", "Deleted elements are surer than unseen ones.", compute=threshold).name
        'mean_gap'
    """

    name: str
    receives: tuple[str, ...]
    source: str
    description: str
    warning: str = ""
    compute: Callable[..., float | Mapping[str, float]] | None = None

    def __post_init__(self) -> None:
        for field in ("name", "receives", "source", "description"):
            if not getattr(self, field):
                raise InputError(f"An attack record needs a non-empty {field}.")
        if self.compute is not None:
            for text in self.receives:
                received(text)
