"""Terminator: coordinate networks make kernels as large as the map, and features adapt them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.pyramid import Pyramid, Reduce, each_channel

_FREQUENCY = 6.0


class SlowNetwork(nn.Module):
    """An implicit network: from coordinates in [-1, 1] to the numbers of a kernel there.

    ``W(p) = L3 sin(L2 sin(omega L1 p))``.

    Args:
        width: channels of the kernel.
        hidden: units of the two hidden layers.
    """

    def __init__(self, width: int, hidden: int = 16) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, width)

    def at(self, places: Tensor) -> Tensor:
        """From coordinates ``(..., 2)``, y and x, to ``(..., width)``."""
        inner = torch.sin(_FREQUENCY * self.first(places))
        found: Tensor = self.last(torch.sin(self.second(inner)))
        return found

    def forward(self, height: int, width: int) -> Tensor:
        """A kernel of this size: ``(channels, height, width)``."""
        like = self.last.weight
        y, x = (
            (torch.arange(side, device=like.device, dtype=like.dtype) * 2 + 1) / side - 1
            for side in (height, width)
        )
        places = torch.stack([y[:, None].expand(-1, width), x[None].expand(height, -1)], dim=-1)
        return self.at(places).permute(2, 0, 1)


class GlobalOperator(nn.Module):
    """HyperZZW with a kernel as large as the map: ``(Z * W) * Z``, element by element.

    ``Z * W`` is the kernel that depends on the context, whatever the size of the map.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.slow = SlowNetwork(width)

    def kernel(self, z: Tensor) -> Tensor:
        """``Z * W``: ``(b, width, h, w)``."""
        return z * self.slow(*z.shape[2:])

    def forward(self, z: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        return self.kernel(z) * z


class LocalOperator(nn.Module):
    """HyperZZW with a small kernel: ``W * mean(Z)`` slides over ``Z``, channel by channel.

    The mean is one number for each channel of an image, and so is multiplied after the convolution.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.slow, self.side = SlowNetwork(width), side

    def forward(self, z: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        kernel = self.slow(self.side, self.side)[:, None]
        found = functional.conv2d(z, kernel, padding=self.side // 2, groups=len(kernel))
        return found * z.mean(dim=(2, 3), keepdim=True)


class _Gated(nn.Module):
    """Interaction of channels and of places: gates of the means, ``Z * sigmoid(...)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = nn.Linear(width, width)
        self.places = SlowNetwork(1)

    def forward(self, z: Tensor) -> Tensor:
        channels = self.channels(z.mean(dim=(2, 3))).sigmoid()[:, :, None, None]
        places = (self.places(*z.shape[2:]) * z.mean(dim=1, keepdim=True)).sigmoid()
        return z * channels * places


class SlowFastBlock(nn.Module):
    """A slow-fast block: branches side by side, standardised and compressed; no residual link.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                GlobalOperator(width),
                LocalOperator(width, 3),
                LocalOperator(width, 5),
                _Gated(width),
                each_channel(width, 3),
            ]
        )
        joined = len(self.branches) * width
        self.standardise = nn.BatchNorm2d(joined)
        self.compress = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(joined, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, z: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        joined = torch.cat([branch(z) for branch in self.branches], dim=1)
        found: Tensor = self.compress(self.standardise(joined))
        return found


class Terminator(Pyramid):
    """Terminator (Zhang, 2024): slow-fast blocks without residual links.

    HyperZZW connects a slow network, which makes hyper-kernels ``W``, with the features ``Z`` of a
    fast one: ``W' = Z * W`` element by element, and ``W'`` is applied to ``Z``, place by place with
    a kernel as large as the map (`GlobalOperator`) or as a sliding window (`LocalOperator`).

    Deviations: five branches of the paper's nine (its recursive gates and the like are left out);
    features are standardised by batch normalisation, not also over groups of instances; the slow
    network has no loss of its own; convolutions of stride 2 between stages make it a pyramid, where
    the paper works on all pixels of small images. So no count of the paper can be compared.
    """

    widths: ClassVar[tuple[int, ...]] = (48, 96, 160, 256)
    depths: ClassVar[tuple[int, ...]] = (2, 2, 4, 2)

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for number, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            down = [Reduce(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)]
            if not number:
                down += [nn.GELU(), Reduce(width, width, 3, 2, 1, bias=False)]
                down += [nn.BatchNorm2d(width)]
            stages.append(nn.Sequential(*down, *(SlowFastBlock(width) for _ in range(depth))))
            before = width
        self.assemble(stages, self.widths, weights)


class TerminatorTiny(Terminator):
    """The preset for small data: 0.1 M parameters."""

    widths, depths = (16, 24, 32, 48), (1, 1, 1, 1)
