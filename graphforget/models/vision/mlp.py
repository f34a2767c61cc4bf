"""A multi-layer perceptron for classification or regression."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.exceptions import InputError


class MLP(nn.Module):
    """Linear layers with ReLU and dropout between them.

    Args:
        in_features: Numbers per sample; samples of more than one dimension are flattened.
        hidden: Width of the hidden layer, or of each of them.
        num_classes: Width of the output (1 for regression).
        dropout: Probability of dropping a hidden unit in training.

    Raises:
        InputError: A width is not positive, or dropout not in [0, 1).
    """

    def __init__(self, in_features: int, hidden: int | Sequence[int] = 64, num_classes: int = 10, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [in_features, *([hidden] if isinstance(hidden, int) else hidden), num_classes]
        if min(widths) < 1:
            raise InputError(f"in_features, hidden and num_classes must be at least 1, got {widths}.")
        if not 0.0 <= dropout < 1.0:
            raise InputError(f"dropout is a probability in [0, 1), got {dropout}.")
        self.in_features, self.hidden, self.num_classes, self.dropout = in_features, widths[1:-1], num_classes, dropout
        self.lins = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "in_features": self.in_features,
            "hidden": list(self.hidden),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
        }

    def layer_names(self) -> list[str]:
        """The linear layers, in execution order."""
        return [f"lins.{i}" for i in range(len(self.lins))]

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        for lin in self.lins:
            lin.reset_parameters()  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """[n, ...] of ``in_features`` numbers per sample to [n, num_classes].

        Raises:
            InputError: Another number of features.
        """
        x = x.flatten(1)
        if x.size(1) != self.in_features:
            raise InputError(f"each sample must hold {self.in_features} numbers, got {x.size(1)}.")
        for lin in self.lins[:-1]:
            x = F.dropout(lin(x).relu(), self.dropout, self.training)
        return self.lins[-1](x)
