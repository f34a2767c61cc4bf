"""What a model's outputs mean: the tensor among what it returns, logits or probabilities, one column per class.

Losses, distances and verdicts read logits. Probabilities that pass for logits go through a second softmax: training stalls, every
distance to gold shrinks, and verdicts flatter. So the first outputs of a model are looked at, and what looks like probabilities
must be declared (``outputs="probabilities"``, or ``"logits"`` where it only looks so).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest

Declared = Literal["logits", "probabilities"]
_ENOUGH = 12  # numbers; that so many logits all lie between 0 and 1 is no chance
_SUM = 1e-3


def check_declared(outputs: str | None) -> Declared | None:
    """A declaration of what outputs are.

    Raises:
        InputError: Neither of the two words.
    """
    if outputs not in (None, "logits", "probabilities"):
        raise InputError(f"outputs={outputs!r} is unknown: {nearest(str(outputs), ['logits', 'probabilities'])}")
    return outputs  # type: ignore[return-value]


def tensor_of(outputs: Any, rows: int, what: str) -> Tensor:
    """The tensor of outputs among what a model returned.

    Args:
        outputs: A tensor; an object or mapping with ``logits``; a tuple, list or mapping with one tensor of ``rows`` rows.
        rows: Examples that were asked for.
        what: The call, for messages.

    Raises:
        InputError: No tensor, or several that could be meant.
    """
    if isinstance(outputs, Tensor):
        return outputs
    named = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(named, Tensor):
        return named
    parts = list(outputs.values()) if isinstance(outputs, Mapping) else outputs
    if isinstance(parts, (tuple, list)):
        found = [part for part in parts if isinstance(part, Tensor) and part.dim() and part.size(0) == rows]
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"{what} returns {type(outputs).__name__} with {len(found)} tensors of {rows} rows, so it is not clear which one "
            f"holds the outputs: return one, or a mapping with 'logits'."
        )
    raise InputError(f"{what} must return a tensor (or an object with .logits), got {type(outputs).__name__}.")


def meaning(outputs: Tensor, declared: Declared | None, what: str) -> Declared:
    """Whether outputs are logits or probabilities.

    Args:
        outputs: [n], [n, 1] (a binary outcome) or [n, C].
        declared: What the caller says, or None.
        what: The model, for messages.

    Raises:
        InputError: Undeclared outputs that look like probabilities, or declared probabilities that are none.
    """
    if declared == "logits":
        return "logits"
    values = outputs.detach()
    values = values[~values.isnan()] if values.dim() == 1 else values[~values.isnan().any(-1)]
    inside = values.numel() > 0 and bool((values >= 0).all()) and bool((values <= 1).all())
    several = values.dim() > 1 and values.size(-1) > 1
    sums = several and bool(((values.sum(-1) - 1).abs() < _SUM).all())
    if declared == "probabilities":
        if values.numel() and not (inside and (sums or not several)):
            raise InputError(
                f"outputs='probabilities' was declared, but the outputs of {what} "
                f"{'do not sum to one' if inside else 'are not between 0 and 1'}: return logits, or probabilities."
            )
        return "probabilities"
    if inside and values.numel() >= _ENOUGH:
        kind = "probabilities (rows that sum to one)" if sums else "between 0 and 1, as a sigmoid gives them"
        advice = "or say outputs='probabilities'" if sums or not several else "one column per class"
        raise InputError(
            f"the outputs of {what} are {kind}, and read as logits they would mean something else: return what stands before the "
            f"last softmax or sigmoid, {advice}; outputs='logits' if they are logits all the same."
        )
    return "logits"


def class_logits(outputs: Tensor, kind: Declared, num_classes: int, what: str) -> Tensor:
    """Logits [n, C] of classes.

    Args:
        outputs: [n, C], or [n, 1] or [n] for two classes: that of class 1.
        kind: From :func:`meaning`.
        num_classes: Classes of the data.
        what: The model, for messages.

    Raises:
        InputError: Fewer columns than classes.
    """
    if outputs.dim() == 1 or outputs.size(-1) == 1:
        one = outputs.reshape(-1)
        if num_classes > 2:
            raise InputError(
                f"{what} returns one number per example, and the data has {num_classes} classes: return one per class."
            )
        if kind == "probabilities":
            one = torch.logit(one.clamp(1e-7, 1 - 1e-7))
        return torch.stack([torch.zeros_like(one), one], -1)
    if outputs.size(-1) < num_classes:
        raise InputError(
            f"{what} returns {outputs.size(-1)} columns, and y has classes up to {num_classes - 1}: give y=-1 where the class is "
            f"not known (or num_classes= for the data), or a model with {num_classes} outputs."
        )
    return outputs if kind == "logits" else outputs.clamp_min(1e-12).log()


def binary_logits(outputs: Tensor, kind: Declared) -> Tensor:
    """Logits [n] of a binary outcome, from [n] or [n, 1]."""
    one = outputs.reshape(-1) if outputs.dim() == 2 and outputs.size(-1) == 1 else outputs
    return torch.logit(one.clamp(1e-7, 1 - 1e-7)) if kind == "probabilities" else one
