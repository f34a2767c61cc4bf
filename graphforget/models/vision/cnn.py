"""A small convolutional network."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.exceptions import InputError


class SmallCNN(nn.Module):
    """Two 3 x 3 convolutions, each followed by ReLU and 2 x 2 max pooling, then one linear layer.

    Args:
        in_channels: Colour channels.
        num_classes: Width of the output.
        image_size: Height and width of the (square) images, in pixels, at least 4.
        width: Channels of the first convolution; the second has twice as many.
        dropout: Probability of dropping an input of the linear layer in training.
        batch_norm: Normalise after each convolution.

    Raises:
        InputError: A size is too small, or dropout not in [0, 1).
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int = 8,
        width: int = 16,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if min(in_channels, num_classes, width) < 1 or image_size < 4:
            raise InputError(
                f"in_channels, num_classes and width must be at least 1 and image_size at least 4, got "
                f"{in_channels}, {num_classes}, {width} and {image_size}."
            )
        if not 0.0 <= dropout < 1.0:
            raise InputError(f"dropout is a probability in [0, 1), got {dropout}.")
        self.in_channels, self.num_classes, self.image_size = in_channels, num_classes, image_size
        self.width, self.dropout, self.batch_norm = width, dropout, batch_norm
        self.convs = nn.ModuleList([nn.Conv2d(in_channels, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)])
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) if batch_norm else nn.Identity() for c in (width, 2 * width))
        self.lin = nn.Linear(2 * width * (image_size // 4) ** 2, num_classes)

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "in_channels": self.in_channels,
            "num_classes": self.num_classes,
            "image_size": self.image_size,
            "width": self.width,
            "dropout": self.dropout,
            "batch_norm": self.batch_norm,
        }

    def layer_names(self) -> list[str]:
        """The convolutions and the linear layer, in execution order."""
        return ["convs.0", "convs.1", "lin"]

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator."""
        for module in (*self.convs, *self.norms, self.lin):
            if not isinstance(module, nn.Identity):
                module.reset_parameters()  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """[n, in_channels, image_size, image_size] to [n, num_classes].

        Raises:
            InputError: Another shape.
        """
        expected = (self.in_channels, self.image_size, self.image_size)
        if tuple(x.shape[1:]) != expected:
            raise InputError(f"images must be [n, {expected[0]}, {expected[1]}, {expected[2]}], got {tuple(x.shape)}.")
        for conv, norm in zip(self.convs, self.norms):
            x = F.max_pool2d(norm(conv(x)).relu(), 2)
        return self.lin(F.dropout(x.flatten(1), self.dropout, self.training))
