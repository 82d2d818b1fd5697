"""LSNet: a large kernel sees, and says how a small kernel sums up at each place."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.attention import attend, like, tokens
from glocal.learn.backbones.pyramid import Pyramid, Reduce, each_channel
from glocal.learn.blocks.neighbourhoods import zero_padded
from glocal.learn.graft import Residual

_LARGE, _SMALL, _SHARE, _KEY = 7, 3, 8, 16


class LsConv(nn.Module):
    """Large-small convolution.

    Large-kernel perception: ``w = GN(P3 P2 relu(L relu(P1 x)))`` with 1x1 convolutions ``P`` and a
    7x7 convolution ``L`` of each channel, which gives each place 9 numbers for each of
    ``width / 8`` groups. Small-kernel aggregation: ``y_i = sum over the 3x3 neighbours j of
    w_i,j x_j``, where 8 channels share one ``w``. The result is ``BN(y) + x``.

    Args:
        width: channels, a multiple of 8.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner, groups = width // 2, width // _SHARE
        self.see = nn.Sequential(
            _normed(nn.Conv2d(width, inner, 1, bias=False)),
            nn.ReLU(),
            _normed(each_channel(inner, _LARGE, bias=False)),
            _normed(nn.Conv2d(inner, inner, 1, bias=False)),
            nn.ReLU(),
            nn.Conv2d(inner, _SMALL**2 * groups, 1),
            nn.GroupNorm(groups, _SMALL**2 * groups),
        )
        self.norm = nn.BatchNorm2d(width)

    def aggregate(self, x: Tensor, weights: Tensor) -> Tensor:
        """Sum up neighbours ``(b, c, h, w)`` by weights ``(b, 9 c / 8, h, w)``."""
        grouped = weights.unflatten(1, (-1, _SMALL**2))
        summed = torch.zeros_like(x)
        for number, neighbour in enumerate(zero_padded(x, _SMALL)):
            summed = summed + neighbour * grouped[:, :, number].repeat_interleave(_SHARE, dim=1)
        return summed

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        found: Tensor = self.norm(self.aggregate(x, self.see(x))) + x
        return found


class _DepthMixer(nn.Module):
    """A 3x3 and a 1x1 convolution of each channel, and the input, added and normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.large = _normed(each_channel(width, 3, bias=False))
        self.small = each_channel(width, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(self.large(x) + self.small(x) + x)
        return found


class _Squeeze(nn.Module):
    """Squeeze and excitation with a quarter of the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(8, (width // 4 + 4) // 8 * 8)
        self.gate = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean(dim=(2, 3))).sigmoid()[:, :, None, None]


class _Attention(nn.Module):
    """Attention with narrow keys; queries pass a 3x3 convolution first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.inner = heads, heads * _KEY
        self.qkv = _normed(nn.Conv2d(width, 2 * self.inner + width, 1, bias=False))
        self.local = _normed(each_channel(self.inner, 3, bias=False))
        self.out = nn.Sequential(nn.ReLU(), *_normed(nn.Conv2d(width, width, 1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[1]
        query, key, value = self.qkv(x).split([self.inner, self.inner, width], dim=1)
        query = self.local(query)
        found = attend(tokens(query), tokens(key), tokens(value), self.heads)
        result: Tensor = self.out(like(found, x))
        return result


class _Doubled(nn.Module):
    """A map of twice the stride, interpolated to the stride of the map before it."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        coarse = functional.interpolate(self.layers(x), scale_factor=2.0, mode="bilinear")
        return coarse[:, :, : x.shape[2], : x.shape[3]]


class LsNet(Pyramid):
    """LSNet (Wang, Chen, Lin, Han and Ding, 2025).

    Stages of strides 8, 16, 32 and 64. Even layers of a stage are a 3x3 convolution of each
    channel and squeeze-and-excitation, odd ones a large-small convolution (`LsConv`), in the last
    stage attention; a feed-forward network of twice the width follows each.

    Deviations: attention has no learned biases of offsets, which would fit one size of images
    only; the last feature map, of stride 64, is interpolated to 32, since glocal's images are
    multiples of 32 pixels.
    """

    widths: ClassVar[tuple[int, ...]]
    depths: ClassVar[tuple[int, ...]]
    heads: ClassVar[int] = 4

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        first = self.widths[0]
        stem = nn.Sequential(
            *_normed(Reduce(3, first // 4, 3, 2, 1, bias=False)),
            nn.ReLU(),
            *_normed(Reduce(first // 4, first // 2, 3, 2, 1, bias=False)),
            nn.ReLU(),
        )
        down: list[nn.Module] = list(_normed(Reduce(first // 2, first, 3, 2, 1, bias=False)))
        stages: list[nn.Module] = [stem]
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                before = self.widths[stage - 1]
                kind = nn.Conv2d if stage == len(self.widths) - 1 else Reduce
                down = [
                    *_normed(kind(before, before, 3, 2, 1, groups=before, bias=False)),
                    *_normed(nn.Conv2d(before, width, 1, bias=False)),
                ]
            layers = [self._layer(stage, number, width) for number in range(depth)]
            stages.append(nn.Sequential(*down, *layers))
        last = _Doubled(stages.pop())
        stages[-1] = nn.Sequential(stages[-1], last)
        self.assemble(stages, [first // 2, *self.widths[:2], self.widths[-1]], weights)
        # Interpolation takes the mean of the centres of two cells, which are 64 pixels apart.
        *fine, coarse = self.levels
        self.levels = (*fine, replace(coarse, offset=coarse.offset - coarse.stride / 2))

    def _layer(self, stage: int, number: int, width: int) -> nn.Module:
        if number % 2 == 0:
            mixer: nn.Module = nn.Sequential(_DepthMixer(width), _Squeeze(width))
        elif stage < len(self.widths) - 1:
            mixer = LsConv(width)
        else:
            mixer = Residual(_Attention(width, self.heads))
        feed = nn.Sequential(
            *_normed(nn.Conv2d(width, 2 * width, 1, bias=False)),
            nn.ReLU(),
            *_normed(nn.Conv2d(2 * width, width, 1, bias=False)),
        )
        return nn.Sequential(mixer, Residual(feed))


class LsNetTiny(LsNet):
    """The preset for small data: 0.1 M parameters."""

    widths, depths = (16, 24, 32, 48), (1, 2, 2, 2)


class LsNetT(LsNet):
    """LSNet-T: 11.4 M parameters with a classifier of 1,000 classes."""

    widths, depths = (64, 128, 256, 384), (0, 2, 8, 10)


class LsNetS(LsNet):
    """LSNet-S: 16.1 M parameters with a classifier of 1,000 classes."""

    widths, depths = (96, 192, 320, 448), (1, 2, 8, 10)


class LsNetB(LsNet):
    """LSNet-B: 23.2 M parameters with a classifier of 1,000 classes."""

    widths, depths = (128, 256, 384, 512), (4, 6, 8, 10)


def _normed(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))
