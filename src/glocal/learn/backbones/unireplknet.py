"""UniRepLKNet: few large kernels, trained beside small dilated ones and merged into one."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from glocal.errors import LearnError
from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm, Pyramid, Reduce, Scaled
from glocal.learn.contracts import Block, Role

# The kernels beside a large one, as (side, dilation).
_BESIDE = {
    7: ((5, 1), (3, 2), (3, 3)),
    9: ((5, 1), (5, 2), (3, 3), (3, 4)),
    13: ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5)),
}


class DilatedReparam(Block):
    """The dilated re-parameterisation of a large kernel.

    ``y = BN(W * x) + sum over (k, r) of BN_kr(W_kr *_r x)``: kernels of side ``k`` with dilation
    ``r`` see sparse patterns within the large kernel. A dilated kernel is a larger one with zeros
    between its elements, so all merge into one convolution.

    Args:
        width: channels, each convolved by itself.
        out: as `width`.
        stride: 1.
        kernel: side of the large kernel.

    Raises:
        LearnError: no kernels are known beside one of this side.
    """

    role: ClassVar[Role] = "mixer"

    def __init__(
        self, width: int, *, out: int | None = None, stride: int = 1, kernel: int = 13
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if kernel not in _BESIDE:
            raise LearnError(f"a large kernel of side {kernel} is not one of {tuple(_BESIDE)}")
        self.kernel = kernel
        self.branches = nn.ModuleList(
            _branch(width, side, dilation) for side, dilation in ((kernel, 1), *_BESIDE[kernel])
        )

    def forward(self, x: Tensor) -> Tensor:
        """The sum of all branches."""
        return torch.stack([branch(x) for branch in self.branches]).sum(dim=0)

    def merged(self) -> nn.Module:
        """One convolution with the large kernel."""
        made = nn.Conv2d(self.width, self.width, self.kernel, padding=self.kernel // 2,
                         groups=self.width)  # fmt: skip
        pairs: Any = self.branches
        kernel, shift = pairs[0][0].weight.new_zeros(made.weight.shape), torch.tensor(0.0)
        for conv, norm in pairs:
            weight, bias = fuse_conv_bn_weights(
                *(conv.weight, conv.bias, norm.running_mean, norm.running_var),
                *(norm.eps, norm.weight, norm.bias),
            )
            spread = weight.new_ones(1, 1, 1, 1)
            wide = functional.conv_transpose2d(weight, spread, stride=conv.dilation)
            kernel = kernel + functional.pad(wide, [(self.kernel - wide.shape[-1]) // 2] * 4)
            shift = shift + bias
        made.weight, made.bias = nn.Parameter(kernel.detach()), nn.Parameter(shift.detach())
        return made.train(self.training)


class SqueezeExcite(nn.Module):
    """Weights of the channels from the mean over the map, by two layers.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(width // 4, 8)  # fewer may all be off from the start
        self.layers = nn.Sequential(
            nn.Conv2d(width, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``(b, width, h, w)``."""
        weighed: Tensor = x * self.layers(x.mean(dim=(2, 3), keepdim=True))
        return weighed


class ResponseNorm(nn.Module):
    """Global response normalisation: ``(1 + gamma N(|x|)) x + beta``.

    ``|x|`` is the norm of each channel over the map, ``N`` divides by its mean over the channels.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(width, 1, 1))
        self.beta = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(b, width, h, w)``."""
        # The tiny number keeps the gradient of the root finite where a channel is zero.
        norm = (x.square().sum(dim=(2, 3), keepdim=True) + 1e-12).sqrt()
        weight = self.gamma * norm / (norm.mean(dim=1, keepdim=True) + 1e-6) + 1
        found: Tensor = weight * x + self.beta
        return found


class UniRepLkNet(Pyramid):
    """UniRepLKNet (Ding, Zhang, Ge, Zhao, Song, Yue and Shan, 2024).

    Each block adds ``gamma FFN(SE(BN(conv(x))))``: ``conv`` is a `DilatedReparam` of side 13 or a
    3x3 kernel of each channel, as the stage's pattern of kernels says, and ``FFN`` two linear
    layers with GELU and global response normalisation between. "Scaling Up Your Kernels" (Zhang,
    Ding, Yue, 2024) describes the same network.

    Deviations: no stochastic depth. The tiny preset has kernels of side 9 and 7 beside 3, and its
    ``gamma`` starts at 1, where the published sizes have 1e-6.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    widths: ClassVar[tuple[int, ...]]
    kernels: ClassVar[tuple[tuple[int, ...], ...]]
    start: ClassVar[float] = 1e-6

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages, before = [], self.widths[0] // 2
        for width, kernels in zip(self.widths, self.kernels, strict=True):
            blocks = (Scaled(_layers(width, side), width, self.start) for side in kernels)
            stages.append(nn.Sequential(*_smaller(before, width), *blocks))
            before = width
        stages[0] = nn.Sequential(*_smaller(3, self.widths[0] // 2), nn.GELU(), *stages[0])
        stages[-1].append(ChannelNorm(before))
        self.assemble(stages, self.widths, weights)


class UniRepLkNetTiny(UniRepLkNet):
    """The preset for small data: 0.2 M parameters."""

    widths, start = (16, 24, 48, 80), 1.0
    kernels = ((3,), (9,), (9, 3), (7,))


class UniRepLkNetA(UniRepLkNet):
    """Atto: 4.4 M parameters when merged, with a classifier of 1,000 classes."""

    widths = (40, 80, 160, 320)
    kernels = ((3,) * 2, (13,) * 2, (13,) * 6, (13,) * 2)


class UniRepLkNetF(UniRepLkNetA):
    """Femto: 6.2 M parameters, counted likewise."""

    widths = (48, 96, 192, 384)


class UniRepLkNetP(UniRepLkNetA):
    """Pico: 10.7 M parameters, counted likewise."""

    widths = (64, 128, 256, 512)


class UniRepLkNetN(UniRepLkNet):
    """Nano: 18.3 M parameters, counted likewise."""

    widths = (80, 160, 320, 640)
    kernels = ((3,) * 2, (13,) * 2, (13,) * 8, (13,) * 2)


class UniRepLkNetT(UniRepLkNet):
    """31 M parameters, counted likewise."""

    widths = (80, 160, 320, 640)
    kernels = ((3,) * 3, (13,) * 3, (13, 3) * 9, (13,) * 3)


class UniRepLkNetS(UniRepLkNet):
    """56 M parameters, counted likewise."""

    widths = (96, 192, 384, 768)
    kernels = ((3,) * 3, (13,) * 3, (13, 3, 3) * 9, (13,) * 3)


def _branch(width: int, side: int, dilation: int) -> nn.Sequential:
    padding = dilation * (side - 1) // 2
    conv = nn.Conv2d(width, width, side, 1, padding, dilation, groups=width, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width))


def _smaller(width: int, out: int) -> list[nn.Module]:
    return [Reduce(width, out, 3, 2, 1), ChannelNorm(out)]


def _layers(width: int, side: int) -> nn.Sequential:
    conv = DilatedReparam(width, kernel=side) if side > 5 else _branch(width, side, 1)[0]
    return nn.Sequential(
        conv,
        nn.BatchNorm2d(width),
        SqueezeExcite(width),
        CellLinear(width, 4 * width),
        nn.GELU(),
        ResponseNorm(4 * width),
        CellLinear(4 * width, width, bias=False),
        nn.BatchNorm2d(width),
    )
