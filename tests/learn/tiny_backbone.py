"""A backbone small enough for tests, with uneven padding as EfficientNet-Lite has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level


class Tiny(Backbone):
    """Three levels at strides 8, 16 and 32."""

    def __init__(self, widths: tuple[int, int, int] = (8, 12, 16)) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stages = nn.ModuleList(
            [
                nn.Sequential(_half(3, 6), _half(6, fine), _half(fine, fine)),
                nn.Sequential(_half(fine, middle), nn.Conv2d(middle, middle, 1)),
                _half(middle, coarse),
            ]
        )
        self.levels = (Level(8, fine, 7.5), Level(16, middle, 15.5), Level(32, coarse, 31.5))

    def normalise(self, image: Tensor) -> Tensor:
        return image * 2 - 1


def _half(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.Conv2d(width, out, 3, stride=2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(),
    )


def random_maps(
    levels: tuple[Level, ...], batch: int = 2, height: int = 96, width: int = 128
) -> list[Tensor]:
    """Feature maps like those of a backbone with rectifiers, for images of this size."""
    return [
        torch.rand(batch, level.width, height // level.stride, width // level.stride)
        for level in levels
    ]
