"""Handwritten digits (scikit-learn); no download."""

from __future__ import annotations

import torch
from torch import Tensor

from graphforget.base import TensorData
from graphforget.datasets.check import check_task
from graphforget.datasets.splits import stratified


def pixels() -> tuple[Tensor, Tensor]:
    """1,797 images [N, 64] in 0..1 and their labels (Alpaydin and Kaynak, UCI, 1998)."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return torch.from_numpy(x / 16.0).float(), torch.from_numpy(y).long()


def digits_images(*, task: str | None = None, seed: int = 0) -> TensorData:
    """Handwritten digits as images [1797, 1, 8, 8] in 0..1, split 60 / 20 / 20 by seed, stratified.

    Args:
        task: ``"image_classification"``.
        seed: Seed of the split.
    """
    check_task("digits_images", task, ("image_classification",))
    x, y = pixels()
    return TensorData.create(x.view(-1, 1, 8, 8), y, stratified(y, seed=seed), name="digits_images")
