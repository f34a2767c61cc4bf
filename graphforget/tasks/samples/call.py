"""Calling a model on samples: one table or named inputs in, class scores out; what does not fit is said in a sentence."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from graphforget.base import device_of
from graphforget.exceptions import InputError
from graphforget.registry import nearest


def class_scores(model: nn.Module, inputs: Tensor | Mapping[str, Tensor], num_classes: int) -> Tensor:
    """Scores of every class for some samples, [n, C] with C of at least ``num_classes``.

    Floating-point inputs are given in the model's own precision, integers and booleans as they are. Named inputs become the
    keywords of the model's forward. Outputs are a tensor, or an object or mapping with ``logits``.

    Args:
        model: Any module.
        inputs: [n, ...], or several such tables by name.
        num_classes: Classes of the data.

    Raises:
        InputError: The model cannot take these inputs, or returns no scores of all classes.
    """
    what, device = type(model).__name__, device_of(model)
    exact = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)

    def given(table: Tensor) -> Tensor:
        return table.to(device, exact) if exact is not None and table.is_floating_point() else table.to(device)

    try:
        if isinstance(inputs, Mapping):
            _check_keywords(model, list(inputs))
            outputs = model(**{name: given(table) for name, table in inputs.items()})
            count = len(next(iter(inputs.values())))
        else:
            _check_single(model)
            outputs, count = model(given(inputs)), len(inputs)
    except RuntimeError as error:
        tables = inputs.values() if isinstance(inputs, Mapping) else [inputs]
        kinds = {str(table.dtype).removeprefix("torch.") for table in tables if not table.is_floating_point()}
        if kinds and any(word in str(error) for word in ("dtype", "scalar type", "DoubleTensor", "not implemented for")):
            raise InputError(
                f"{what} cannot compute with inputs of type {', '.join(sorted(kinds))} ({str(error).splitlines()[0]}): give them "
                f"as the model was trained on them, for example x.float() / 255 for images, or x.long() for token ids."
            ) from None
        raise
    scores = _scores_of(outputs)
    if scores is None or scores.dim() != 2 or scores.size(0) != count:
        got = f"shape {list(scores.shape)}" if scores is not None else type(outputs).__name__
        raise InputError(
            f"{what} must return one row of class scores per sample, [{count}, C], or an object with .logits; got {got}."
        )
    if scores.size(1) < num_classes:
        raise InputError(
            f"{what} scores {scores.size(1)} classes, but the data have {num_classes}: number the labels from 0 to "
            f"{scores.size(1) - 1}, as in training."
        )
    return scores


def _scores_of(outputs: Any) -> Tensor | None:
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", outputs)
    return found if isinstance(found, Tensor) else None


def _parameters(model: nn.Module) -> list[inspect.Parameter]:
    return list(inspect.signature(model.forward).parameters.values())


def _check_keywords(model: nn.Module, names: list[str]) -> None:
    takes = _parameters(model)
    named = [p.name for p in takes if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind == p.VAR_KEYWORD for p in takes):
        for name in names:
            if name not in named:
                raise InputError(f"forward of {type(model).__name__} takes no input '{name}': {nearest(name, named)}")
    needed = [p.name for p in takes if p.name in named and p.default is p.empty and p.name not in names]
    if needed:
        raise InputError(f"forward of {type(model).__name__} needs '{needed[0]}', but the data have {', '.join(names)}.")


def _check_single(model: nn.Module) -> None:
    takes = _parameters(model)
    needed = [
        p.name for p in takes if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if len(needed) > 1:
        inputs = ", ".join(f"'{name}': ..." for name in needed)
        raise InputError(
            f"forward of {type(model).__name__} needs {len(needed)} inputs, {' and '.join(needed)}, but the data have one: give "
            f"TensorData.create({{{inputs}}}, y, splits)."
        )
