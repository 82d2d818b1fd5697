"""What backbones of four stages share: levels found from their layers, and layers of channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level
from glocal.learn.weights import load_if_given

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Reduce(nn.Conv2d):
    """A convolution with a stride on the way of the features; `Pyramid` finds levels from these."""


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each cell of a feature map."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__(width, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(b, width, h, w)``."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class CellLinear(nn.Linear):
    """A linear layer at each cell of a feature map: a 1x1 convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to ``(b, out, h, w)``."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Scaled(nn.Module):
    """A residual branch ``x + gamma F(x)`` with a learned factor for each channel, or without one.

    Args:
        layers: ``F``.
        width: channels.
        start: first value of each ``gamma``; None for ``x + F(x)``.
    """

    def __init__(self, layers: nn.Module, width: int, start: float | None) -> None:
        super().__init__()
        self.layers = layers
        first = None if start is None else torch.full((width, 1, 1), start)
        self.gamma = None if first is None else nn.Parameter(first)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to ``(b, width, h, w)``."""
        found: Tensor = self.layers(x)
        return x + (found if self.gamma is None else self.gamma * found)


def each_channel(width: int, kernel: int, *, bias: bool = True) -> nn.Conv2d:
    """A convolution of each channel by itself that keeps the size of the map."""
    return nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=bias)


class Pyramid(Backbone):
    """Four stages at strides 4, 8, 16 and 32; the feature maps are those of the last three."""

    def assemble(self, stages: Sequence[nn.Module], widths: Sequence[int], weights: str) -> None:
        """Set stages and levels, and load weights if a file is given.

        Args:
            stages: the four stages, each with the layers that make its map smaller; these are
                `Reduce`, and tell strides and centres.
            widths: channels of the four feature maps.
            weights: ``none``, or a file; see `glocal.learn.weights.read_weights`.
        """
        stride, offset, levels = 1, 0.5, []
        for stage, width in zip(stages, widths, strict=True):
            for module in stage.modules():
                if isinstance(module, Reduce):
                    reach = (module.kernel_size[0] - 1) / 2 - float(module.padding[0])
                    offset += stride * reach
                    stride *= module.stride[0]
            levels.append(Level(stride, width, offset))
        # No head uses the map of stride 4.
        self.stages = nn.ModuleList([nn.Sequential(*stages[:2]), *stages[2:]])
        self.levels = tuple(levels[1:])
        for name, values in (("mean", _MEAN), ("spread", _SPREAD)):
            shaped = torch.tensor(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, shaped, persistent=False)
        load_if_given(self, weights)

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] by ImageNet's mean and spread."""
        return (image - self.get_buffer("mean")) / self.get_buffer("spread")
