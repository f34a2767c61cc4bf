"""Small models for images and tables of features."""

from __future__ import annotations

from graphforget.models.vision.cnn import SmallCNN
from graphforget.models.vision.mlp import MLP

__all__ = ["MLP", "SmallCNN"]
