"""Hard masks on weights: coordinates outside the mask stay bit-identical, whatever the optimiser does."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class HardMask:
    """Keeps every coordinate outside the mask at the value it had when the mask was made.

    Masking gradients is not enough: momentum, Adam's moments and weight decay move coordinates whose gradient is zero.
    So after every step the values outside the mask are put back and the optimiser's moments there are set to zero.

    Args:
        model: The model whose present values are the reference.
        free: By parameter name, a boolean tensor of its shape: True may move. A parameter that is not named is held.
    """

    def __init__(self, model: nn.Module, free: Mapping[str, Tensor]) -> None:
        self.held = []
        for name, parameter in model.named_parameters():
            mask = free.get(name)
            mask = torch.zeros_like(parameter, dtype=torch.bool) if mask is None else mask
            self.held.append((parameter, mask, parameter.detach().clone()))

    @torch.no_grad()
    def enforce(self, optimizer: torch.optim.Optimizer) -> None:
        """Undo what a step did outside the mask."""
        for parameter, mask, before in self.held:
            parameter.copy_(torch.where(mask, parameter, before))
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim():
                    value.masked_fill_(~mask, 0.0)

    @property
    def share(self) -> float:
        """Share of the coordinates that may move."""
        total = sum(mask.numel() for _, mask, _ in self.held)
        return sum(int(mask.sum()) for _, mask, _ in self.held) / max(total, 1)


def top_share(scores: Mapping[str, Tensor], ratio: float) -> dict[str, Tensor]:
    """The ``ratio`` of all coordinates with the highest scores, over all tensors together; at least one.

    Args:
        scores: By name, one score per coordinate.
        ratio: Share in (0, 1].

    Returns:
        Boolean tensors of the same shapes.
    """
    flat = torch.cat([score.reshape(-1) for score in scores.values()])
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    chosen[flat.topk(max(round(ratio * flat.numel()), 1)).indices] = True
    pieces = chosen.split([score.numel() for score in scores.values()])
    return {name: piece.view_as(score) for (name, score), piece in zip(scores.items(), pieces, strict=True)}
