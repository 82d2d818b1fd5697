"""S-KAN's convolution: learned gates choose among kinds of activation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Block, Role

MODES = ("silu", "spline", "radial", "wavelet", "sine")
"""The kinds of activation, in the order of the gates."""


class SelectableKan(Block):
    """A Kolmogorov-Arnold convolution with selectable activations (Yang, Zhang and Luo, 2024).

    Each edge of a Kolmogorov-Arnold layer applies a learned function of one variable. Here the
    function of an edge is a gated sum over kinds of functions, ``sum_j g_j sum_b c_jb B_jb(x)``:
    the bases ``B_j`` of kind ``j`` (SiLU, B-splines, radial functions, a wavelet, sines) have
    learned coefficients ``c`` for each pair of channels and each place of the kernel, and the gates
    ``g`` are a softmax that is learned for each output channel, so that a node chooses its kind.

    Deviations: the paper selects by an adaptive strategy with several stages of training; here the
    gates are learned together with the coefficients. Splines are of degree 1 on a fixed grid over
    [-2, 2], radial functions are Gaussian on the same grid.

    Args:
        width: channels of the input.
        out: channels of the output.
        stride: 1 or 2.
        kernel: side of the kernel, an odd number.
        grid: number of knots.
    """

    role: ClassVar[Role] = "conv"
    widens: ClassVar[bool] = True
    strides: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        kernel: int = 3,
        grid: int = 5,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        self.register_buffer("knots", torch.linspace(-2, 2, grid))
        sizes = {"silu": 1, "spline": grid, "radial": grid, "wavelet": 1, "sine": 2}
        self.kinds = nn.ModuleDict(
            {
                mode: nn.Conv2d(
                    width * sizes[mode], self.out, kernel, stride, kernel // 2, bias=False
                )
                for mode in MODES
            }
        )
        self.choice = nn.Parameter(torch.zeros(self.out, len(MODES)))

    def gates(self) -> Tensor:
        """The gates ``(out, kinds)``; those of each output channel sum to 1."""
        return self.choice.softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply every kind of function, and sum by the gates."""
        gates = self.gates()
        found = [
            gates[:, number, None, None] * self.kinds[mode](self.bases(mode, x))
            for number, mode in enumerate(MODES)
        ]
        return torch.stack(found).sum(dim=0)

    def bases(self, mode: str, x: Tensor) -> Tensor:
        """The bases of a kind at each activation, ``(b, width * bases, h, w)``."""
        if mode == "silu":
            return functional.silu(x)
        if mode == "sine":
            return torch.cat([x.sin(), (2 * x).sin()], dim=1)
        if mode == "wavelet":  # the negative second derivative of a Gaussian
            return (1 - x.square()) * (-x.square() / 2).exp()
        knots = self.get_buffer("knots")
        apart = (x[:, :, None] - knots[:, None, None]) / (knots[1] - knots[0])
        if mode == "spline":
            return (1 - apart.abs()).clamp(min=0).flatten(1, 2)
        return (-apart.square()).exp().flatten(1, 2)
