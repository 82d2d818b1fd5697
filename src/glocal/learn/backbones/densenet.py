"""DenseNet: every layer of a block receives the feature maps of all before it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level
from glocal.learn.weights import load_if_given

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BOTTLENECK = 4


class DenseLayer(nn.Module):
    """One layer ``H``: normalise, rectify, 1x1 to ``4 k`` channels, likewise, 3x3 to ``k``.

    Args:
        width: channels of all maps before it.
        growth: ``k``, the growth rate.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        inner = _BOTTLENECK * growth
        self.layers = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """All maps before it, and its own: ``(b, width + growth, h, w)``."""
        return torch.cat([x, self.layers(x)], dim=1)


class DenseNet(Backbone):
    """DenseNet-BC (Huang, Liu, van der Maaten and Weinberger, 2017).

    Layer ``l`` of a block computes ``x_l = H([x_0, x_1, ..., x_(l-1)])``. Between blocks, a
    transition halves channels (1x1 convolution) and sides (average pooling).

    Deviations: none known in the sizes 121, 169 and 201; the classifier is not part of it.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]]
    growth: ClassVar[int] = 32
    stem: ClassVar[int] = 64

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        width = self.stem
        parts: list[nn.Module] = [
            nn.Conv2d(3, width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        stages, levels = [], []
        # An average pooling moves the centre of the first cell by half a cell of its input.
        stride, offset = 4, 0.5
        for number, count in enumerate(self.layers):
            if number:
                parts += _transition(width)
                width, offset, stride = width // 2, offset + stride / 2, 2 * stride
            for _ in range(count):
                parts.append(DenseLayer(width, self.growth))
                width += self.growth
            if number == len(self.layers) - 1:
                parts += [nn.BatchNorm2d(width), nn.ReLU()]
            if number:  # the first block has stride 4, which no head uses
                stages.append(nn.Sequential(*parts))
                levels.append(Level(stride, width, offset))
                parts = []
        self.stages, self.levels = nn.ModuleList(stages), tuple(levels)
        for name, values in (("mean", _MEAN), ("spread", _SPREAD)):
            shaped = torch.tensor(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, shaped, persistent=False)
        load_if_given(self, weights)

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] by ImageNet's mean and spread."""
        return (image - self.get_buffer("mean")) / self.get_buffer("spread")


class DenseNetTiny(DenseNet):
    """The preset for small data: 0.1 M parameters."""

    layers, growth, stem = (2, 3, 4, 4), 8, 16


class DenseNet121(DenseNet):
    """7.0 M parameters, 8.0 M with a classifier of 1,000 classes."""

    layers = (6, 12, 24, 16)


class DenseNet169(DenseNet):
    """12.5 M parameters, 14.1 M with a classifier of 1,000 classes."""

    layers = (6, 12, 32, 32)


class DenseNet201(DenseNet):
    """18.1 M parameters, 20.0 M with a classifier of 1,000 classes."""

    layers = (6, 12, 48, 32)


def _transition(width: int) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width // 2, 1, bias=False),
        nn.AvgPool2d(2),
    ]
