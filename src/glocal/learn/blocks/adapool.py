"""adaPool: pooling by a learned blend of two exponential kernels, which can be undone."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Block, Role


class AdaPool(Block):
    """Adaptive exponential pooling (Stergiou and Poppe, 2022).

    Within each window ``R`` two kernels of weights sum to 1. ``eM`` weights the activations ``a_i``
    by ``exp(a_i)``; ``eDSCW`` weights by ``exp(DSC(a_i, mean))``, the Dice-Sørensen coefficient ``2
    |a_i m| / (a_i^2 + m^2)`` of an activation and the window's mean. The result is ``beta * eDSCW +
    (1 - beta) * eM`` with a learned ``beta`` in [0, 1].

    Unpooling spreads each pooled value over its window by the same weights, so that the mean of
    what it spreads is the value itself.

    Deviations: ``beta`` is learned for each channel and not for each place, so that feature maps of
        any size fit; it is clamped, as in the paper, to [0, 1]. The coefficient is taken for each
        channel by itself.

    Args:
        width: channels.
        out: as `width`.
        stride: side of the windows, 2.
    """

    role: ClassVar[Role] = "pool"
    strides: ClassVar[tuple[int, ...]] = (2,)

    def __init__(self, width: int, *, out: int | None = None, stride: int = 2) -> None:
        super().__init__(width, out=out, stride=stride)
        self.beta = nn.Parameter(torch.full((width,), 0.5))

    def weights(self, x: Tensor) -> Tensor:
        """The weights of the places of each window, ``(b, c, 4, h / 2, w / 2)``."""
        windows = _windows(x, self.stride)
        mean = windows.mean(dim=2, keepdim=True)
        coefficient = (
            2 * (windows * mean).abs() / (windows.square() + mean.square()).clamp(min=1e-8)
        )
        beta = self.beta.clamp(0, 1)[:, None, None, None]
        found: Tensor = beta * coefficient.softmax(dim=2) + (1 - beta) * windows.softmax(dim=2)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``(b, c, h, w)``; the last row and column of an odd side count twice."""
        height, width = x.shape[2:]
        if height % self.stride or width % self.stride:
            x = functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        return (self.weights(x) * _windows(x, self.stride)).sum(dim=2)

    def unpool(self, pooled: Tensor, weights: Tensor) -> Tensor:
        """Spread pooled values over their windows.

        Args:
            pooled: ``(b, c, h, w)``.
            weights: what `weights` gave for the features that were pooled.

        Returns:
            ``(b, c, 2 h, 2 w)``.
        """
        places = self.stride**2
        spread = (pooled[:, :, None] * weights * places).flatten(1, 2)
        return functional.pixel_shuffle(spread, self.stride)


def _windows(x: Tensor, side: int) -> Tensor:
    """The places of each window, ``(b, c, side^2, h / side, w / side)``."""
    parted = functional.pixel_unshuffle(x, side)
    return parted.reshape(x.shape[0], x.shape[1], side**2, *parted.shape[2:])
