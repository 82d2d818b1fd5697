"""SpaRTAN: kernels of several orders, and channels aggregated as waves."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.backbones.pyramid import Pyramid, Reduce, Scaled


class ChannelWeights(nn.Module):
    """Weights of the channels from the mean over the map, by two layers.

    Args:
        width: channels.
        inner: channels between the two layers, at least 8.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        inner = max(inner, 8)  # fewer may all be off from the start
        self.layers = nn.Sequential(
            nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``(b, width, h, w)``."""
        weighed: Tensor = x * self.layers(x.mean(dim=(2, 3), keepdim=True))
        return weighed


class SpatialMixer(nn.Module):
    """Features of two orders of a map ``z`` of half the channels, weighed and joined.

    ``z + gamma (z - mean z)`` passes through a 3x3 kernel, and through two 3x3 kernels of dilation
    2, which see 9x9 cells.

    Args:
        width: channels, a multiple of 8.
        alone: whether kernels see one channel each.
    """

    def __init__(self, width: int, *, alone: bool) -> None:
        super().__init__()
        half = width // 2
        groups = half if alone else 1
        self.enter = nn.Conv2d(width, half, 1)
        self.gamma = nn.Parameter(torch.full((half, 1, 1), 1e-5))
        self.near = nn.Sequential(*_kernel(half, 1, groups), ChannelWeights(half, half // 4))
        self.far = nn.Sequential(
            nn.Conv2d(half, half, 3, 1, 2, 2, groups, bias=False),
            *_kernel(half, 2, groups),
            ChannelWeights(half, half // 4),
        )
        self.join = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the cells of ``(b, width, h, w)``."""
        x = self.enter(x)
        x = x + self.gamma * (x - x.mean(dim=(2, 3), keepdim=True))
        mixed: Tensor = self.join(torch.cat([self.near(x), self.far(x)], dim=1))
        return mixed


class WaveMixer(nn.Module):
    """Wave-based aggregation of the channels of each cell.

    With ``theta = GELU(W1 x)``, ``a = W2 x`` and ``m`` the channel in which ``x`` is largest,
    ``f = a theta + a_m theta_m``. Neighbouring channels of ``f`` are the real and imaginary part of
    waves, each multiplied by a learned complex number, which turns and scales it. A 3x3 kernel,
    weights of the channels, and a linear layer follow.

    Args:
        width: channels, a multiple of 8.
        expansion: factor of the channels in between.
        alone: whether the kernel sees only the channels that came of one.
    """

    def __init__(self, width: int, expansion: int, *, alone: bool) -> None:
        super().__init__()
        wide = expansion * width
        self.phase, self.amplitude = nn.Conv2d(width, wide, 1), nn.Conv2d(width, wide, 1)
        self.wave = nn.Parameter(torch.randn(wide // 2, 2))
        self.after = nn.Sequential(
            *_kernel(wide, 1, width if alone else wide),
            ChannelWeights(wide, width // 4),
            nn.Conv2d(wide, width, 1),
        )

    def aggregated(self, x: Tensor) -> Tensor:
        """The turned waves, ``(b, expansion * width, h, w)``."""
        most = x.argmax(dim=1, keepdim=True)
        phase, amplitude = nn.functional.gelu(self.phase(x)), self.amplitude(x)
        found = amplitude * phase + amplitude.gather(1, most) * phase.gather(1, most)
        real, imaginary = found.unflatten(1, (-1, 2)).unbind(dim=2)
        turn, shift = self.wave[:, 0, None, None], self.wave[:, 1, None, None]
        waves = (real * turn - imaginary * shift, real * shift + imaginary * turn)
        return torch.stack(waves, dim=2).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of ``(b, width, h, w)``."""
        mixed: Tensor = self.after(self.aggregated(x))
        return mixed


class Spartan(Pyramid):
    """SpaRTAN (Pay, Baskaran, Loo, Wong and See, 2025); 3.6 M parameters, 3.8 M with a classifier.

    A block is ``x + s1 SMixer(norm(x))`` and then ``x + s2 CMixer(norm(x))``, see `SpatialMixer`
    and `WaveMixer`; ``norm`` is over channels and cells, ``s`` are factors of each channel.

    Deviations: where the paper leaves details open, the authors' code was followed; no stochastic
    depth. Weights of channels have at least eight channels between their layers. Factors start at
    1e-5, and at 0.1 in the tiny preset.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]] = (3, 3, 12, 2)
    widths: ClassVar[tuple[int, ...]] = (32, 64, 128, 256)
    expansions: ClassVar[tuple[int, ...]] = (4, 4, 2, 2)
    start: ClassVar[float] = 1e-5

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        first = self.widths[0]
        stages, before = [], first // 2
        for number, (count, width) in enumerate(zip(self.layers, self.widths, strict=True)):
            kernel, active = (2, nn.SiLU()) if number else (3, nn.GELU())
            made: list[nn.Module] = [_smaller(before, width, kernel, active)]
            for _ in range(count):
                alone, expansion = number >= 2, self.expansions[number]
                for mixer in (
                    SpatialMixer(width, alone=alone),
                    WaveMixer(width, expansion, alone=alone),
                ):
                    layers = nn.Sequential(nn.GroupNorm(1, width, eps=1e-6), mixer)
                    made.append(Scaled(layers, width, self.start))
            stages.append(nn.Sequential(*made))
            before = width
        stages[0].insert(0, _smaller(3, first // 2, 3, nn.GELU()))
        self.assemble(stages, self.widths, weights)


class SpartanTiny(Spartan):
    """The preset for small data: 0.1 M parameters."""

    layers, widths, start = (1, 1, 2, 1), (16, 24, 48, 64), 0.1
    expansions = (2, 2, 2, 2)


def _kernel(width: int, dilation: int, groups: int) -> list[nn.Module]:
    conv = nn.Conv2d(width, width, 3, 1, dilation, dilation, groups, bias=False)
    return [conv, nn.BatchNorm2d(width, eps=1e-6), nn.GELU()]


def _smaller(width: int, out: int, kernel: int, active: nn.Module) -> nn.Sequential:
    conv = Reduce(width, out, kernel, 2, (kernel - 1) // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out, eps=1e-6), active)
